// The curves: offset inside its bound, delay and drift, over one axis of time; drawn by Plotly, fetched when first needed.

const GAP_MS = 15000;
const MOST_SHAPES = 80;
const NARROW_PX = 640;

let script = null;

export function plotly() {
  script ??= new Promise((resolve, reject) => {
    const tag = document.createElement("script");
    tag.src = "page/plotly.min.js";
    tag.onload = () => resolve(window.Plotly);
    tag.onerror = () => {
      script = null;
      tag.remove();
      reject(new Error("the plotting script cannot be loaded"));
    };
    document.head.append(tag);
  });
  return script;
}

export function draw(Plotly, node, history, choice) {
  const look = colours();
  const until = history.now();
  const from = until - choice.span_ms;
  const runs = runsOf(history.columns, from - choice.span_ms * 0.05);
  const narrow = node.clientWidth < NARROW_PX;
  return Plotly.react(node, traces(runs, look), layout(runs, history, { from, until, narrow, choice, look }), {
    responsive: true,
    displaylogo: false,
    displayModeBar: narrow ? false : "hover",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
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

// Stretches to be joined by a line: cut at segments (a step is no slope), and where nothing was heard.
function runsOf(columns, from) {
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
    run.offset.push(columns.offset_ms[place]);
    run.lower.push(columns.lower_ms[place]);
    run.upper.push(columns.upper_ms[place]);
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
  const curve = (name, column, axis, colour, unit) => ({
    type: "scatter", mode: "lines", name, x: at, y: joined(runs, column), yaxis: axis, xaxis: "x",
    line: { color: colour, width: 2 }, hovertemplate: `%{y:,.4~f} ${unit}`,
  });
  return [
    band(runs, look),
    { ...curve("offset", "offset", "y", look.offset, "ms"), customdata: joined(runs, "error"), hovertemplate: "%{y:,.3f} ± %{customdata:.3f} ms" },
    curve("delay", "delay", "y2", look.delay, "ms"),
    curve("drift", "drift", "y3", look.drift, "ppm"),
  ];
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

function layout(runs, history, { from, until, narrow, choice, look }) {
  const axis = (title, domain, more = {}) => ({
    title: { text: title, standoff: 8, font: { size: 13 } }, domain, gridcolor: look.line, zeroline: false, automargin: true,
    tickformat: ",.4~f", nticks: 5, tickfont: { color: look.faint }, fixedrange: narrow, ...more,
  });
  const [low, high] = choice.fit === "now" ? nearNow(runs) : [null, null];
  return {
    uirevision: `${choice.span_ms}-${choice.fit}`,
    height: narrow ? 560 : 620,
    margin: { l: narrow ? 12 : 20, r: 12, t: 14, b: 36 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: look.font, size: 13, color: look.ink },
    showlegend: false, hovermode: "x unified", dragmode: narrow ? false : "zoom",
    hoverlabel: { bgcolor: look.card, bordercolor: look.line, font: { color: look.ink } },
    xaxis: {
      type: "date", range: [from, until], gridcolor: look.line, anchor: "y3", tickfont: { color: look.faint },
      hoverformat: "%H:%M:%S UTC", tickformat: choice.span_ms > 600000 ? "%H:%M" : "%H:%M:%S", nticks: narrow ? 4 : 9, fixedrange: narrow,
    },
    yaxis: axis("offset, ms", [0.44, 1], low === null ? {} : { range: [low, high] }),
    yaxis2: axis("delay, ms", [0.24, 0.4], { rangemode: "tozero", nticks: 3 }),
    yaxis3: axis("drift, ppm", [0, 0.18], { nticks: 4 }),
    shapes: [...shades(runs, look), ...marks(history.incidents, from, look)].slice(-MOST_SHAPES),
  };
}

// The range of the newest segment, with room for a usual bound: a step of seconds must not flatten what is now.
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

function marks(incidents, from, look) {
  return incidents
    .filter((incident) => incident.at_unix_ms >= from && incident.kind !== "state")
    .map((incident) => ({
      type: "line", xref: "x", yref: "paper", x0: incident.at_unix_ms, x1: incident.at_unix_ms, y0: 0, y1: 1,
      line: { color: look.event, width: 1.5, dash: "dot" },
      label: { text: incident.text, textposition: "end", textangle: -90, yanchor: "top", font: { size: 11, color: look.event }, padding: 4 },
    }));
}
