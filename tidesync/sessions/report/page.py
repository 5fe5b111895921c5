"""The page itself: HTML that holds everything it needs, and escapes whatever did not come from us."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.sessions.report.numbers import Numbers
    from tidesync.sessions.report.verdict import Grade

_MARKS: dict[Grade, tuple[str, str]] = {
    "yes": ("✓", "can be trusted"),
    "partly": ("◐", "can be trusted in part"),
    "no": ("✗", "cannot be trusted"),
}


@dataclass(frozen=True, slots=True)
class Section:
    """One vehicle: its verdict in words, its picture (Plotly's data and layout) and its numbers."""

    title: str
    grade: Grade
    headline: str
    exceptions: Sequence[str] = ()
    figure: dict[str, Any] | None = None
    numbers: Numbers = field(default_factory=list)
    events: Sequence[tuple[str, str]] = ()
    more_events: int = 0


def page(title: str, facts: Numbers, notes: Sequence[str], sections: Sequence[Section], script: str) -> str:
    """The whole document; `script` is Plotly's, which is trusted."""
    bodies = "\n".join(_section(section, place) for place, section in enumerate(sections))
    summary = "\n".join(_summary(section) for section in sections)
    figures = [section.figure for section in sections]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; \
style-src 'unsafe-inline'; img-src data: blob:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_CSS}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
{_table(facts, "facts")}
</header>
<main>
<h2>Can this session's timing be trusted?</h2>
{summary}
{_list(notes, "notes")}
{_USE}
{bodies}
</main>
<footer>{_FOOTER}</footer>
<script type="application/json" id="figures">{_embedded(figures)}</script>
<script>{script}</script>
<script>{_DRAW}</script>
</body>
</html>
"""


def _summary(section: Section) -> str:
    mark, words = _MARKS[section.grade]
    return f"""<section class="verdict {section.grade}">
<p><span class="mark" aria-hidden="true">{mark}</span> <b>{escape(section.title)}</b> {words}:
{escape(section.headline)}</p>
{_list(section.exceptions, "exceptions")}
</section>"""


def _section(section: Section, place: int) -> str:
    if section.figure is None and not section.events:
        return ""  # the summary has said it all
    picture = ""
    if section.figure is not None:
        label = f"Offset, bound, drift and delay of {escape(section.title)}"
        picture = (
            f'<div class="figure" id="figure-{place}" role="img" aria-label="{label}">'
            "<noscript>The curves need JavaScript.</noscript></div>"
        )
    return f"""<section class="vehicle">
<h2>{escape(section.title)}</h2>
{picture}
<div class="tables">
{_table(section.numbers, "numbers")}
{_events(section)}
</div>
</section>"""


def _events(section: Section) -> str:
    if not section.events:
        return ""
    more = f"<p>{section.more_events:,} more in events.jsonl.</p>" if section.more_events else ""
    return f"<div><h3>Events</h3>{_table(list(section.events), 'events')}{more}</div>"


def _table(rows: Numbers, kind: str) -> str:
    if not rows:
        return ""
    lines = "".join(f'<tr><th scope="row">{escape(a)}</th><td>{escape(b)}</td></tr>\n' for a, b in rows)
    return f'<table class="{kind}">\n{lines}</table>'


def _list(sentences: Sequence[str], kind: str) -> str:
    if not sentences:
        return ""
    return f'<ul class="{kind}">{"".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)}</ul>'


def _embedded(value: object) -> str:
    """JSON inside a script element: no `<` that could end it."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


_USE = """<p>Offsets are the Pi's clock minus the laptop's: a sample that the Pi stamped <i>t</i> was taken at
<i>t</i> − offset on the laptop's clock. <code>tidesync correct</code> does that row by row, and writes beside
each row how wrong it can be.</p>"""

_FOOTER = """<p><b>What the numbers rest on.</b> The <i>max error</i> holds if no message travels back in time
and the two clocks keep within their stated limits (200 ppm of drift); it needs no assumption about the
network. The <i>likely error</i> (u95) is right 19 times in 20 if both directions of the path share their
smallest delay. No method can see a fixed difference between the two directions: the max error covers it, the
likely error does not. Neither knows how long a sensor took from its measurement to its stamp.</p>"""

_CSS = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; color: #111827;
  background: #fff; max-width: 1080px; margin: 0 auto; padding: 20px 24px 40px; overflow-wrap: anywhere; }
h1 { font-size: 24px; margin: 0 0 8px; }
h2 { font-size: 19px; margin: 28px 0 8px; }
h3 { font-size: 15px; margin: 0 0 4px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: normal; color: #4b5563; padding: 2px 20px 2px 0; vertical-align: top; }
td { padding: 2px 0; vertical-align: top; }
.numbers th, .numbers td, .events th, .events td { border-bottom: 1px solid #e5e7eb; }
.events th { white-space: nowrap; }
.verdict { border-left: 6px solid; padding: 8px 14px; margin: 10px 0; background: #f9fafb; }
.verdict p { margin: 0; }
.verdict ul { margin: 6px 0 0; padding-left: 40px; }
.mark { font-size: 18px; font-weight: bold; }
.yes { border-color: #009e73; } .partly { border-color: #e69f00; border-left-style: dashed; }
.no { border-color: #d55e00; border-left-style: double; }
.notes { color: #92400e; }
.figure { min-height: 860px; }
.tables { display: flex; flex-wrap: wrap; gap: 16px 48px; margin-top: 12px; }
footer { margin-top: 32px; border-top: 1px solid #e5e7eb; color: #4b5563; font-size: 13px; }
code { background: #f3f4f6; padding: 0 4px; }
@page { size: A4; margin: 14mm; }
@media print {
  body { font-size: 10.5pt; max-width: none; padding: 0; }
  .vehicle { break-before: page; }
  .verdict, .figure, table, tr, footer { break-inside: avoid; }
  .verdict { background: none; }
  .figure { min-height: 0; }
  .tables { display: block; font-size: 9.5pt; }
  .tables th, .tables td { padding-top: 0; padding-bottom: 0; }
  .tables h3 { margin-top: 10px; }
  .modebar { display: none !important; }
}
"""

_DRAW = """
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const config = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
  const drawn = [];
  figures.forEach((figure, place) => {
    if (figure === null) return;
    const element = document.getElementById("figure-" + place);
    element.textContent = "";
    drawn.push(element);
    Plotly.newPlot(element, figure.data, figure.layout, config);
  });
  const sized = (size) => drawn.forEach((element) => Plotly.relayout(element, size));
  // A page of A4 holds the picture and the numbers under it.
  window.addEventListener("beforeprint", () => sized({ width: 680, height: 540, autosize: false }));
  window.addEventListener("afterprint", () => sized({ width: null, height: 860, autosize: true }));
})();
"""
