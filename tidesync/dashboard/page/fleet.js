// The first view: can the timing be trusted, the vehicles, and the sessions.

import { post } from "./api.js";
import { element, icon, mark, Quantity, setText, show, toast } from "./dom.js";
import { ago, count, duration, errorToRead, isLong, milliseconds, offsetToRead, plain, stepToRead, timeOfDay } from "./format.js";
import { SessionsView } from "./sessions.js";
import { CONDITION, keyOf, MEANING, numbers, WORDS } from "./state.js";

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

export class FleetView {
  constructor(fleet) {
    this.fleet = fleet;
    this.rows = new Map();
    this.verdict = element("h1", { class: "verdict" });
    this.detail = element("p", { class: "detail" });
    this.time = element("span", { class: "whole" });
    this.clock = element("span");
    this.computer = element("p", { class: "computer" }, "The dashboard’s computer: ", this.time, " · its clock: ", this.clock);
    this.body = element("tbody");
    const heads = HEADS.map(([name, unit], place) =>
      element(
        "th",
        { scope: "col", class: place >= 2 && place <= 4 ? "number" : "" },
        name,
        unit ? element("span", { class: "unit" }, unit) : null,
      ),
    );
    this.table = element(
      "table",
      { class: "fleet" },
      element("caption", { class: "aside" }, "Vehicles: each clock's offset to topside's"),
      element("thead", {}, element("tr", {}, ...heads)),
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
    this.sessions = new SessionsView(fleet);
    this.node = element(
      "div",
      { class: "view" },
      element("section", { class: "headline", "aria-label": "Summary" }, this.verdict, this.detail, this.computer),
      element("section", { class: "card flush", "aria-label": "Vehicles" }, this.table, this.empty),
      this.sessions.node,
    );
  }

  draw() {
    const rows = this.fleet.sorted();
    this.summarise(rows);
    show(this.table, rows.length > 0);
    show(this.empty, rows.length === 0);
    setText(this.emptyAt, `Listening at ${this.fleet.broker.address}.`);
    this.drawComputer();
    this.place(rows);
    this.sessions.draw();
  }

  drawComputer() {
    setText(this.time, this.fleet.stream.alive() ? timeOfDay(this.fleet.now_unix_ms()) : "–");
    setText(this.clock, this.fleet.computer?.clock ?? "not known who disciplines it");
  }

  // One element for each row, kept while the row is there: only what differs is changed.
  place(rows) {
    const wanted = new Set(rows.map(keyOf));
    for (const [key, row] of this.rows) {
      if (!wanted.has(key)) {
        row.node.remove();
        this.rows.delete(key);
      }
    }
    rows.forEach((row, at) => {
      const key = keyOf(row);
      if (!this.rows.has(key)) this.rows.set(key, new Row(this.fleet));
      const shown = this.rows.get(key);
      shown.draw(row);
      if (this.body.children[at] !== shown.node) this.body.insertBefore(shown.node, this.body.children[at] ?? null);
    });
  }

  summarise(rows) {
    const states = rows.map((row) => this.fleet.state(row));
    const trusted = rows.filter((row) => this.fleet.trusted(row));
    const good = trusted.length;
    const errors = trusted.map((row) => row.max_error_ms);
    const conditional = states.filter((state) => state === "locked").length - good;
    const worst = errors.length ? Math.max(...errors) : null;
    const bad = rows.length - good;
    mark(this.verdict, "grade", rows.length === 0 ? "empty" : bad === 0 ? "good" : good === 0 ? "bad" : "mixed");
    setText(this.verdict, sentence(rows.length, good));
    const others = [...new Set(states)].filter((state) => !Object.hasOwn(WORDS, state));
    const counts = [...Object.entries(WORDS), ...others.map((state) => [state, state])]
      .map(([state, word]) => [state, states.filter((each) => each === state).length, word])
      .filter(([state, number]) => number > 0 && state !== "locked")
      .map(([, number, word]) => `${number} ${word}`);
    if (conditional > 0) counts.push(`${conditional} conditional`);
    const whose = bad === 0 ? "worst max error" : `the other${good === 1 ? "" : ` ${good}`}: max error at most`;
    const bound = worst === null ? [] : [`${whose} ± ${milliseconds(worst)} ms`];
    setText(this.detail, [...bound, ...counts].join(" · "));
    show(this.detail, bound.length + counts.length > 0);
  }
}

function sentence(total, good) {
  if (total === 0) return "Waiting for a vehicle";
  if (good === total) return total === 1 ? "The vehicle’s timing can be trusted" : `The timing of all ${total} vehicles can be trusted`;
  if (good === 0) return total === 1 ? "The vehicle’s timing cannot be trusted now" : "No vehicle’s timing can be trusted now";
  return `The timing of ${total - good} of ${total} vehicles cannot be trusted`;
}

class Row {
  constructor(fleet) {
    this.fleet = fleet;
    this.vehicle = "";
    this.topside = null;
    this.name = element("a", { class: "name" });
    this.by = element("span", { class: "by" });
    this.pill = new Pill();
    this.since = element("span", { class: "since" });
    this.remark = element("span", { class: "remark" });
    this.offset = new Quantity();
    this.error = new Quantity();
    this.condition = element("span", { class: "condition" });
    this.drift = element("span", { class: "value" });
    this.seen = element("span", { class: "value" });
    this.steps = element("span", { class: "value" });
    this.step = element("span", { class: "since" });
    this.recording = element("span", { class: "recording" });
    this.shows = element("span", { class: "shows" });
    this.node = element(
      "tr",
      {},
      element("th", { scope: "row", class: "c-name" }, this.name, this.by),
      element("td", { class: "c-state" }, this.pill.node, this.since, this.remark),
      cell("Offset", "ms", "c-offset number", this.offset.value, this.offset.exact, this.shows),
      cell("Max error", "± ms", "c-error number", this.error.value, this.error.exact, this.condition),
      cell("Drift", "ppm", "c-drift number", this.drift),
      cell("Last seen", "", "c-seen", this.seen),
      cell("Steps", "", "c-steps", this.steps, this.step),
      cell("Recording", "", "c-recording", this.recording),
    );
  }

