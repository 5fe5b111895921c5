// What is known, and what may be said of it now: no word for a state unless the number behind it is current.

const QUIET = 0.8;

export const WORDS = {
  locked: "locked",
  acquiring: "acquiring",
  holdover: "holdover",
  stale: "stale",
  unsynced: "unsynced",
  none: "no news",
  unmeasured: "not measured",
};

export const MEANING = {
  locked: "measured now; the error is within its limit",
  acquiring: "being measured, not yet well enough",
  holdover: "no answers now: the last offset is carried forward and its error grows",
  stale: "its error has grown too large to be used",
  unsynced: "there is nothing to go on",
  none: "nobody tells how it stands now; the numbers are the last known ones",
  unmeasured: "no topside measures it",
};

const ERRORS = {
  timeout: "no answer in time",
  network_error: "not reachable",
  high_rtt: "round trip too long",
  invalid_pi_time: "its clock makes no sense",
  duplicate_vehicle: "two vehicles use this name",
  not_authorized: "not authorised",
};

export class Fleet {
  constructor(stream) {
    this.stream = stream;
    this.vehicles = new Map();
    this.sessions = new Map();
    this.broker = null;
    this.brokerAt = null;
    this.about = null;
  }

  take(news) {
    if (news.anew) {
      this.vehicles.clear();
      this.sessions.clear();
      this.about = news.about;
    }
    this.broker = news.broker;
    this.brokerAt = news.now_s;
    for (const row of news.vehicles) this.vehicles.set(keyOf(row), { ...row, at: news.now_s });
    for (const session of news.sessions) this.sessions.set(session.session, { ...session, at: news.now_s });
  }

  sorted() {
    return [...this.vehicles.entries()].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, row]) => row);
  }

  // An age that was told in a message, as it is now.
  age(row, told) {
    if (told === null || told === undefined) return null;
    const now = this.stream.now_s();
    return now === null ? told : told + Math.max(0, now - row.at);
  }

  connected() {
    return this.stream.alive() && this.broker !== null && this.broker.connected;
  }

  // For how long nothing at all has come although a topside ought to be telling; else null. A broker that is frozen,
  // or out of reach, keeps its connection for a while.
  quiet_s() {
    const silent = this.broker === null ? null : this.age({ at: this.brokerAt }, this.broker.silent_s);
    const telling = (row) => row.result_age_s !== null && row.topside_online !== false;
    if (silent === null || silent < QUIET * this.about.fresh_s) return null;
    return [...this.vehicles.values()].some(telling) ? silent : null;
  }

  current() {
    return this.connected() && this.quiet_s() === null;
  }

  fresh(row) {
    const age = this.age(row, row.result_age_s);
    return this.current() && age !== null && age <= this.about.fresh_s;
  }

  state(row) {
    if (this.fresh(row)) return row.last_state;
    return row.last_state === null ? "unmeasured" : "none";
  }

  // How many are well, for the tab of a page that is out of sight.
  tally() {
    const rows = [...this.vehicles.values()];
    return `${rows.filter((row) => this.state(row) === "locked").length}/${rows.length} locked`;
  }

  // Why there is no news of it, as far as that is known.
  remark(row) {
    if (this.state(row) === "unmeasured") return row.online === false ? "offline" : "no topside measures it";
    if (!this.stream.alive()) return "this page has lost its server";
    if (!this.broker.connected) return "no broker";
    if (row.topside_online === false) return `topside ${row.topside} is offline`;
    if (!this.fresh(row)) return `no result for ${shortly(this.age(row, row.result_age_s))}`;
    if (row.error) return ERRORS[row.error] ?? row.error;
    if (row.online === false) return "vehicle offline";
    return "";
  }

  // A recorder that was killed cannot say so; its session just stops moving.
  sessionSilent_s(session) {
    const told = this.age(session, session.told_s);
    return session.state === "recording" && told !== null && told > 15 ? told : null;
  }

  mayCommand() {
    return Boolean(this.about?.may_command) && !framedByAnother();
  }
}

export const keyOf = (row) => `${row.vehicle}/${row.topside ?? ""}`;

function shortly(seconds) {
  return seconds === null ? "as long as this page has watched" : `${Math.floor(seconds)} s`;
}

// A page of somebody else's around this one could lead a hand to a button.
function framedByAnother() {
  if (window.top === window.self) return false;
  try {
    return window.top.location.origin !== window.location.origin;
  } catch {
    return true;
  }
}
