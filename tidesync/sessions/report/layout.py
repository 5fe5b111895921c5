"""The layout of the report's figure, as plain data for Plotly: panels, titles, marks of cuts and gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tidesync.sessions.report.series import WINDOW_S
from tidesync.sessions.report.units import milliseconds, step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.sessions.report.series import Curve
    from tidesync.sessions.report.verdict import Interval

Json = dict[str, Any]

# Okabe and Ito's colours, which colour-blind readers can distinguish; dashes and labels repeat the meaning.
VERMILION = "#D55E00"
_GREY = "#6b7280"
BAND_TITLE = "Less a straight line in each segment, ms. The truth lies within the band"
_TITLES = (
    "Offset, {unit}{base}: Pi's clock − laptop's clock",
    BAND_TITLE,
    "Drift of the Pi's clock against the laptop's, ppm{drift}",
    "Delay of the exchanges, ms, by decades: {delay}",
)
_NO_DRIFT = f": not drawn, since {WINDOW_S:g} s over MQTT without a cut or gap are needed"
_EACH, _ENVELOPE = "each one", "least (line) and greatest (dotted)"
_HEIGHT = 860
_GAP = 0.075
_NEAREST = 0.09
"""Labels nearer to each other than this share of the width would overlap: the less important is left out."""


def layout(intervals: Sequence[Interval], drift: Curve, unit: str, base_ns: int, *, each_delay: bool) -> Json:
    """Four panels over one axis of time, with every cut and gap marked.

    Offsets are drawn in `unit`, from `base_ns`; `each_delay`: delays are drawn one by one, not their limits.
    """
    height = (1 - 3 * _GAP) / len(_TITLES)
    panels: Json = {
        "height": _HEIGHT,
        "margin": {"l": 64, "r": 16, "t": 44, "b": 58},
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#111827"},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "showlegend": False,
        "hovermode": "x unified",
        "xaxis": {
            "type": "date",
            "anchor": "y4",
            "title": {"text": "UTC, laptop's clock", "standoff": 26},
            "automargin": True,
            **_grid(),
        },
        "shapes": [_shape(interval) for interval in intervals if interval.kind in {"gap", "uncertain"}],
        "annotations": [],
    }
    words = {
        "unit": unit,
        "base": f" from {milliseconds(base_ns, 0)}" if base_ns else "",
        "drift": "" if drift.at_ns.size else _NO_DRIFT,
        "delay": _EACH if each_delay else _ENVELOPE,
    }
    for row, title in enumerate(_TITLES, start=1):
        top = 1 - (row - 1) * (height + _GAP)
        panels[axis("yaxis", row)] = {
            "domain": [max(top - height, 0), top],
            "anchor": "x",
            "tickformat": ",~g" if row != 1 else ",.6~f",
            "automargin": True,
            **_grid(),
        }
        panels["annotations"].append(_text(title.format(**words), 0, top, "left"))
    panels["yaxis4"] |= {"type": "log"}
    panels["yaxis3"]["range"] = _drift_range(drift)
    panels["annotations"] += _labels(intervals)
    return panels


def _drift_range(drift: Curve) -> list[float] | None:
    """At least 1 ppm high, so that a stable crystal looks stable."""
    values = drift.values[np.isfinite(drift.values)]
    if not values.size:
        return None
    middle = float(values.max() + values.min()) / 2
    half = max(float(values.max() - values.min()) * 0.6, 0.5)
    return [round(middle - half, 6), round(middle + half, 6)]


def _shape(interval: Interval) -> Json:
    """A dashed band where the clocks were cut, a grey one where nothing was measured."""
    x0, x1 = interval.from_ns / 1e6, interval.to_ns / 1e6
    common: Json = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    if interval.kind == "gap":
        return common | {"type": "rect", "x0": x0, "x1": x1, "fillcolor": "#e5e7eb", "line": {"width": 0}}
    line = {"color": VERMILION, "width": 1.5, "dash": "dash"}
    return common | {"type": "rect", "x0": x0, "x1": x1, "fillcolor": "rgba(213,94,0,0.2)", "line": line}


def _labels(intervals: Sequence[Interval]) -> list[Json]:
    """A word above each cut and gap; where they would overlap, cuts before gaps and long before short."""
    others = [interval for interval in intervals if interval.kind in {"gap", "uncertain"}]
    others.sort(key=lambda interval: (interval.kind == "gap", -interval.duration_ns))
    width_ns = intervals[-1].to_ns - intervals[0].from_ns if intervals else 0
    shown: list[Interval] = []
    for interval in others:
        if all(abs(_middle(interval) - _middle(other)) > _NEAREST * width_ns for other in shown):
            shown.append(interval)
    return [
        _text(_word(interval), _middle(interval) / 1e6, 1, "center")
        | {"xref": "x", "yshift": 18, "font": {"size": 11, "color": _colour(interval)}}
        for interval in shown
    ]


def _middle(interval: Interval) -> float:
    return (interval.from_ns + interval.to_ns) / 2


def _word(interval: Interval) -> str:
    if interval.kind == "gap":
        return "gap"
    word = {"method": "HTTP/MQTT", "topside_step": "laptop's step", "inconsistent": "jump"}
    jump = f" {step(interval.jump_ns or 0)}" if interval.cause in {"step", "inconsistent"} else ""
    return word.get(interval.cause or "", str(interval.cause)) + jump


def _colour(interval: Interval) -> str:
    return _GREY if interval.kind == "gap" else VERMILION


def _text(text: str, x: float, y: float, anchor: str) -> Json:
    return {
        "text": text,
        "x": x,
        "y": y,
        "xref": "paper",
        "yref": "paper",
        "xanchor": anchor,
        "yanchor": "bottom",
        "showarrow": False,
    }


def _grid() -> Json:
    return {"gridcolor": "#e5e7eb", "zeroline": False, "linecolor": "#9ca3af", "showline": True}


def axis(name: str, row: int) -> str:
    """Plotly's name of the axis of a panel, counted from 1."""
    return name if row == 1 else f"{name}{row}"
