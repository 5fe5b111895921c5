"""The figure of one vehicle, as plain data for Plotly: offset, bound, drift and delay over one time axis."""

from __future__ import annotations

import math
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from schemas.exchange import method_named
from tidesync.figures import decimals_of, is_long
from tidesync.sessions.report.layout import VERMILION, Json, axis, layout
from tidesync.sessions.report.ranges import fit_band, fit_delays
from tidesync.sessions.report.series import (
    BINS,
    Curve,
    bins_of,
    continuous,
    envelope,
    joined,
    slopes_ppm,
    thinned,
)
from topside_agent.estimator import Exchanges, Rows, delays_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from schemas.exchange import Exchange
    from tidesync.sessions.report.verdict import Interval
    from topside_agent.estimator import Track
    from topside_agent.estimator.blocks import Floats, Integers

_BLUE, _SKY, _GREEN = "#0072B2", "rgba(86,180,233,0.35)", "#009E73"
_UNITS = ("ms", "ms", "ppm", "ms")
_OFFSET_UNITS = (("ms", 1e-6, 1e11), ("s", 1e-9, 1e15), ("days", 1 / 86_400e9, math.inf))
"""Unit, what makes it of ns, and up to which ns it is used."""
_EDGE: Json = {"width": 0.4}
_DOTTED: Json = {"width": 1, "dash": "dot"}
_S = 1_000_000_000
_BASE_RATIO = 100
_SHORT = 20
"""Up to this many points of the drift are dots too: those of 8 s are too near for a line."""
_DOTS: Json = {"mode": "lines+markers", "marker": {"size": 4, "color": _GREEN}}
_FEW = 400
"""Up to this many exchanges are each shown as a dot."""
Part = tuple[slice, int]
"""A continuous run of rows, and how many bins it gets."""


