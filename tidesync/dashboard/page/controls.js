// What to show of a large fleet: a name, a state, a topside, a group of topsides; and in which order.

import { element, mark, setText, show } from "./dom.js";
import { count } from "./format.js";
import { WORDS } from "./words.js";

const MANY = 40;
const SEVERAL = 8; // below this there is nothing to search
const narrow = window.matchMedia("(max-width: 1160px)"); // rows would be cards, as in style.css

// Whether so many rows are of one height, and only those in sight exist.
export const areMany = (rows) => rows > (narrow.matches ? SEVERAL : MANY);
const WORST_FIRST = ["unsynced", "stale", "none", "unmeasured", "holdover", "acquiring", "locked"];

export class Controls {
  constructor(fleet, choice, changed) {
    this.fleet = fleet;
    this.choice = choice ?? { text: "", state: null, topside: null, group: null, order: null };
    this.changes = 0;
    this.changed = changed;
    this.search = element("input", {
      type: "search",
      id: "find",
      placeholder: "Name of a vehicle or topside",
      autocomplete: "off",
      spellcheck: "false",
      value: this.choice.text,
      oninput: () => this.set({ text: this.search.value }),
    });
    this.choosers = ["topside", "group"].map((field) => new Chooser(field, this.choice, (values) => this.set(values)));
    this.order = element(
      "select",
      { id: "order", onchange: () => this.set({ order: this.order.value }) },
      element("option", { value: "worst" }, "worst first"),
      element("option", { value: "name" }, "by name"),
    );
    this.states = element("div", { class: "states", role: "group", "aria-label": "State" });
    this.buttons = new Map();
    this.count = element("p", { class: "count", role: "status" });
    this.node = element(
      "div",
      { class: "controls", role: "search" },
      element("div", { class: "field find" }, element("label", { for: "find" }, "Find"), this.search),
      ...this.choosers.map((chooser) => chooser.node),
      element("div", { class: "field" }, element("label", { for: "order" }, "Order"), this.order),
      this.states,
      this.count,
    );
  }

  set(values) {
    Object.assign(this.choice, values);
    this.changes += 1;
    this.draw();
    this.changed();
  }

  draw() {
    const { rows } = this.fleet.survey;
    const { choice } = this;
    const chosen = choice.text !== "" || [choice.state, choice.topside, choice.group].some((one) => one !== null);
    show(this.node, rows.length > SEVERAL || chosen);
    const order = choice.order ?? (rows.length > SEVERAL ? "worst" : "name");
    if (choice.ordered !== order) {
      choice.ordered = order;
      this.changes += 1;
    }
    if (this.order.value !== order) this.order.value = order;
    for (const chooser of this.choosers) chooser.draw(rows);
    this.drawStates();
  }

  // A button for each state that is there; of one that is chosen also if it is there no more.
  drawStates() {
    const { states } = this.fleet.survey;
    const all = [...states.values()].reduce((sum, number) => sum + number, 0);
    const others = [...states.keys()].filter((state) => !WORST_FIRST.includes(state));
    const wanted = [null, ...WORST_FIRST, ...others].filter(
      (state) => state === null || states.has(state) || state === this.choice.state,
    );
    for (const [state, button] of this.buttons) {
      if (wanted.includes(state)) continue;
      button.node.remove();
      this.buttons.delete(state);
    }
    wanted.forEach((state, place) => {
      if (!this.buttons.has(state)) this.buttons.set(state, this.button(state));
      const { node, number } = this.buttons.get(state);
      if (this.states.children[place] !== node) this.states.insertBefore(node, this.states.children[place] ?? null);
      setText(number, count(state === null ? all : (states.get(state) ?? 0)));
      const pressed = String(state === this.choice.state);
      if (node.getAttribute("aria-pressed") !== pressed) node.setAttribute("aria-pressed", pressed);
    });
  }

  button(state) {
    const number = element("span", { class: "figure" });
    const word = state === null ? "all" : Object.hasOwn(WORDS, state) ? WORDS[state] : state;
    const node = element(
      "button",
      { class: "button small state", type: "button", onclick: () => this.set({ state: this.choice.state === state ? null : state }) },
      element("span", { class: "swatch", "data-state": state ?? "all" }),
      `${word} `,
      number,
    );
    return { node, number };
  }

  // How many rows are left of all, where not all are.
  tell(left) {
    const all = this.fleet.survey.rows.length;
    const less = left < all;
    mark(this.count, "none", left === 0 && all > 0);
    setText(this.count, !less ? "" : left === 0 ? "No vehicle is like that." : `${count(left)} of ${count(all)} rows`);
  }
}

// One value of a field of rows, or all; there only where rows have several.
class Chooser {
  constructor(field, choice, set) {
    this.field = field;
    this.choice = choice;
    this.select = element("select", { id: `by-${field}`, onchange: () => set({ [field]: this.select.value || null }) });
    this.node = element("div", { class: "field" }, element("label", { for: `by-${field}` }, field === "topside" ? "Topside" : "Group"), this.select);
    this.known = "";
  }

  draw(rows) {
    const values = [...new Set(rows.map((row) => row[this.field] ?? null).filter((value) => value !== null))].sort();
    show(this.node, values.length > 1 || this.choice[this.field] !== null);
    if (values.join() === this.known) return;
    this.known = values.join();
    const options = values.map((value) => element("option", { value }, value));
    this.select.replaceChildren(element("option", { value: "" }, "all"), ...options);
    this.select.value = this.choice[this.field] ?? "";
  }
}
