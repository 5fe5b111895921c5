"""What Plotly draws for one vehicle, as plain data: offset, bound, drift and delay over one axis of time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from topside_agent.report.series import (
    Curve,
    Floats,
    Integers,
    broken,
    envelope,
    joined,
    pieces,
    slopes_ppm,
    thinned,
    unmeasured_left_out,
)
from topside_agent.report.units import signed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from schemas.exchange import Exchange
    from topside_agent.estimator import Row, Track
    from topside_agent.report.coverage import Stretch

Json = dict[str, Any]

# Okabe and Ito's colours, which the colour-blind can tell apart; dashes and labels say it a second time.
_BLUE, _SKY, _VERMILION, _GREEN, _GREY = "#0072B2", "rgba(86,180,233,0.35)", "#D55E00", "#009E73", "#6b7280"
_TITLES = (
    "Offset, ms: Pi's clock − laptop's clock",
    "The same, less a straight line in each segment, ms. The truth lies within the band: the hard bound",
    "Drift of the Pi's clock against the laptop's, ppm",
    "Delay of the exchanges, ms: the least (line) and the greatest (dotted) at a time",
)
_UNITS = ("ms", "ms", "ppm", "ms")
_EDGE: Json = {"width": 0.4}
_DOTTED: Json = {"width": 1, "dash": "dot"}
_HEIGHT = 860
_GAP = 0.075
_NEAREST = 0.09
"""Labels nearer to each other than this share of the width would overlap: the lesser one is left out."""


def figure(
    track: Track,
    exchanges: Sequence[Exchange],
    by_instant: Mapping[int, Exchange],
    stretches: Sequence[Stretch],
) -> Json:
    """`data` and `layout` for `Plotly.newPlot`."""
    rows = [row for row in track.rows if row.state == "ok"]
    offsets = Curve(_instants(rows), np.array([row.offset_ns for row in rows], dtype=np.float64))
    drift = unmeasured_left_out(_drift(rows, by_instant), stretches)
    data = [
        _line(broken(thinned(*offsets), stretches), 1, "offset", scale=1e-6),
        *_bound(rows, stretches),
        _line(drift, 3, "drift", colour=_GREEN),
        *_delay(exchanges, stretches),
    ]
    return {"data": data, "layout": _layout(stretches, drift)}


def _bound(rows: Sequence[Row], stretches: Sequence[Stretch]) -> list[Json]:
    """The band, the likely error and the offset itself, all less the straight line of each segment."""
    line = _straight(rows)
    at_ns = _instants(rows)
    offset = np.array([row.offset_ns for row in rows], dtype=np.float64)
    lower = np.array([row.lower_ns for row in rows], dtype=np.float64)
    upper = np.array([row.upper_ns for row in rows], dtype=np.float64)
    least = broken(envelope(at_ns, lower - line)[0], stretches)
    greatest = broken(envelope(at_ns, upper - line)[1], stretches)
    return [
        _band(least, greatest),
        _line(least, 2, "least possible", scale=1e-6, line=_EDGE),
        _line(greatest, 2, "greatest possible", scale=1e-6, line=_EDGE),
        _line(broken(thinned(at_ns, offset - line), stretches), 2, "offset less its line", scale=1e-6),
    ]


def _band(least: Curve, greatest: Curve) -> Json:
    """The area between two curves that break at the same instants: a polygon for each unbroken piece."""
    around = [
        Curve(np.concatenate([up.at_ns, down.at_ns[::-1]]), np.concatenate([up.values, down.values[::-1]]))
        for up, down in zip(pieces(greatest), pieces(least), strict=True)
    ]
    area = _line(joined(around), 2, "hard bound", scale=1e-6, line={"width": 0})
    return area | {"fill": "toself", "fillcolor": _SKY, "hoverinfo": "skip", "hovertemplate": None}


def _straight(rows: Sequence[Row]) -> Floats:
    """The chord of each segment at its rows, ns."""
    at_ns = _instants(rows)
    offset = np.array([row.offset_ns for row in rows], dtype=np.float64)
    segment = np.array([row.segment for row in rows], dtype=np.int64)
    line = np.empty_like(offset)
    for number in np.unique(segment):
        places = np.flatnonzero(segment == number)
        first, last = places[0], places[-1]
        since = (at_ns[places] - at_ns[first]).astype(np.float64)
        slope = (offset[last] - offset[first]) / since[-1] if since[-1] > 0 else 0.0
        line[places] = offset[first] + slope * since
    return line


def _drift(rows: Sequence[Row], by_instant: Mapping[int, Exchange]) -> Curve:
    """d(offset)/dt of the RAW clocks where both are known, segment by segment."""
    at_ns = _instants(rows)
    raw = np.array([row.offset_ns - _difference_ns(by_instant[row.topside_unix_ns]) for row in rows])
    segment = np.array([row.segment for row in rows], dtype=np.int64)
    slopes = [slopes_ppm(at_ns[segment == number], raw[segment == number]) for number in np.unique(segment)]
    return joined([slope for slope in slopes if slope.at_ns.size])


def _difference_ns(exchange: Exchange) -> int:
    """What turns an offset of realtime into one of RAW; nothing where RAW is not known."""
    pi, topside = exchange.pi_realtime_minus_raw_ns, exchange.topside_realtime_minus_raw_ns
    return 0 if pi is None or topside is None else pi - topside


def _delay(exchanges: Sequence[Exchange], stretches: Sequence[Stretch]) -> list[Json]:
    at_ns = np.array([exchange.destination_ns for exchange in exchanges], dtype=np.int64)
    delay = np.array([max(exchange.delay_ns, 0) for exchange in exchanges], dtype=np.float64)
    least, greatest = envelope(at_ns, delay, 400)
    if least.at_ns.size == at_ns.size:
        dots = _line(Curve(at_ns, delay), 4, "delay", scale=1e-6)
        return [dots | {"mode": "markers", "marker": {"size": 4, "color": _BLUE}}]
    return [
        _line(broken(least, stretches), 4, "least", scale=1e-6),
        _line(broken(greatest, stretches), 4, "greatest", scale=1e-6, colour=_VERMILION, line=_DOTTED),
    ]


def _instants(rows: Sequence[Row]) -> Integers:
    return np.array([row.topside_unix_ns for row in rows], dtype=np.int64)


def _line(
    curve: Curve,
    row: int,
    name: str,
    *,
    scale: float = 1.0,
    colour: str = _BLUE,
    line: Json | None = None,
) -> Json:
    values = [None if np.isnan(value) else round(value * scale, 6) for value in curve.values.tolist()]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [instant / 1e6 for instant in curve.at_ns.tolist()],  # Plotly's dates: ms since the epoch
        "y": values,
        "yaxis": _axis("y", row),
        "line": {"color": colour, "width": 1.5} | (line or {}),
        "hovertemplate": f"%{{y:.3f}} {_UNITS[row - 1]}",
    }


def _layout(stretches: Sequence[Stretch], drift: Curve) -> Json:
    height = (1 - 3 * _GAP) / len(_TITLES)
    layout: Json = {
        "height": _HEIGHT,
        "margin": {"l": 64, "r": 16, "t": 44, "b": 40},
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#111827"},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "showlegend": False,
        "hovermode": "x unified",
        "xaxis": {"type": "date", "anchor": "y4", "title": {"text": "UTC, laptop's clock"}, **_grid()},
        "shapes": [_shape(stretch) for stretch in stretches if stretch.kind != "covered"],
        "annotations": [],
    }
    for row, title in enumerate(_TITLES, start=1):
        top = 1 - (row - 1) * (height + _GAP)
        layout[_axis("yaxis", row)] = {
            "domain": [max(top - height, 0), top],
            "anchor": "x",
            "tickformat": ",~g" if row != 1 else ",",
            **_grid(),
        }
        layout["annotations"].append(_text(title, 0, top, "left"))
    layout["yaxis4"]["rangemode"] = "tozero"
    layout["yaxis3"]["range"] = _drift_range(drift)
    layout["annotations"] += _labels(stretches)
    return layout


def _drift_range(drift: Curve) -> list[float] | None:
    """At least 1 ppm high, so that a quiet crystal does not look restless."""
    values = drift.values[np.isfinite(drift.values)]
    if not values.size:
        return None
    middle = float(values.max() + values.min()) / 2
    half = max(float(values.max() - values.min()) * 0.6, 0.5)
    return [round(middle - half, 6), round(middle + half, 6)]


def _shape(stretch: Stretch) -> Json:
    """A line where the clocks broke, a grey band where nothing was measured."""
    x0, x1 = stretch.from_ns / 1e6, stretch.to_ns / 1e6
    common: Json = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    if stretch.kind == "gap":
        return common | {"type": "rect", "x0": x0, "x1": x1, "fillcolor": "#e5e7eb", "line": {"width": 0}}
    line = {"color": _VERMILION, "width": 1.5, "dash": "dash"}
    return common | {"type": "rect", "x0": x0, "x1": x1, "fillcolor": "rgba(213,94,0,0.2)", "line": line}


def _labels(stretches: Sequence[Stretch]) -> list[Json]:
    """A word above each break and gap; where they crowd, breaks before gaps and long before short."""
    others = [stretch for stretch in stretches if stretch.kind != "covered"]
    others.sort(key=lambda stretch: (stretch.kind == "gap", -stretch.span_ns))
    width_ns = stretches[-1].to_ns - stretches[0].from_ns if stretches else 0
    shown: list[Stretch] = []
    for stretch in others:
        if all(abs(_middle(stretch) - _middle(other)) > _NEAREST * width_ns for other in shown):
            shown.append(stretch)
    return [
        _text(_word(stretch), _middle(stretch) / 1e6, 1, "center")
        | {"xref": "x", "yshift": 18, "font": {"size": 11, "color": _colour(stretch)}}
        for stretch in shown
    ]


def _middle(stretch: Stretch) -> float:
    return (stretch.from_ns + stretch.to_ns) / 2


def _word(stretch: Stretch) -> str:
    if stretch.kind == "gap":
        return "gap"
    word = {"method": "HTTP/MQTT", "topside_step": "laptop's step", "inconsistent": "jump"}
    jump = f" {signed(stretch.jump_ns or 0)}" if stretch.cause in {"step", "inconsistent"} else ""
    return word.get(stretch.cause or "", str(stretch.cause)) + jump


def _colour(stretch: Stretch) -> str:
    return _GREY if stretch.kind == "gap" else _VERMILION


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


def _axis(name: str, row: int) -> str:
    return name if row == 1 else f"{name}{row}"
