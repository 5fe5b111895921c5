// The rows of a table that are in sight, and some more; empty rows above and below keep the place of the others.
//
// The table stays one: it says how many rows it has, and each row which one it is.

import { element } from "./dom.js";

const SPARE = 12; // rows beyond each edge of what is seen
const CLOSE = 4; // made again when an edge comes so near
const GUESS_PX = 64;

export class Window {
  constructor(table, body, makeRow) {
    this.table = table;
    this.body = body;
    this.makeRow = makeRow;
    this.above = space();
    this.below = space();
    this.shown = new Map(); // by the row's key
    this.free = [];
    this.rows = [];
    this.dense = false;
    this.whole = false;
    this.range = [0, 0];
    this.height = GUESS_PX;
    this.lost = null; // the key of the row that had the focus when it went out of sight
    body.addEventListener("keydown", (event) => this.key(event));
    this.moved = () => {
      if (this.frame === undefined && this.dense) this.frame = requestAnimationFrame(() => this.follow());
    };
    this.print = () => this.draw(this.rows, this.dense, true);
    window.addEventListener("scroll", this.moved, { passive: true });
    window.addEventListener("resize", this.moved);
    window.addEventListener("beforeprint", this.print);
  }

  close() {
    window.removeEventListener("scroll", this.moved);
    window.removeEventListener("resize", this.moved);
    window.removeEventListener("beforeprint", this.print);
    if (this.frame !== undefined) cancelAnimationFrame(this.frame);
  }

  draw(rows, dense, whole = false) {
    this.rows = rows;
    this.dense = dense;
    this.whole = whole;
    this.table.setAttribute("aria-rowcount", String(rows.length + 1));
    this.place(this.wanted());
  }

  // Only when an edge has come near.
  follow() {
    this.frame = undefined;
    const [first, last] = this.inSight();
    const [from, to] = this.range;
    if ((first - from < CLOSE && from > 0) || (to - last < CLOSE && to < this.rows.length)) this.place(this.wanted());
  }

  inSight() {
    const top = this.body.getBoundingClientRect().top;
    const first = Math.floor(-top / this.height);
    return [first, first + Math.ceil(window.innerHeight / this.height)];
  }

  wanted() {
    const all = this.rows.length;
    if (!this.dense || this.whole) return [0, all];
    const [first, last] = this.inSight();
    const from = Math.min(Math.max(0, first - SPARE), Math.max(0, all - SPARE));
    return [from, Math.min(all, Math.max(last + SPARE, from + 2 * SPARE))];
  }

  place([from, to]) {
    this.range = [from, to];
    const keys = new Set();
    for (let index = from; index < to; index += 1) keys.add(this.rows[index].key);
    for (const [key, row] of this.shown) {
      if (keys.has(key)) continue;
      if (row.node.contains(document.activeElement)) this.lost = key;
      row.node.remove();
      this.shown.delete(key);
      this.free.push(row);
    }
    let next = this.above.parentNode === null ? this.body.firstChild : this.above.nextSibling;
    for (let index = from; index < to; index += 1) {
      const { key } = this.rows[index];
      let row = this.shown.get(key);
      if (row === undefined) {
        row = this.free.pop() ?? this.makeRow();
        this.shown.set(key, row);
      }
      row.draw(this.rows[index], index);
      if (next !== row.node) this.body.insertBefore(row.node, next);
      next = row.node.nextSibling;
      if (key === this.lost) this.refocus(row);
    }
    this.free.length = Math.min(this.free.length, 2 * SPARE);
    this.keepPlace(from, to);
  }

  keepPlace(from, to) {
    if (this.dense && to > from) {
      const { height } = this.shown.get(this.rows[from].key).node.getBoundingClientRect();
      if (height > 0) this.height = height;
    }
    if (tall(this.above, from * this.height)) this.body.prepend(this.above);
    if (tall(this.below, (this.rows.length - to) * this.height)) this.body.append(this.below);
  }

  refocus(row) {
    this.lost = null;
    if (document.activeElement === document.body) row.node.querySelector("a")?.focus({ preventScroll: true });
  }

  // Arrows, Page Up and Down, Home and End go from vehicle to vehicle, also to those that are not in sight.
  key(event) {
    const node = event.target.closest("tr");
    const at = this.rows.findIndex((row) => this.shown.get(row.key)?.node === node);
    const page = Math.max(1, Math.floor(window.innerHeight / this.height) - 2);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: this.rows.length - 1 }[event.key];
    if (at < 0 || to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.focus(Math.max(0, Math.min(this.rows.length - 1, to)));
  }

  focus(index) {
    const [from, to] = this.range;
    if (index < from || index >= to) {
      const top = this.body.getBoundingClientRect().top + window.scrollY;
      window.scrollTo(0, top + index * this.height - window.innerHeight / 2);
      this.place(this.wanted());
    }
    this.shown.get(this.rows[index].key)?.node.querySelector("a")?.focus();
  }
}

function space() {
  return element("tr", { class: "space", "aria-hidden": "true" }, element("td"));
}

// Whether it has to be put into the table.
function tall(node, height) {
  const text = `${Math.round(height)}px`;
  if (node.firstChild.style.height !== text) node.firstChild.style.height = text;
  if (height === 0) node.remove();
  return height > 0 && node.parentNode === null;
}
