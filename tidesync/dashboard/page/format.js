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

// An offset in ms, with the decimals that its max error leaves significant.
export function offset(value, error) {
  if (absent(value)) return NOTHING;
  const decimals = absent(error) || error < 10 ? 3 : error < 100 ? 1 : 0;
  const text = grouped(value, decimals);
  return value > 0 ? `+${text}` : text;
}

export function milliseconds(value) {
  if (absent(value)) return NOTHING;
  if (value >= 1000) return grouped(value, 0);
  return grouped(value, value >= 100 ? 1 : value >= 10 ? 2 : 3);
}

export function plain(value, decimals) {
  if (absent(value)) return NOTHING;
  const text = grouped(value, decimals);
  return value > 0 && !/^[0.,]*$/.test(text) ? `+${text}` : text;
}

export const count = (value) => (absent(value) ? NOTHING : value.toLocaleString("en-US"));

export function duration(seconds) {
  if (absent(seconds)) return NOTHING;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) {
    const minutes = Math.floor(seconds / 60) % 60;
    return `${Math.floor(seconds / 3600)} h${minutes ? ` ${minutes} min` : ""}`;
  }
  return `${Math.floor(seconds / 86400)} d`;
}

export function ago(seconds) {
  if (absent(seconds)) return "never";
  return seconds < 2 ? "now" : `${duration(seconds)} ago`;
}

export const clock = (instant) => (absent(instant) ? NOTHING : `${instant.slice(11, 19)} UTC`);
