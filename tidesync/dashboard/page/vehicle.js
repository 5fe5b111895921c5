// One vehicle: its numbers now, its curves and its events.

import { get } from "./api.js";
import { element, icon, mark, Quantity, setText, show } from "./dom.js";
import { ago, clock, count, driftToRead, errorToRead, milliseconds, offsetToRead, timeOfDay } from "./format.js";
import { draw, plotly } from "./plot.js";
import { measureNow, Pill, since } from "./row.js";
import { keyOf } from "./state.js";
import { CONDITION, numbers, pathToRead } from "./words.js";

const SPANS = [
  ["5 min", 300000],
  ["30 min", 1800000],
  ["3 h", 10800000],
];
const FITS = [
  ["now", "Near now"],
  ["all", "All of it"],
];
const TILES = ["Offset", "Max error", "95 % error (u95)", "Drift", "Min delay", "Path", "Last seen", "Exchanges", "Rejected", "Steps", "Time by topside’s clock", "Time by the vehicle’s clock", "Vehicle’s clock", "Clock of the dashboard’s computer"];
const SHOWN = 50;
const COLUMNS = [
  "at_unix_ms", "offset_ms", "lower_ms", "upper_ms", "max_error_ms", "drift_ppm", "delay_min_ms", "segment", "state",
];
const REFETCH_MS = 300000;
const MOST_INCIDENTS = 200;

export class VehicleView {
  constructor(fleet, vehicle, topside) {
    this.fleet = fleet;
    this.vehicle = vehicle;
    this.topside = topside;
    this.history = new History(vehicle, topside);
    this.choice = { span_ms: SPANS[0][1], fit: "now" };
    this.pill = new Pill();
    this.since = element("span", { class: "since" });
    this.remark = element("p", { class: "remark" });
    this.tiles = Object.fromEntries(TILES.map((name) => [name, new Quantity()]));
    this.button = element("button", { class: "button", type: "button", onclick: () => this.measure() }, "Measure now");
    this.graph = element("div", { class: "graph" });
    this.fault = element("p", { class: "detail" }, "Fetching the history …");
    this.incidents = element("ol", { class: "incidents" });
    this.quiet = element("p", { class: "detail" }, "None since the dashboard started.");
    this.node = element(
      "div",
      { class: "view" },
      element("nav", {}, element("a", { class: "back", href: "#/" }, icon("back"), "All vehicles")),
      element(
        "section",
        { class: "vehicle-head" },
        element("h1", {}, vehicle, element("span", { class: "by" }, topside ? `by ${topside}` : "")),
        this.pill.node,
        this.since,
        this.button,
        this.remark,
      ),
      (this.numbers = element("dl", { class: "tiles" }, ...TILES.map((name) => element("div", { class: "tile" }, element("dt", {}, name), element("dd", {}, this.tiles[name].value, this.tiles[name].exact))))),
      element(
        "section",
        { class: "card", "aria-label": "History" },
        element("div", { class: "choices" }, this.choices("span_ms", SPANS.map(([name, value]) => [value, name]), "Time"), this.choices("fit", FITS, "Range")),
        this.graph,
        this.fault,
      ),
      element("section", { class: "card", "aria-label": "Events" }, element("h2", {}, "Events ", element("span", { class: "by" }, "by the dashboard’s clock")), this.incidents, this.quiet),
    );
    this.fetching = false;
    this.drawnAt = -Infinity;
    this.listed = "";
    this.closed = false;
    this.scheme = window.matchMedia("(prefers-color-scheme: dark)");
    this.recolour = () => this.plot();
    this.scheme.addEventListener("change", this.recolour);
    plotly().catch(() => {}); // while the history comes; what fails is shown when it is drawn
    this.fetch();
    this.timer = setInterval(() => this.fetch(), 1000);
  }

  close() {
    this.closed = true;
    clearInterval(this.timer);
    this.scheme.removeEventListener("change", this.recolour);
    if (this.graph.data) window.Plotly.purge(this.graph);
  }

  restarted() {
    this.history.forget();
  }

  choices(name, values, label) {
    const group = element("div", { class: "choice", role: "group", "aria-label": label });
    for (const [value, text] of values) {
      const button = element("button", { class: "button small", type: "button", "aria-pressed": String(this.choice[name] === value) }, text);
      button.addEventListener("click", () => {
        this.choice[name] = value;
        for (const other of group.children) other.setAttribute("aria-pressed", String(other === button));
        this.plot();
      });
      group.append(button);
    }
    return group;
  }

  row() {
    if (this.topside !== null) return this.fleet.vehicles.get(keyOf(this)) ?? null;
    const rows = this.fleet.sorted().filter((row) => row.vehicle === this.vehicle);
    return rows.find((row) => row.in_use) ?? rows[0] ?? null;
  }

