// The curves: offset inside its bound, max error, min delay and drift, over one axis of time; by Plotly, loaded when first needed.

import { absent, decimalsOf, isLong, offset } from "./format.js";

const GAP_MS = 15000;
const MOST_SHAPES = 80;
const NARROW_PX = 640;
const CHARACTER_PX = 7;
const BREAKS = ["step", "suspend", "reboot"];
const OFFSET = [0.56, 0.94];
const OFFSET_BELOW_TWO_LINES = [0.56, 0.89];
const ERROR = [0.37, 0.49];
const DELAY = [0.185, 0.305];
const DRIFT = [0, 0.12];
const MOST_DECADES = 3; // between two labels of a logarithmic axis there may be more than one

// The style sheet for maps that Plotly would write into the page, which the page's policy forbids; it leaves that
// out when an element of this id is there. We draw no maps.
const MAP_STYLE = "ce8d464691048653ffe3a57c6c18ab566e8366f186677868cf724621a857b4fe";
const SHORTEST_MS = 60000;

let script = null;

export function plotly() {
  script ??= new Promise((resolve, reject) => {
    const stub = document.createElement("meta");
    stub.id = MAP_STYLE;
    const tag = document.createElement("script");
    tag.src = "page/plotly.min.js";
    tag.onload = () => resolve(window.Plotly);
    tag.onerror = () => {
      script = null;
      tag.remove();
      stub.remove();
      reject(new Error("the plotting script cannot be loaded"));
    };
    document.head.append(stub, tag);
  });
  return script;
}

export function draw(Plotly, node, history, choice) {
  const look = colours();
  const until = history.now();
  const first = history.columns.at_unix_ms[0] ?? until;
  const from = Math.max(until - choice.span_ms, Math.min(first, until - SHORTEST_MS));
  const base = baseOf(history.columns);
  const runs = runsOf(history.columns, from - choice.span_ms * 0.05, base);
  const width = node.clientWidth;
  const narrow = width < NARROW_PX;
  return Plotly.react(node, traces(runs, look), layout(runs, history, { from, until, width, narrow, choice, look, base }), {
    responsive: true,
    displayModeBar: false, // it would cover the labels; a double click resets what was zoomed
    doubleClick: "reset",
  });
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return {
    ink: of("--ink"), faint: of("--ink-2"), line: of("--line"), card: of("--card"), offset: of("--curve"), band: of("--band"),
    delay: of("--curve-2"), drift: of("--curve-3"), event: of("--event"), font: style.fontFamily,
    states: Object.fromEntries(["acquiring", "holdover", "stale", "unsynced"].map((word) => [word, of(`--${word}`)])),
  };
}

// What a long offset is drawn from, ms: its digits would leave no room for the curve.
function baseOf(columns) {
  const newest = columns.offset_ms.findLast((value) => !absent(value));
  return isLong(newest) ? Math.round(newest / 1000) * 1000 : 0;
}

// Runs of points to be joined by a line: cut at segments (a step is no slope), and where nothing was heard.
function runsOf(columns, from, base) {
  const less = (value) => (absent(value) ? null : value - base);
  const runs = [];
  let run = null;
  columns.at_unix_ms.forEach((at, place) => {
    if (at < from) return;
    const segment = columns.segment[place];
    if (run === null || segment !== run.segment || at - run.last > GAP_MS) {
      run = { segment, last: at, at: [], offset: [], lower: [], upper: [], error: [], delay: [], drift: [], state: [] };
      runs.push(run);
    }
    run.last = at;
    run.at.push(at);
    run.offset.push(less(columns.offset_ms[place]));
    run.lower.push(less(columns.lower_ms[place]));
    run.upper.push(less(columns.upper_ms[place]));
    run.error.push(columns.max_error_ms[place]);
    run.delay.push(columns.delay_min_ms[place]);
    run.drift.push(columns.drift_ppm[place]);
    run.state.push(columns.state[place]);
  });
  return runs;
}

