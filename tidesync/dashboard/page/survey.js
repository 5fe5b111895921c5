// All rows at one instant: each one's state, which are trusted, how many there are of each, and their order.

import { doubtful } from "./words.js";

const byName = new Intl.Collator("en", { numeric: true });
const TROUBLE = new Map(
  ["unsynced", "stale", "none", "unmeasured", "holdover", "acquiring"].map((state, place) => [state, place + 1]),
);
const ODD = 7; // a state of a later version
const LOCKED_IF = 8; // locked, and not to be trusted without a condition
const OFFLINE = 9; // never measured, and not there
const TRUSTED = 10;
const REPLACED = 11; // another topside measures it now

export class Survey {
  constructor() {
    this.members = 0; // counts changes of which rows there are
    this.changes = 0; // counts changes of what orders or filters them
    this.sortedFor = -1;
    this.rows = [];
    this.states = new Map(); // how many rows there are of each state that is shown
    this.total = 0; // vehicles
    this.trusted = 0;
    this.conditional = 0;
    this.worst_ms = null; // the largest max error of those that are trusted
  }

  sorted(vehicles) {
    if (this.sortedFor !== this.members) {
      this.sortedFor = this.members;
      this.rows = [...vehicles.values()].sort(
        (one, other) => byName.compare(one.vehicle, other.vehicle) || byName.compare(one.topside ?? "", other.topside ?? ""),
      );
      this.rows.forEach((row, place) => (row.place = place));
      this.changes += 1;
    } else this.rows = this.rows.map((row) => vehicles.get(row.key));
    return this.rows;
  }

  look(fleet) {
    const rows = this.sorted(fleet.vehicles);
    const current = fleet.current();
    const now = fleet.stream.now_s();
    const twice = new Set();
    const measured = new Set(); // the vehicles that have a fresh result
    for (const row of rows) {
      row.fresh_now = current && row.resultAt !== null && now - row.resultAt <= row.fresh_s;
      if (!row.fresh_now) continue;
      measured.add(row.vehicle);
      if (row.error === "duplicate_vehicle") twice.add(`v/${row.vehicle}`);
      if (row.error === "duplicate_topside") twice.add(`t/${row.topside}`);
    }
    this.states.clear();
    let changed = false;
    const vehicles = new Map();
    for (const row of rows) {
      const shown = row.fresh_now ? row.last_state : row.last_state === null ? "unmeasured" : "none";
      row.twice = twice.has(`v/${row.vehicle}`) || twice.has(`t/${row.topside}`);
      row.replaced = !row.fresh_now && measured.has(row.vehicle);
      const rank = rankOf(row, shown);
      changed ||= rank !== row.rank || shown !== row.shown;
      row.shown = shown;
      row.rank = rank;
      if (!row.replaced) this.states.set(shown, (this.states.get(shown) ?? 0) + 1);
      if (row.in_use || !vehicles.has(row.vehicle)) vehicles.set(row.vehicle, row); // the server chooses
    }
    if (changed) this.changes += 1;
    this.count(vehicles);
  }

  // Vehicles, not rows: two topsides may measure one.
  count(vehicles) {
    this.total = vehicles.size;
    this.trusted = 0;
    this.conditional = 0;
    this.worst_ms = null;
    for (const row of vehicles.values()) {
      if (row.rank === TRUSTED) {
        this.trusted += 1;
        this.worst_ms = Math.max(this.worst_ms ?? 0, row.max_error_ms);
      } else if (row.rank === LOCKED_IF && row.conditional) this.conditional += 1;
    }
  }
}

// Its numbers can be relied on only if no other row says that two vehicles, or two topsides, have one name.
function rankOf(row, shown) {
  if (row.replaced) return REPLACED;
  if (row.fresh_now && (doubtful(row) || row.twice)) return 0;
  if (shown === "locked") return row.conditional ? LOCKED_IF : TRUSTED;
  if (shown === "unmeasured" && row.online === false) return OFFLINE;
  return TROUBLE.get(shown) ?? ODD;
}

// Those of `rows` that the choice leaves, in its order.
export function chosen(rows, choice) {
  const text = choice.text.trim().toLowerCase();
  const left = rows.filter(
    (row) =>
      (choice.state === null || (row.shown === choice.state && !row.replaced)) &&
      (choice.topside === null || row.topside === choice.topside) &&
      (choice.group === null || row.group === choice.group) &&
      (text === "" || row.vehicle.includes(text) || (row.topside ?? "").includes(text)),
  );
  return choice.ordered === "name" ? left : left.sort((one, other) => one.rank - other.rank || one.place - other.place);
}
