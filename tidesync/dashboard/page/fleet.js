// The first view: can the timing be trusted, the vehicles, and the sessions.

import { areMany, Controls } from "./controls.js";
import { element, mark, setText, show } from "./dom.js";
import { bound, count, timeOfDay } from "./format.js";
import { plotly } from "./plot.js";
import { Row } from "./row.js";
import { SessionsView } from "./sessions.js";
import { chosen } from "./survey.js";
import { WORDS } from "./words.js";
import { Window } from "./window.js";

const HEADS = [
  ["Vehicle", ""],
  ["State", ""],
  ["Offset", "ms"],
  ["Max error", "± ms"],
  ["Drift", "ppm"],
  ["Last seen", ""],
  ["Steps", ""],
  ["Recording", ""],
];
const NAMES = ["name", "state", "offset", "error", "drift", "seen", "steps", "recording"];
const kept = { choice: null, scrollY: 0 }; // while a vehicle's page is looked at

export class FleetView {
  constructor(fleet) {
    this.fleet = fleet;
    this.verdict = element("h1", { class: "verdict" });
    this.detail = element("p", { class: "detail" });
    this.time = element("span", { class: "whole" });
    this.clock = element("span");
    this.computer = element("p", { class: "computer" }, "The dashboard’s computer: ", this.time, " · its clock: ", this.clock);
    this.body = element("tbody", { role: "rowgroup" });
    const heads = HEADS.map(([name, unit], place) =>
      element(
        "th",
        { scope: "col", role: "columnheader", class: `c-${NAMES[place]}${place >= 2 && place <= 4 ? " number" : ""}` },
        name,
        unit ? element("span", { class: "unit" }, unit) : null,
      ),
    );
    this.table = element(
      "table",
      { class: "fleet", role: "table" },
      element("caption", { class: "aside" }, "Vehicles: each clock's offset to topside's"),
      element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...heads)),
      this.body,
    );
    this.empty = element(
      "div",
      { class: "empty" },
      element("h2", {}, "No vehicle yet"),
      element("p", {}, "A vehicle appears here once its agent and a topside have reached the broker:"),
      element("pre", {}, "tidesync pi --vehicle rov1 --broker mqtt://…\ntidesync topside --broker mqtt://…"),
      (this.emptyAt = element("p", { class: "detail" })),
    );
    this.controls = new Controls(fleet, kept.choice, () => this.drawRows());
    this.card = element("section", { class: "card flush", "aria-label": "Vehicles" }, this.controls.node, this.table, this.empty);
    this.window = new Window(this.table, this.body, () => new Row(fleet));
    this.sessions = new SessionsView(fleet);
    this.scrollY = kept.scrollY;
    this.node = element(
      "div",
      { class: "view" },
      element("section", { class: "headline", "aria-label": "Summary" }, this.verdict, this.detail, this.computer),
      this.card,
      this.sessions.node,
    );
    this.orderedFor = -1;
    // A finger or a pointer on a vehicle's name: its curves will be wanted.
    for (const kind of ["pointerover", "pointerdown", "focusin"]) this.body.addEventListener(kind, ahead, { passive: true });
  }

  close() {
    kept.choice = this.controls.choice;
    kept.scrollY = window.scrollY;
    this.window.close();
  }

  draw() {
    const total = this.fleet.survey.total;
    this.summarise();
    show(this.table, total > 0);
    show(this.empty, total === 0);
    setText(this.emptyAt, `Listening at ${this.fleet.broker.address}.`);
    this.drawComputer();
    this.controls.draw();
    this.drawRows();
    this.sessions.draw();
    if (this.scrollY > 0 && total > 0) {
      window.scrollTo(0, this.scrollY);
      this.scrollY = 0;
    }
  }

  // The order is made again only when a state, a choice or the fleet itself has changed.
  drawRows() {
    const { survey } = this.fleet;
    const stamp = `${survey.changes} ${this.controls.changes}`;
    if (stamp !== this.orderedFor) {
      this.orderedFor = stamp;
      this.keys = chosen(survey.rows, this.controls.choice).map((row) => row.key);
    }
    const rows = this.keys.map((key) => this.fleet.vehicles.get(key)).filter((row) => row !== undefined);
    const dense = areMany(survey.rows.length);
    this.card.classList.toggle("dense", dense);
    this.table.classList.toggle("dense", dense);
    this.controls.tell(rows.length);
    this.window.draw(rows, dense);
  }

  drawComputer() {
    setText(this.time, this.fleet.stream.alive() ? timeOfDay(this.fleet.now_unix_ms()) : "–");
    setText(this.clock, this.fleet.computer?.clock ?? "not known who disciplines it");
  }

  summarise() {
    const { total, trusted, conditional, worst_ms, states } = this.fleet.survey;
    const bad = total - trusted;
    mark(this.verdict, "grade", total === 0 ? "empty" : bad === 0 ? "good" : trusted === 0 ? "bad" : "mixed");
    const { waiting } = this.fleet;
    setText(this.verdict, waiting > 0 ? `Loading ${count(waiting)} more vehicles …` : sentence(total, trusted));
    const others = [...states.keys()].filter((state) => !Object.hasOwn(WORDS, state));
    const counts = [...Object.entries(WORDS), ...others.map((state) => [state, state])]
      .map(([state, word]) => [state, states.get(state) ?? 0, word])
      .filter(([state, number]) => number > 0 && state !== "locked")
      .map(([, number, word]) => `${count(number)} ${word}`);
    if (conditional > 0) counts.push(`${count(conditional)} conditional`);
    const whose = bad === 0 ? "worst max error" : `the other${trusted === 1 ? "" : ` ${count(trusted)}`}: max error at most`;
    const bounds = worst_ms === null ? [] : [`${whose} ± ${bound(worst_ms)} ms`];
    setText(this.detail, [...bounds, ...counts].join(" · "));
    show(this.detail, bounds.length + counts.length > 0);
  }
}

function ahead(event) {
  if (event.target.closest(".name") !== null) plotly().catch(() => {});
}

function sentence(total, good) {
  if (total === 0) return "Waiting for a vehicle";
  if (good === total) return total === 1 ? "The vehicle’s timing can be trusted" : `The timing of all ${count(total)} vehicles can be trusted`;
  if (good === 0) return total === 1 ? "The vehicle’s timing cannot be trusted now" : "No vehicle’s timing can be trusted now";
  return `The timing of ${count(total - good)} of ${count(total)} vehicles cannot be trusted`;
}