function joined(runs, name) {
  const values = [];
  for (const run of runs) values.push(...run[name], null);
  return values;
}

function traces(runs, look) {
  const at = joined(runs, "at");
  const curve = (name, column, axis, colour, text) => ({
    type: "scatter", mode: "lines", name, x: at, y: joined(runs, column), yaxis: axis, xaxis: "x",
    line: { color: colour, width: 2 }, hovertemplate: text,
  });
  const errors = joined(runs, "error");
  const decimals = decimalsOf(Math.min(...errors.filter((error) => error !== null)));
  return [
    band(runs, look),
    { ...curve("offset", "offset", "y", look.offset, `%{y:,.${decimals}f} ± %{customdata:,.${decimals}f} ms`), customdata: errors.map((error) => roundedUp(error, decimals)) },
    curve("max error", "error", "y4", look.offset, "%{y:,.3~r} ms"),
    curve("min delay", "delay", "y2", look.delay, "%{y:,.3~r} ms"),
    curve("drift", "drift", "y3", look.drift, "%{y:,.4~f} ppm"),
  ];
}

// Until it holds around an offset that was rounded to as many decimals.
function roundedUp(error, decimals) {
  const unit = 10 ** -decimals;
  return error === null ? null : Math.ceil(error / unit + 0.5) * unit;
}

function band(runs, look) {
  const x = [];
  const y = [];
  for (const run of runs) {
    const kept = run.at.map((_, place) => place).filter((place) => run.lower[place] !== null);
    if (kept.length === 0) continue;
    for (const place of kept) push(x, y, run.at[place], run.upper[place]);
    for (const place of kept.reverse()) push(x, y, run.at[place], run.lower[place]);
    push(x, y, null, null);
  }
  return {
    type: "scatter", mode: "lines", name: "bound", x, y, yaxis: "y", xaxis: "x", fill: "toself", fillcolor: look.band,
    line: { width: 0 }, hoverinfo: "skip",
  };
}

function push(x, y, at, value) {
  x.push(at);
  y.push(value);
}

function layout(runs, history, { from, until, width, narrow, choice, look, base }) {
  const axis = (domain, more = {}) => ({
    domain, gridcolor: look.line, zeroline: false, automargin: true,
    tickformat: ",.6~f", nticks: 5, tickfont: { color: look.faint }, fixedrange: narrow, ...more,
  });
  const decades = (domain, column) => axis(domain, { type: "log", ...decadesOf(runs, column) });
  const top = narrow && base ? OFFSET_BELOW_TWO_LINES : OFFSET;
  const [low, high] = choice.fit === "now" ? nearNow(runs) : [null, null];
  return {
    uirevision: `${choice.span_ms}-${choice.fit}`,
    height: narrow ? 640 : 720,
    margin: { l: narrow ? 8 : 12, r: 12, t: narrow ? 52 : 34, b: 32 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: look.font, size: 13, color: look.ink },
    showlegend: false, hovermode: "x unified", dragmode: narrow ? false : "zoom",
    hoverlabel: { bgcolor: look.card, bordercolor: look.line, font: { color: look.ink } },
    xaxis: {
      type: "date", range: [from, until], gridcolor: look.line, anchor: "y3", tickfont: { color: look.faint },
      hoverformat: "%H:%M:%S UTC", tickformat: choice.span_ms > 600000 ? "%H:%M" : "%H:%M:%S", nticks: narrow ? 4 : 9, fixedrange: narrow,
    },
    yaxis: axis(top, low === null ? {} : { range: [low, high] }),
    yaxis2: decades(DELAY, "delay"),
    yaxis3: axis(DRIFT, { nticks: 4 }),
    yaxis4: decades(ERROR, "error"),
    annotations: [
      heading(`Offset inside its bound, ms${base ? `${narrow ? "<br>" : " "}from ${offset(base, 1000)} ms` : ""}`, top, look),
      heading("Max error, ms", ERROR, look),
      heading("Min delay, ms", DELAY, look),
      heading("Drift, ppm", DRIFT, look),
    ],
    shapes: [...shades(runs, look), ...marks(history.incidents, { from, until, width, narrow, look })].slice(-MOST_SHAPES),
  };
}