  draw() {
    const row = this.row();
    show(this.button, this.fleet.mayCommand() && row !== null);
    if (row === null) {
      this.pill.draw("unmeasured");
      setText(this.remark, "No vehicle of this name is known.");
      return;
    }
    const fresh = this.fleet.fresh(row);
    this.pill.draw(this.fleet.state(row));
    this.numbers.dataset.fresh = fresh;
    this.graph.dataset.fresh = fresh;
    setText(this.since, since(this.fleet, row));
    const known = numbers(row);
    setText(this.remark, [this.fleet.remark(row), known.conditional ? `The bound ${CONDITION}.` : ""].filter(Boolean).join(" · "));
    this.button.disabled = !this.fleet.connected() || row.topside === null;
    const within = ([text, exact], sign) => (exact || text === "–" ? [text, exact] : [`${sign}${text} ms`, ""]);
    const unit = (text, name) => (text === "–" ? text : `${text} ${name}`);
    const times = this.fleet.times(row);
    const around = [known.offset_ms, known.max_error_ms];
    const [drift, driftError] = driftToRead(known.drift_ppm, known.drift_error_ppm);
    const values = {
      Offset: within(offsetToRead(...around), ""),
      "Max error": within(errorToRead(known.max_error_ms, ...around), "± "),
      "95 % error (u95)": within(errorToRead(known.u95_ms, ...around), "± "),
      Drift: unit(driftError ? `${drift} ± ${driftError}` : drift, "ppm"),
      "Min delay": unit(milliseconds(known.delay_min_ms), "ms"),
      Path: pathToRead(row.path) ?? "–",
      "Last seen": ago(this.fleet.seenAge(row)),
      Exchanges: count(row.exchanges),
      Rejected: count(row.rejected),
      Steps: [count(row.steps_listed), `since the dashboard started; ${count(row.steps)} since topside did`],
      "Time by topside’s clock": timeOfDay(times.topside),
      "Time by the vehicle’s clock": timeOfDay(times.vehicle),
      "Clock of the dashboard’s computer": this.fleet.computer?.clock ?? "not known who disciplines it",
      "Vehicle’s clock": row.clock === null ? "–" : row.simulated ? `simulated; ${row.clock}` : row.clock,
    };
    for (const name of TILES) this.tiles[name].draw(...[values[name]].flat());
    for (const name of ["Vehicle’s clock", "Clock of the dashboard’s computer"]) mark(this.tiles[name].value, "prose", true);
  }

  async measure() {
    await measureNow(this.button, this.vehicle, this.row()?.topside ?? null);
  }

  async fetch() {
    if (this.fetching || document.hidden) return;
    this.fetching = true;
    try {
      await this.history.update();
      this.list();
      await this.plot();
    } catch (fault) {
      if (!this.closed && this.history.columns.at_unix_ms.length === 0) this.complain(fault);
      else await this.plot();
    } finally {
      this.fetching = false;
    }
  }

  complain(fault) {
    setText(this.fault, fault.status === 404 ? "No history yet: it was not measured since the dashboard started." : fault.message);
    show(this.fault, true);
  }

  async plot() {
    if (this.history.columns.at_unix_ms.length === 0) return;
    try {
      const Plotly = await plotly();
      if (this.closed) return;
      await draw(Plotly, this.graph, this.history, this.choice);
      show(this.fault, false);
    } catch (fault) {
      this.complain(fault);
    }
  }

  list() {
    const newest = this.history.incidents.slice(-SHOWN).reverse();
    show(this.quiet, newest.length === 0);
    const wanted = newest.map((incident) => incident.at_unix_ms).join();
    if (wanted === this.listed) return;
    this.listed = wanted;
    this.incidents.replaceChildren(
      ...newest.map((incident) =>
        element(
          "li",
          { "data-kind": incident.kind },
          element("time", {}, clock(new Date(incident.at_unix_ms).toISOString())),
          element("span", { class: "kind" }, incident.kind),
          element("span", {}, incident.text),
        ),
      ),
    );
  }
}

// The last hours, fetched once and then added to; fetched again now and then, so it is bounded as at the server.
class History {
  constructor(vehicle, topside) {
    this.path = `api/vehicles/${encodeURIComponent(vehicle)}/history`;
    this.topside = topside;
    this.forget();
  }

  forget() {
    this.last = 0;
    this.instance = null;
    this.fetchedAt = null;
    this.wholeAt = -Infinity;
    this.now_unix_ms = null;
    this.incidents = [];
    this.columns = Object.fromEntries(COLUMNS.map((name) => [name, []]));
  }

  // The server's wall clock now, from its last answer.
  now() {
    return this.now_unix_ms === null ? Date.now() : this.now_unix_ms + performance.now() - this.fetchedAt;
  }

  async update() {
    const whole = performance.now() - this.wholeAt > REFETCH_MS;
    const asked = new URLSearchParams({ after: whole ? 0 : this.last });
    if (this.topside) asked.set("topside", this.topside);
    const answer = await get(`${this.path}?${asked}`);
    if (this.instance !== null && answer.instance !== this.instance && !whole) {
      this.forget();
      return this.update();
    }
    if (whole) {
      this.forget();
      this.wholeAt = performance.now();
    }
    this.instance = answer.instance;
    this.last = answer.last;
    this.now_unix_ms = answer.now_unix_ms;
    this.fetchedAt = performance.now();
    for (const name of COLUMNS) this.columns[name].push(...answer[name]);
    this.incidents.push(...answer.incidents);
    this.incidents.splice(0, this.incidents.length - MOST_INCIDENTS);
    return answer.at_unix_ms.length > 0 || answer.incidents.length > 0;
  }
}
