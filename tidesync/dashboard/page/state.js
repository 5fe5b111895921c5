// What is known of the fleet, and what the page shows of it: a state only while its result is current.

import { Survey } from "./survey.js";
import { ERRORS, numbers } from "./words.js";

const QUIET = 0.8; // of the age up to which a result is fresh
const SILENT_S = 15; // a running recorder reports at least every 5 s

export class Fleet {
  constructor(stream) {
    this.stream = stream;
    this.vehicles = new Map(); // rows, one for each vehicle and topside
    this.sessions = new Map();
    this.broker = null;
    this.brokerAt = null;
    this.not_shown = 0; // vehicles for which the server has no room
    this.waiting = 0; // rows that are still to come
    this.version = 0;
    this.places = [];
    this.about = null;
    this.computer = null; // the dashboard's own: its time of day, and who disciplines its clock
    this.survey = new Survey();
  }

  // False if a message is missing before this one: then everything has to come again.
  take(update) {
    if (update.anew) {
      this.vehicles.clear();
      this.sessions.clear();
      this.survey.members += 1;
      this.about = update.about;
    } else if (update.after !== this.version) return false;
    this.version = update.version;
    this.waiting = update.waiting;
    this.places = update.numbers_of ?? this.places;
    this.broker = update.broker;
    this.computer = update.computer;
    this.brokerAt = update.now_s;
    this.not_shown = update.not_shown;
    for (const key of update.removed) if (this.vehicles.delete(key)) this.survey.members += 1;
    for (const name of update.sessions_removed) this.sessions.delete(name);
    for (const row of update.vehicles) this.takeRow(row, update.now_s);
    for (const values of update.numbers) this.takeNumbers(values);
    for (const session of update.sessions) this.sessions.set(session.session, { ...session, at: update.now_s });
    return true;
  }

  takeRow(row, now_s) {
    const key = keyOf(row);
    const before = this.vehicles.get(key);
    if (before === undefined) this.survey.members += 1;
    row.key = key;
    row.at = now_s;
    row.resultAt = row.result_age_s === null ? null : now_s - row.result_age_s;
    row.seenAt = row.last_seen_s === null ? null : now_s - row.last_seen_s;
    row.place = before?.place ?? 0;
    this.vehicles.set(key, row);
  }

  takeNumbers(values) {
    const row = this.vehicles.get(values[0]);
    if (row === undefined) return;
    this.places.forEach((name, place) => {
      if (place > 0) row[name] = values[place];
    });
    row.resultAt = row.at_s;
    row.seenAt = row.last_seen_s === null ? null : row.at_s - row.last_seen_s;
  }

  // The newest first; those that are not over before all others.
  sessionsByTime() {
    return [...this.sessions.values()].sort(
      (one, other) => rank(one) - rank(other) || (startOf(one) < startOf(other) ? 1 : startOf(one) > startOf(other) ? -1 : 0),
    );
  }

  // For how long a session has lasted, s; null where its start is not known.
  sessionFor_s(session) {
    const end = session.state === "stopped" ? Date.parse(session.last_exchange_at) : this.now_unix_ms();
    const long = (end - Date.parse(session.started_at)) / 1000;
    return session.started_at === null || end === null || !(long >= 0) ? null : long;
  }

  // By name, then by topside.
  sorted() {
    return this.survey.sorted(this.vehicles);
  }

  // Every vehicle's name.
  names() {
    return [...new Set(this.sorted().map((row) => row.vehicle))];
  }

  // An age that was in a message, as it is now.
  age(row, then) {
    if (then === null || then === undefined) return null;
    const now = this.stream.now_s();
    return now === null ? then : then + Math.max(0, now - row.at);
  }

  // How old its result is, and since when the vehicle has not answered; null if never.
  resultAge(row) {
    return this.since(row.resultAt);
  }

  seenAge(row) {
    return this.since(row.seenAt);
  }

  since(at_s) {
    return at_s === null ? null : Math.max(0, (this.stream.now_s() ?? at_s) - at_s);
  }

  connected() {
    return this.stream.alive() && this.broker !== null && this.broker.connected;
  }

  // For how long nothing at all has arrived although a topside should publish; else null. A broker that is frozen,
  // or out of reach, keeps its connection for a while.
  quiet_s() {
    const silent = this.broker === null ? null : this.age({ at: this.brokerAt }, this.broker.silent_s);
    const publishing = (row) => row.resultAt !== null && row.topside_online !== false;
    if (silent === null) return null;
    return [...this.vehicles.values()].some((row) => publishing(row) && silent >= QUIET * row.fresh_s) ? silent : null;
  }

  current() {
    return this.connected() && this.quiet_s() === null;
  }

  // Looks at all rows at this instant: what follows is of then.
  look() {
    this.survey.look(this);
  }

  fresh(row) {
    return row.fresh_now === true;
  }

  state(row) {
    return row.shown ?? (row.last_state === null ? "unmeasured" : "none");
  }

  // The time of day now by topside's clock and by the vehicle's; null unless the result is current.
  times(row) {
    const { measured_unix_ms, offset_ms } = numbers(row);
    if (!this.fresh(row) || measured_unix_ms === null) return { topside: null, vehicle: null };
    const topside = measured_unix_ms + 1000 * this.resultAge(row);
    return { topside, vehicle: offset_ms === null ? null : topside + offset_ms };
  }

  // The time of day by the clock of the dashboard's computer.
  now_unix_ms() {
    const age = this.age({ at: this.brokerAt }, 0);
    return this.computer === null || age === null ? null : this.computer.unix_ms + 1000 * age;
  }

  // How many can be trusted, for the tab of a page in the background.
  tally() {
    return `${this.survey.trusted}/${this.survey.total} locked`;
  }

  // Why it is not locked or not current, as far as that is known.
  remark(row) {
    if (this.state(row) === "unmeasured") return row.online === false ? "offline" : "no topside measures it";
    if (!this.stream.alive()) return "this page has lost its server";
    if (!this.broker.connected) return "no broker";
    if (row.replaced) return "another topside measures it now";
    if (row.topside_online === false) return `topside ${row.topside} is offline`;
    if (!this.fresh(row)) return `no result for ${shortly(this.resultAge(row))}`;
    if (row.error) return Object.hasOwn(ERRORS, row.error) ? ERRORS[row.error] : `${row.error}: not known to this version`;
    if (row.twice) return "its name, or its topside’s, is used twice";
    if (row.online === false) return "vehicle offline";
    return "";
  }

  // A recorder that was killed cannot report it; its session just stops changing.
  sessionSilent_s(session) {
    const age = this.age(session, session.told_s);
    return session.state === "recording" && age !== null && age > SILENT_S ? age : null;
  }

  mayCommand() {
    return Boolean(this.about?.may_command) && !framedByAnother();
  }
}

const RANK = new Map([["recording", 0], ["failed", 1], ["stopped", 3]]);
const rank = (session) => (session.closing ? 2 : RANK.get(session.state) ?? 2); // a later version's word
const startOf = (session) => session.started_at ?? session.last_exchange_at ?? "";

export const keyOf = (row) => `${row.vehicle}/${row.topside ?? ""}`;

function shortly(seconds) {
  return seconds === null ? "as long as this page is open" : `${Math.floor(seconds)}\u00a0s`;
}

// A foreign page around this one could trick a user into a click on a button.
function framedByAnother() {
  if (window.top === window.self) return false;
  try {
    return window.top.location.origin !== window.location.origin;
  } catch {
    return true;
  }
}