// The range of the newest segment, with room for its median bound: a step of seconds must not flatten the present.
function nearNow(runs) {
  const last = runs.at(-1);
  if (!last) return [null, null];
  const recent = runs.filter((run) => run.segment === last.segment);
  const offsets = recent.flatMap((run) => run.offset).filter((value) => value !== null);
  const errors = recent.flatMap((run) => run.error).filter((value) => value !== null).sort((one, other) => one - other);
  if (offsets.length === 0) return [null, null];
  const room = 1.6 * (errors[Math.floor(errors.length / 2)] ?? 1);
  return [Math.min(...offsets) - room, Math.max(...offsets) + room];
}

// Whole decades: what differs by path a thousandfold is read on one axis, and what is steady is seen to be.
function decadesOf(runs, column) {
  const values = runs.flatMap((run) => run[column]).filter((value) => value > 0);
  if (values.length === 0) return {};
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values))));
  return { range: [low, high], dtick: Math.ceil((high - low) / MOST_DECADES), tickformat: ",~r" };
}

function shades(runs, look) {
  const found = [];
  for (const run of runs) {
    let begin = 0;
    for (let place = 1; place <= run.at.length; place += 1) {
      if (place < run.at.length && run.state[place] === run.state[begin]) continue;
      const colour = look.states[run.state[begin]];
      if (colour) found.push(shade(run.at[begin], run.at[Math.min(place, run.at.length - 1)], colour));
      begin = place;
    }
  }
  return found;
}

const shade = (from, until, colour) => ({
  type: "rect", xref: "x", yref: "paper", x0: from, x1: until, y0: 0, y1: 1, fillcolor: colour, opacity: 0.14, line: { width: 0 }, layer: "below",
});

const heading = (text, domain, look) => ({
  text, align: "left", xref: "paper", yref: "paper", x: 0, y: domain[1], xanchor: "left", yanchor: "bottom", yshift: 4, showarrow: false,
  font: { size: 13, color: look.faint },
});

function marks(incidents, { from, until, width, narrow, look }) {
  const shown = incidents
    .filter((incident) => incident.at_unix_ms >= from && incident.kind !== "state")
    .map(({ at_unix_ms: at, kind, text }) => ({ at, kind, text: narrow ? kind : text, right: at > (from + until) / 2 }));
  const labelled = withRoom(shown, (at) => ((at - from) / (until - from)) * width);
  return shown.map((mark) => ({
    type: "line", xref: "x", yref: "paper", x0: mark.at, x1: mark.at, y0: 0, y1: 1,
    line: { color: look.event, width: 1.5, dash: "dot" },
    label: {
      text: labelled.has(mark) ? mark.text : "", textposition: "end", textangle: 0, yanchor: "bottom", padding: 2,
      xanchor: mark.right ? "right" : "left", font: { size: 12, color: look.event },
    },
  }));
}

// Those whose labels do not overlap: what breaks a clock before what a connection does, then the newest first.
function withRoom(shown, pixel) {
  const breaks = ({ kind }) => BREAKS.includes(kind);
  const taken = [];
  const found = new Set();
  for (const mark of [...shown].sort((one, other) => breaks(other) - breaks(one) || other.at - one.at)) {
    const x = pixel(mark.at);
    const long = (mark.text.length + 1) * CHARACTER_PX;
    const [left, right] = mark.right ? [x - long, x] : [x, x + long];
    if (taken.some(([from, until]) => left < until && right > from)) continue;
    taken.push([left, right]);
    found.add(mark);
  }
  return found;
}
