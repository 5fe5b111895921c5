// Numbers and ages as text; what is absent is a dash, never a zero.

const NOTHING = "–";
const MINUS = "−";

export const absent = (value) => value === null || value === undefined;

function grouped(value, decimals) {
  const text = Math.abs(value).toLocaleString("en-US", {
    minimumFractionDigits: decimals,
    maximumFractionDigits: decimals,
  });
  return (value < 0 && Number(text.replaceAll(",", "")) !== 0 ? MINUS : "") + text;
}

const MOST_DECIMALS = 6; // of what is published: ns in ms

// The decimals at which an error has two significant digits, for it and for what it is the error of.
export function decimalsOf(error, least = 3, most = MOST_DECIMALS) {
  if (absent(error) || !(error > 0)) return least;
  return Math.max(least, Math.min(most, 1 - Math.floor(Math.log10(error))));
}

// An offset in ms, with the decimals that its max error leaves significant.
const offsetDecimals = (error) => (absent(error) || error < 10 ? decimalsOf(error) : error < 100 ? 1 : 0);

export const offset = (value, error) => plain(value, offsetDecimals(error));

// An error, rounded up until it holds around the text that is shown of the value, too.
function errorText(error, decimals, value = null, valueText = "0") {
  if (absent(error)) return NOTHING;
  const read = Number(valueText.replaceAll(",", "").replace(MINUS, "-"));
  const rounding = absent(value) ? 0 : Math.abs(whole(read) - whole(value));
  const unit = 10 ** (MOST_DECIMALS - decimals);
  return grouped((Math.ceil((Math.ceil(error * 10 ** MOST_DECIMALS - NEGLIGIBLE) + rounding) / unit) * unit) / 10 ** MOST_DECIMALS, decimals);
}

// In units of the last decimal that is published: what is exact as text is exact here.
const NEGLIGIBLE = 1e-3;
const whole = (value) => Math.round(value * 10 ** MOST_DECIMALS);

// Drift and its error in ppm; the latter is empty where it is not known.
export function driftToRead(value, error) {
  const decimals = decimalsOf(error, 1, 4);
  const text = plain(value, decimals);
  return [text, absent(value) || absent(error) ? "" : errorText(error, decimals, value, text)];
}

const LONG_MS = 60000; // from here on a time is read in its units, not in milliseconds
const UNITS = [["y", 31536e6], ["d", 864e5], ["h", 36e5], ["min", 6e4], ["s", 1e3]];

export const isLong = (value) => !absent(value) && Math.abs(value) >= LONG_MS;

// A long time as its two largest units, a year having 365 days; each keeps its unit at a break of the line.
export function units(value) {
  const whole = Math.round(Math.abs(value) / 1000) * 1000;
  const at = UNITS.findIndex(([, size]) => whole >= size);
  const [[name, size], next] = [UNITS[at], UNITS[at + 1]];
  const rest = next ? Math.floor((whole % size) / next[1]) : 0;
  return `${Math.floor(whole / size)}\u00a0${name}${rest ? ` ${rest}\u00a0${next[0]}` : ""}`;
}

// An offset to be read: its text, and below it the exact number where that is another one.
export function offsetToRead(value, error) {
  const exact = offset(value, error);
  return isLong(value) ? [`${units(value)} ${value > 0 ? "ahead" : "behind"}`, `${exact}\u00a0ms`] : [exact, ""];
}

// An error of an offset that is shown with its max error.
export function errorToRead(error, value = null, maxError = null) {
  const exact = bound(error, value, maxError);
  return isLong(error) ? [units(error), `± ${exact} ms`] : [exact, ""];
}

export function bound(error, value = null, maxError = null) {
  return errorText(error, errorDecimals(error), value, offset(value, maxError));
}

// How far a clock was set.
export function stepToRead(value) {
  if (isLong(value)) return `${value > 0 ? "+" : MINUS}${units(value)}`;
  return Math.abs(value) < 100 ? `${plain(value, 3)} ms` : `${plain(value / 1000, 3)} s`;
}

const errorDecimals = (error) => (error >= 1000 ? 0 : error >= 100 ? 1 : error >= 10 ? 2 : decimalsOf(error));

export const milliseconds = (value) => (absent(value) ? NOTHING : grouped(value, errorDecimals(value)));

export function plain(value, decimals) {
  if (absent(value)) return NOTHING;
  const text = grouped(value, decimals);
  return value > 0 && !/^[0.,]*$/.test(text) ? `+${text}` : text;
}

// Bytes, in the largest unit of which there is one.
export function size(bytes) {
  if (absent(bytes)) return NOTHING;
  const [name, one] = [["GB", 1e9], ["MB", 1e6], ["KB", 1e3]].find(([, each]) => bytes >= each) ?? ["bytes", 1];
  return `${grouped(bytes / one, one === 1 || bytes >= 100 * one ? 0 : 1)}\u00a0${name}`;
}

export const count = (value) => (absent(value) ? NOTHING : value.toLocaleString("en-US"));

export function duration(seconds) {
  if (absent(seconds)) return NOTHING;
  if (seconds < 60) return `${Math.floor(seconds)}\u00a0s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}\u00a0min`;
  if (seconds < 86400) {
    const minutes = Math.floor(seconds / 60) % 60;
    return `${Math.floor(seconds / 3600)}\u00a0h${minutes ? ` ${minutes}\u00a0min` : ""}`;
  }
  return `${Math.floor(seconds / 86400)}\u00a0d`;
}

export function ago(seconds) {
  if (absent(seconds)) return "never";
  return seconds < 2 ? "now" : `${duration(seconds)} ago`;
}

// An instant by a clock of the fleet, which may show any year.
export function timeOfDay(unix_ms) {
  if (absent(unix_ms) || !(Math.abs(unix_ms) < 8.64e15)) return NOTHING;
  return `${new Date(unix_ms).toISOString().replace("T", " ").slice(0, -5)} UTC`;
}

export const clock = (instant) => (absent(instant) ? NOTHING : `${instant.slice(11, 19)} UTC`);
