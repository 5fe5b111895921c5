// The words of states and errors, and of which rows no number is shown.

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

// The way of a vehicle's exchanges.
const PATHS = { mqtt: "over the broker", udp: "direct (UDP)", http: "over HTTP" };

export const pathToRead = (path) => (path !== null && Object.hasOwn(PATHS, path) ? PATHS[path] : path);

export const ERRORS = {
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