def figure(
    track: Track,
    exchanges: Sequence[Exchange],
    by_instant: Mapping[int, Exchange],
    intervals: Sequence[Interval],
    bins: int = BINS,
) -> Json:
    """`data` and `layout` for `Plotly.newPlot`, but that `x` is the first instant and then differences, ms.

    `bins` limits how many points a curve has.
    """
    rows = Rows.of(track.rows).in_states("ok")
    at_ns, segment = rows.column("topside_unix_ns"), rows.column("segment")
    runs = continuous(at_ns, segment)
    base_ns = _base_ns(rows.column("offset_ns"))
    offset = (rows.column("offset_ns") - base_ns).astype(np.float64)
    unit, scale = _unit(offset)
    less_line = offset - _straight(at_ns, offset, segment)
    drift = _drift(rows, at_ns, by_instant, runs)
    parts = [(run, bins_of(run, at_ns, bins)) for run in runs]
    decimals = _decimals(rows)
    shift = less_line - offset
    lower = (rows.column("lower_ns") - base_ns) + shift
    upper = (rows.column("upper_ns") - base_ns) + shift
    data = [
        _line(
            _thin(at_ns, offset, parts),
            1,
            "offset",
            scale=scale,
            unit=unit,
            decimals=decimals if unit == "ms" else 3,
        ),
        *_bound(at_ns, lower, upper, parts, decimals + 1),
        _line(_thin(at_ns, less_line, parts), 2, "offset less its line", scale=1e-6, decimals=decimals),
        _line(drift, 3, "drift", colour=_GREEN) | (_DOTS if drift.at_ns.size <= _SHORT else {}),
        *_delay(exchanges, bins // 2),
    ]
    panels = layout(intervals, drift, unit, base_ns, each_delay=len(exchanges) <= _FEW)
    fit_band(panels, lower, upper)
    fit_delays(panels, delays_ns(Exchanges.of(exchanges)))
    return {"data": data, "layout": panels}


def _thin(at_ns: Integers, values: Floats, parts: Sequence[Part]) -> Curve:
    return joined([thinned(at_ns[run], values[run], bins) for run, bins in parts])


def _base_ns(offsets: Integers) -> int:
    """What offsets of a minute and more are drawn from if they differ little, in whole seconds; else 0.

    The digits of theirs that differ would be the last of many beside the axis.
    """
    if not offsets.size:
        return 0
    last, extent = int(offsets[-1]), int(offsets.max()) - int(offsets.min())
    return round(last / _S) * _S if is_long(last / 1e6) and extent < abs(last) / _BASE_RATIO else 0


def _unit(offsets_ns: Floats) -> tuple[str, float]:
    """The unit that offsets are drawn in, and what makes it of ns: the numbers beside the axis stay short."""
    greatest = float(np.abs(offsets_ns).max(initial=0.0))
    return next((unit, scale) for unit, scale, most_ns in _OFFSET_UNITS if greatest < most_ns)


def _bound(at_ns: Integers, lower: Floats, upper: Floats, parts: Sequence[Part], decimals: int) -> list[Json]:
    """The band and its edges, rounded outward; a polygon for each continuous run."""
    least = [envelope(at_ns[run], lower[run], bins)[0] for run, bins in parts]
    greatest = [envelope(at_ns[run], upper[run], bins)[1] for run, bins in parts]
    around = [
        Curve(np.concatenate([up.at_ns, down.at_ns[::-1]]), np.concatenate([up.values, down.values[::-1]]))
        for up, down in zip(greatest, least, strict=True)
    ]
    area = _line(joined(around), 2, "hard bound", scale=1e-6, line={"width": 0})
    edge = partial(_line, row=2, scale=1e-6, line=_EDGE, decimals=decimals)
    return [
        area | {"fill": "toself", "fillcolor": _SKY, "hoverinfo": "skip", "hovertemplate": None},
        edge(_outward(joined(least), np.floor, decimals), name="least possible"),
        edge(_outward(joined(greatest), np.ceil, decimals), name="greatest possible"),
    ]


def _outward(edge: Curve, rounding: Callable[[Floats], Floats], decimals: int) -> Curve:
    """An edge of the band, ns, such that it is not shown within it: to so many decimals of a millisecond."""
    unit_ns = 10.0 ** (6 - decimals)
    return Curve(edge.at_ns, rounding(edge.values / unit_ns) * unit_ns)


def _decimals(rows: Rows) -> int:
    """Of an offset in ms: what the least max error deserves."""
    errors = rows.column("upper_ns") - rows.column("lower_ns")
    return decimals_of(float(errors.min(initial=_S)) / 2e6, 3)


def _straight(at_ns: Integers, offset: Floats, segment: Integers) -> Floats:
    """The chord of each segment at its rows, ns."""
    line = np.empty_like(offset)
    for number in np.unique(segment):
        places = np.flatnonzero(segment == number)
        first, last = places[0], places[-1]
        since = (at_ns[places] - at_ns[first]).astype(np.float64)
        slope = (offset[last] - offset[first]) / since[-1] if since[-1] > 0 else 0.0
        line[places] = offset[first] + slope * since
    return line


def _drift(rows: Rows, at_ns: Integers, by_instant: Mapping[int, Exchange], runs: Sequence[slice]) -> Curve:
    """d(offset)/dt of the RAW clocks where both are known, run by run; handshakes are too coarse for it."""
    raw = (row.offset_ns - _difference_ns(by_instant[row.topside_unix_ns]) for row in rows)
    first = next(raw, 0)
    # Relative to the first: RAW clocks may be decades apart, which leaves a float no room for nanoseconds.
    relative = np.fromiter((each - first for each in chain([first], raw)), dtype=np.float64, count=len(rows))
    methods = [method_named(by_instant[rows[run.start].topside_unix_ns].method) for run in runs]
    slopes = [
        slopes_ppm(at_ns[run], relative[run])
        for run, method in zip(runs, methods, strict=True)
        if not method.standalone
    ]
    return joined([slope for slope in slopes if slope.at_ns.size])


def _difference_ns(exchange: Exchange) -> int:
    """What an offset of realtime exceeds that of RAW by; 0 where RAW is not known."""
    pi, topside = exchange.pi_realtime_minus_raw_ns, exchange.topside_realtime_minus_raw_ns
    return 0 if pi is None or topside is None else pi - topside


def _delay(exchanges: Sequence[Exchange], bins: int) -> list[Json]:
    columns = Exchanges.of(exchanges)
    at_ns = columns.column("destination_ns")
    delay = np.maximum(delays_ns(columns), 1).astype(np.float64)  # by decades there is no 0
    line = partial(_line, row=4, scale=1e-6, decimals=decimals_of(float(delay.min(initial=_S)) / 1e6, 3))
    if at_ns.size <= _FEW:
        dots = line(Curve(at_ns, delay), name="delay")
        return [dots | {"mode": "markers", "marker": {"size": 4, "color": _BLUE}}]
    runs = continuous(at_ns, np.zeros_like(at_ns))
    edges = [envelope(at_ns[run], delay[run], bins_of(run, at_ns, bins)) for run in runs]
    least, greatest = (joined([pair[side] for pair in edges]) for side in (0, 1))
    return [
        line(least, name="least"),
        line(greatest, name="greatest", colour=VERMILION, line=_DOTTED),
    ]


def _line(
    curve: Curve,
    row: int,
    name: str,
    *,
    scale: float = 1.0,
    colour: str = _BLUE,
    line: Json | None = None,
    unit: str | None = None,
    decimals: int = 3,
) -> Json:
    """A trace; the number of a point is shown with so many decimals."""
    scaled = curve.values * scale
    digits = max(_digits(scaled), decimals)
    values = [None if np.isnan(value) else round(value, digits) for value in scaled.tolist()]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": _differences(np.rint(curve.at_ns / 1e6).astype(np.int64)),  # Plotly's dates: ms since the epoch
        "y": values,
        "yaxis": axis("y", row),
        "line": {"color": colour, "width": 1.5} | (line or {}),
        "hovertemplate": f"%{{y:.{decimals}f}} {unit or _UNITS[row - 1]}",
    }


def _differences(at_ms: Integers) -> list[int]:
    """The first instant, then the difference of each from the one before: a third of the characters."""
    found: list[int] = np.diff(at_ms, prepend=0).tolist()
    return found


def _digits(values: Floats) -> int:
    """How many decimals show all that a page can of a curve; a hover shows three."""
    known = values[np.isfinite(values)]
    extent = float(known.max() - known.min()) if known.size else 0.0
    return min(max(3, math.ceil(4.3 - math.log10(max(extent, 1e-9)))), 6)
