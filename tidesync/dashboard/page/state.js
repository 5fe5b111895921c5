// What is known of the fleet, and what the page shows of it: a state only while its result is current.

const QUIET = 0.8; // of the age up to which a result is fresh
const SILENT_S = 15; // a running recorder reports at least every 5 s

export const WORDS = {
  locked: "locked",
  acquiring: "acquiring",
  holdover: "holdover",
  stale: "stale",
  unsynced: "unsynced",
  none: "old",
  unmeasured: "not measured",
};

export const MEANING = {
  locked: "measured now; the max error is within its limit",
  acquiring: "being measured, not yet well enough",
  holdover: "no answers now: the last offset is extrapolated and its max error grows",
  stale: "the max error is too large to be used",
  unsynced: "no offset can be estimated",
  none: "no current result; the numbers are the last known ones",
  unmeasured: "no topside measures it",
};

// What a conditional result assumes.
export const CONDITION = "holds unless the vehicle’s clock was set or slewed since its last answer";

const ERRORS = {
  timeout: "no answer in time",
  network_error: "not reachable",
  high_rtt: "round trip too long",
  invalid_pi_time: "its time is not valid",
  duplicate_vehicle: "two vehicles use this name: its numbers are unknown",
  duplicate_topside: "two topsides use this name: its numbers are unknown",
  clock_rate: "the clocks run too fast apart",
  not_authorized: "not authorised",
};

// Of two clocks that have one name no number can be relied on: none is shown.
const DUPLICATES = new Set(["duplicate_vehicle", "duplicate_topside"]);
const NUMBERS = [
  "offset_ms", "lower_ms", "upper_ms", "max_error_ms", "u95_ms", "precision_ms",
  "drift_ppm", "drift_error_ppm", "delay_min_ms",
];

// Nor where its topside is of a later version and reports what this page does not know.
export const doubtful = (row) => DUPLICATES.has(row.error) || (row.error !== null && !Object.hasOwn(ERRORS, row.error));

export function numbers(row) {
  const unknown = Object.fromEntries(NUMBERS.map((name) => [name, null]));
  return doubtful(row) ? { ...row, ...unknown, conditional: false } : row;
}

export class Fleet {
  constructor(stream) {
    this.stream = stream;
    this.vehicles = new Map();
    this.sessions = new Map();
    this.broker = null;
    this.brokerAt = null;
    this.not_shown = 0; // vehicles for which the server has no room
    this.about = null;
    this.computer = null; // the dashboard's own: its time of day, and who disciplines its clock
  }

  take(update) {
    if (update.anew) {
      this.vehicles.clear();
      this.sessions.clear();
      this.about = update.about;
    }
    this.broker = update.broker;
    this.computer = update.computer;
    this.brokerAt = update.now_s;
    this.not_shown = update.not_shown;
    for (const row of update.vehicles) this.vehicles.set(keyOf(row), { ...row, at: update.now_s });
    for (const session of update.sessions) this.sessions.set(session.session, { ...session, at: update.now_s });
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

  sorted() {
    return [...this.vehicles.entries()].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, row]) => row);
  }

  // An age that was in a message, as it is now.
  age(row, then) {
    if (then === null || then === undefined) return null;
    const now = this.stream.now_s();
    return now === null ? then : then + Math.max(0, now - row.at);
  }

  connected() {
    return this.stream.alive() && this.broker !== null && this.broker.connected;
  }

  // For how long nothing at all has arrived although a topside should publish; else null. A broker that is frozen,
  // or out of reach, keeps its connection for a while.
  quiet_s() {
    const silent = this.broker === null ? null : this.age({ at: this.brokerAt }, this.broker.silent_s);
    const publishing = (row) => row.result_age_s !== null && row.topside_online !== false;
    if (silent === null) return null;
    return [...this.vehicles.values()].some((row) => publishing(row) && silent >= QUIET * row.fresh_s) ? silent : null;
  }

  current() {
    return this.connected() && this.quiet_s() === null;
  }

  fresh(row) {
    const age = this.age(row, row.result_age_s);
    return this.current() && age !== null && age <= row.fresh_s;
  }

  state(row) {
    if (this.fresh(row)) return row.last_state;
    return row.last_state === null ? "unmeasured" : "none";
  }

  // Whether its numbers can be relied on now, without a condition. Another topside may have found out that two
  // vehicles, or for another vehicle that two topsides, have one name.
  trusted(row) {
    return this.state(row) === "locked" && !row.conditional && !doubtful(row) && !this.usedTwice(row);
  }

  usedTwice(row) {
    return [...this.vehicles.values()].some(
      (other) =>
        (other.error === "duplicate_vehicle" && other.vehicle === row.vehicle && this.fresh(other)) ||
        (other.error === "duplicate_topside" && other.topside === row.topside && this.fresh(other)),
    );
  }

  // The time of day now by topside's clock and by the vehicle's; null unless the result is current.
  times(row) {
    const { measured_unix_ms, offset_ms } = numbers(row);
    if (!this.fresh(row) || measured_unix_ms === null) return { topside: null, vehicle: null };
    const topside = measured_unix_ms + 1000 * this.age(row, row.result_age_s);
    return { topside, vehicle: offset_ms === null ? null : topside + offset_ms };
  }

  // The time of day by the clock of the dashboard's computer.
  now_unix_ms() {
    const age = this.age({ at: this.brokerAt }, 0);
    return this.computer === null || age === null ? null : this.computer.unix_ms + 1000 * age;
  }

  // How many can be trusted, for the tab of a page in the background.
  tally() {
    const rows = [...this.vehicles.values()];
    return `${rows.filter((row) => this.trusted(row)).length}/${rows.length} locked`;
  }

  // Why it is not locked or not current, as far as that is known.
  remark(row) {
    if (this.state(row) === "unmeasured") return row.online === false ? "offline" : "no topside measures it";
    if (!this.stream.alive()) return "this page has lost its server";
    if (!this.broker.connected) return "no broker";
    if (row.topside_online === false) return `topside ${row.topside} is offline`;
    if (!this.fresh(row)) return `no result for ${shortly(this.age(row, row.result_age_s))}`;
    if (row.error) return Object.hasOwn(ERRORS, row.error) ? ERRORS[row.error] : `${row.error}: not known to this version`;
    if (this.usedTwice(row)) return "its name, or its topside’s, is used twice";
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
const rank = (session) => RANK.get(session.state) ?? 2; // a later version's word
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
