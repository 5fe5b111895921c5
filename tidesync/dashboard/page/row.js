// A row of the fleet's table, the sign of its state, and the button that has a vehicle measured.

import { post } from "./api.js";
import { element, icon, mark, Quantity, setText, toast } from "./dom.js";
import { ago, count, driftToRead, duration, errorToRead, isLong, offsetToRead, stepToRead, timeOfDay } from "./format.js";
import { CONDITION, doubtful, MEANING, numbers, pathToRead, WORDS } from "./words.js";

// A line of the table: only what differs is changed.
export class Row {
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
    this.path = element("span", { class: "since" });
    this.steps = element("span", { class: "value" });
    this.step = element("span", { class: "since" });
    this.recording = element("span", { class: "recording" });
    this.shows = element("span", { class: "shows" });
    this.node = element(
      "tr",
      { role: "row" },
      element("th", { scope: "row", role: "rowheader", class: "c-name" }, this.name, this.by),
      element("td", { role: "cell", class: "c-state" }, this.pill.node, this.since, this.remark),
      cell("Offset", "ms", "c-offset number", this.offset.value, this.offset.exact, this.shows),
      cell("Max error", "± ms", "c-error number", this.error.value, this.error.exact, this.condition),
      cell("Drift", "ppm", "c-drift number", this.drift),
      cell("Last seen", "", "c-seen", this.seen, this.path),
      cell("Steps", "", "c-steps", this.steps, this.step),
      cell("Recording", "", "c-recording", this.recording),
    );
  }

  // `index`: its place among all that are chosen, from 0.
  draw(row, index) {
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
    const place = String(index + 2); // the heading is the first
    if (this.node.getAttribute("aria-rowindex") !== place) this.node.setAttribute("aria-rowindex", place);
    mark(this.node, "fresh", fresh);
    setText(this.name, row.vehicle);
    mark(this.name, "short", row.vehicle.length <= 20);
    setText(this.by, row.topside === null ? "" : `by ${row.topside}${fresh && !row.in_use && !doubtful(row) ? ", not in use" : ""}`);
    this.pill.draw(state);
    setText(this.since, since(fleet, row));
    const remark = fleet.remark(row);
    setText(this.remark, remark);
    mark(this.node, "remark", remark !== "");
    mark(this.node, "replaced", row.replaced);
    if (this.remark.title !== remark) this.remark.title = remark;
    const known = numbers(row);
    mark(this.node, "long", isLong(known.offset_ms) || isLong(known.max_error_ms));
    this.offset.draw(...offsetToRead(known.offset_ms, known.max_error_ms));
    setText(this.shows, isLong(known.offset_ms) && fresh ? `shows ${timeOfDay(fleet.times(row).vehicle)}` : "");
    this.error.draw(...errorToRead(known.max_error_ms, known.offset_ms, known.max_error_ms));
    setText(this.condition, known.conditional ? CONDITION : "");
    setText(this.drift, driftToRead(known.drift_ppm, known.drift_error_ppm)[0]);
    setText(this.seen, ago(fleet.seenAge(row)));
    setText(this.path, (fresh && pathToRead(row.path)) || "");
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
  return element("td", { role: "cell", class: name }, element("span", { class: "label", "aria-hidden": "true" }, shown), ...values);
}