  draw(row) {
    const fleet = this.fleet;
    const state = fleet.state(row);
    const fresh = fleet.fresh(row);
    if (this.vehicle !== row.vehicle || this.topside !== row.topside) {
      this.vehicle = row.vehicle;
      this.topside = row.topside;
      const topside = row.topside === null ? "" : `/${encodeURIComponent(row.topside)}`;
      this.name.setAttribute("href", `#/vehicle/${encodeURIComponent(row.vehicle)}${topside}`);
      this.node.dataset.vehicle = row.vehicle;
    }
    mark(this.node, "fresh", fresh);
    setText(this.name, row.vehicle);
    mark(this.name, "short", row.vehicle.length <= 20);
    setText(this.by, row.topside === null ? "" : `by ${row.topside}`);
    this.pill.draw(state);
    setText(this.since, since(fleet, row));
    setText(this.remark, fleet.remark(row));
    const known = numbers(row);
    mark(this.node, "long", isLong(known.offset_ms) || isLong(known.max_error_ms));
    this.offset.draw(...offsetToRead(known.offset_ms, known.max_error_ms));
    setText(this.shows, isLong(known.offset_ms) && fresh ? `shows ${timeOfDay(fleet.times(row).vehicle)}` : "");
    this.error.draw(...errorToRead(known.max_error_ms));
    setText(this.condition, known.conditional ? CONDITION : "");
    setText(this.drift, plain(known.drift_ppm, 1));
    setText(this.seen, ago(fleet.age(row, row.last_seen_s)));
    setText(this.steps, count(row.steps_listed));
    const event = row.last_event;
    setText(this.step, event ? `${together(stepToRead(event.step_ms))}, ${together(ago(fleet.age(row, event.age_s)))}` : "");
    setText(this.recording, row.recording.map(nameToRead).join(", ") || "–");
    mark(this.recording, "short", row.recording.every((name) => name.length <= 24));
    mark(this.recording, "on", row.recording.length > 0 && fleet.connected());
  }
}

// How long the state has lasted; of an old result, what it was.
export function since(fleet, row) {
  if (fleet.fresh(row)) return `for ${row.state_for_at_least ? "≥ " : ""}${duration(fleet.age(row, row.state_for_s))}`;
  if (row.last_state === null) return "";
  return `was ${Object.hasOwn(WORDS, row.last_state) ? WORDS[row.last_state] : row.last_state}`;
}

export async function measureNow(button, vehicle, topside) {
  button.disabled = true;
  try {
    const answer = await post(`api/vehicles/${encodeURIComponent(vehicle)}/measure`, { topside });
    toast(`Asked ${answer.topsides.join(", ")} to measure ${vehicle} now.`);
  } catch (fault) {
    toast(`${vehicle}: ${fault.message}`, "wrong");
  } finally {
    button.disabled = false;
  }
}

export class Pill {
  constructor() {
    this.word = element("span");
    this.node = element("span", { class: "pill" });
    this.state = null;
  }

  draw(state) {
    if (this.state === state) return;
    this.state = state;
    mark(this.node, "state", state);
    const known = Object.hasOwn(WORDS, state);
    this.node.title = known ? MEANING[state] : "a state that this version does not know";
    this.word.textContent = known ? WORDS[state] : state;
    this.node.replaceChildren(icon(known && state !== "unmeasured" ? state : "none"), this.word);
  }
}

const together = (text) => text.replaceAll(" ", "\u00a0");

// A session's name does not break at its hyphens, unless it is long.
const nameToRead = (name) => (name.length <= 24 ? name.replaceAll("-", "\u2011") : name);

function cell(label, unit, name, ...values) {
  const shown = unit ? `${label}, ${unit}` : label;
  return element("td", { class: name }, element("span", { class: "label", "aria-hidden": "true" }, shown), ...values);
}
