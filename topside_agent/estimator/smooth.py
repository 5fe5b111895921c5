"""The smoothed track: what is known afterwards about every exchange, from those before and after it.

A forward pass (the online estimator without points) finds the cuts and bounds; then each timebase gets its
points and bounds from both sides. Nothing reaches across a break of the clocks (docs/mathematics.md §10).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import ceil, floor, sqrt

import numpy as np
from numpy.typing import NDArray

from schemas.exchange import Exchange
from topside_agent.estimator.between import bounds_between
from topside_agent.estimator.blocks import Bounds, Floats, Integers, block_extremes
from topside_agent.estimator.bound import backward_bounds
from topside_agent.estimator.constraints import (
    differences_within_ns,
    estimation_ns,
    in_order,
    realtime_offsets_ns,
)
from topside_agent.estimator.estimate import Estimate
from topside_agent.estimator.exchanges import Exchanges
from topside_agent.estimator.online import OffsetEstimator
from topside_agent.estimator.proved_rate import proved_rate_ppm
from topside_agent.estimator.rows import Row, RowColumns, Rows
from topside_agent.estimator.settings import EstimatorSettings
from topside_agent.estimator.smoother_arrays import ForwardPass, TimebaseArrays
from topside_agent.estimator.smoother_averages import with_averages
from topside_agent.estimator.smoother_even import EvenStretches
from topside_agent.estimator.smoother_windows import (
    DenseBlocks,
    Pooled,
    WindowLines,
    at_boundaries,
    fit,
    pooled,
)
from topside_agent.estimator.symmetric import KnownDriftFit
from topside_agent.estimator.track import Accepted, Track, TrackBuilder, in_time, see_slews, stream_of
from topside_agent.estimator.window_errors import DRIFT_95

_CHUNK = 4096
_LIFTED = 2.0  # as sure as two standard deviations
_YOUNG_S = 64.0  # for fewer seconds of blocks a drift from elsewhere is better than their own


def smooth(exchanges: Iterable[Exchange], settings: EstimatorSettings = EstimatorSettings()) -> Track:  # noqa: B008
    """The track of one vehicle and topside, each exchange's offset estimated from all of its timebase.

    Every interval is intersected with the one known online, so it lies within that. A wall clock's step that
    RAW ran through does not limit what is estimated on RAW.
    """
    ordered = in_order(exchanges)
    builder, passes, even = _forward(ordered, settings)
    accepted = builder.accepted()
    see_slews(accepted)
    ends = [
        (each.timebase, accepted.exchanges[each.first], accepted.exchanges[each.first + each.size - 1])
        for each in passes
    ]
    smoothed = [TimebaseArrays(passes.pop(0), accepted, settings) for _ in ends]
    _estimate(smoothed, settings)
    for arrays in smoothed:
        limits = arrays.timebase.bound.limits
        known = arrays.bounds, arrays.block, arrays.slope
        arrays.narrow(*backward_bounds(*known, limits, settings))
        arrays.narrow(*bounds_between(*known, limits, settings.block_s))
        arrays.offset = np.clip(arrays.offset - settings.asymmetry_ns, arrays.low, arrays.high)
    rows = _all_rows(smoothed, accepted, even, stream_of(ordered), settings)
    track = builder.track(rows, _final(builder.estimator, smoothed, rows))
    return replace(track, rate_ppm=proved_rate_ppm(ends, settings))


def _forward(
    exchanges: Exchanges, settings: EstimatorSettings
) -> tuple[TrackBuilder, list[ForwardPass], EvenStretches]:
    builder = TrackBuilder(OffsetEstimator(settings, points=False), exchanges)
    passes: list[ForwardPass] = []
    even = EvenStretches(builder.estimator.even)
    for place, exchange in enumerate(exchanges):
        constraint = builder.add(place, exchange)
        if constraint is None:
            continue
        timebase = builder.estimator.timebase
        assert timebase is not None
        if builder.begins_timebase:
            passes.append(ForwardPass(timebase, len(builder) - 1, array("d")))
        bounds = timebase.relative(constraint)
        low, high = timebase.bound.at(bounds.lower_at)
        passes[-1].numbers.extend((*bounds, low, high, timebase.blocks.slope))
        even.add(len(builder) - 1, constraint)
    kept = builder.estimator.settings  # a promised rate that was contradicted never held
    return (builder, passes, even) if kept == settings else _forward(exchanges, kept)


def _estimate(smoothed: list[TimebaseArrays], settings: EstimatorSettings) -> None:
    """Fill in the point estimates, from one gap to the next."""
    parts = [(arrays, dense) for arrays in smoothed for dense in _between_gaps(arrays, settings)]
    for arrays, dense in parts:
        arrays.see_delays(dense)
    fits = [(dense, fit(dense, settings, arrays.timebase.steepest)) for arrays, dense in parts]
    measured = pooled(fits, settings)
    shortest = measured.errors[0]
    short = []
    for (arrays, dense), (_, lines) in zip(parts, fits, strict=True):
        if lines and shortest > 0 and dense.bounds.upper.size * settings.block_s >= _YOUNG_S:
            _fill_from_windows(arrays, dense, lines, measured, settings)
        else:
            short.append((arrays, dense, lines))
    known = _any_drift(smoothed)
    for arrays, dense, lines in short:
        if lines and shortest > 0 and known is None:
            _fill_from_windows(arrays, dense, lines, measured, settings)
        else:
            _fill_along_drift(arrays, dense, shortest, known, settings)


def _any_drift(smoothed: list[TimebaseArrays]) -> tuple[float, float] | None:
    """A drift (ns/s) and its squared error from any timebase that is long enough to have one."""
    for arrays in smoothed:
        if arrays.first_drift:
            return arrays.first_drift.slope, arrays.first_drift.variance
    return None


def _between_gaps(arrays: TimebaseArrays, settings: EstimatorSettings) -> list[DenseBlocks]:
    """The timebase's blocks on dense grids, split at gaps (`gap_s`)."""
    if not arrays.places.size:
        return []
    numbers, extremes = block_extremes(arrays.bounds, arrays.block, arrays.slope)
    gaps = np.flatnonzero(np.diff(numbers) > settings.gap_s / settings.block_s) + 1
    groups = zip(np.split(numbers, gaps), *(np.split(column, gaps) for column in extremes), strict=True)
    return [_dense(group[0], Bounds(*group[1:]), settings.block_s) for group in groups]


def _dense(numbers: Integers, extremes: Bounds, block_s: float) -> DenseBlocks:
    first = int(numbers[0])
    size = int(numbers[-1]) - first + 1
    grid_s = np.arange(first, first + size, dtype=np.float64) * block_s
    bounds = Bounds(grid_s, np.full(size, np.inf), grid_s.copy(), np.full(size, -np.inf))
    for column, values in zip(bounds, extremes, strict=True):
        column[numbers - first] = values
    return DenseBlocks(first, bounds)


def _fill_from_windows(
    arrays: TimebaseArrays,
    dense: DenseBlocks,
    lines: list[WindowLines],
    measured: Pooled,
    settings: EstimatorSettings,
) -> None:
    rows = arrays.indices_of(dense)
    at_s = arrays.bounds.lower_at[rows]
    nodes = at_boundaries(dense, lines, measured.errors, settings)
    nodes = with_averages(dense, arrays.bounds.part(rows), arrays.block[rows], nodes, settings)
    factors = nodes.middle + (settings.u95_factor - nodes.middle) * (1 - nodes.inside) ** 2
    arrays.offset[rows] = np.interp(at_s, nodes.at_s, nodes.offset)
    squared = nodes.variance * measured.doubt(nodes.window_s) * factors**2 + _LIFTED**2 * nodes.lifted
    arrays.variance[rows] = np.interp(at_s, nodes.at_s, squared)
    drifts = (np.interp(at_s, nodes.at_s, each) for each in (nodes.slope, nodes.slope_variance))
    arrays.see_drift(rows, *drifts)


def _fill_along_drift(
    arrays: TimebaseArrays,
    dense: DenseBlocks,
    shortest: float,
    known: tuple[float, float] | None,
    settings: EstimatorSettings,
) -> None:
    """Too few blocks for a drift of their own: the middle between the bounds along one from elsewhere."""
    rows = arrays.indices_of(dense)
    at_s = arrays.bounds.lower_at[rows]
    slope, variance = known or arrays.timebase.likely_drift()
    along = KnownDriftFit(slope, variance)
    for bounds in zip(*(column.tolist() for column in arrays.bounds.part(rows)), strict=True):
        along.add(*bounds)
    line = along.line(float(at_s[-1]), (settings.windows_s[0], shortest) if shortest else None)
    arrays.offset[rows] = line.offset + slope * (at_s - line.at_s)
    arrays.variance[rows] = line.variance * settings.u95_factor**2
    arrays.see_drift(rows, *np.full((2, at_s.size), [[slope], [known[1] if known else np.nan]]))


def _all_rows(
    smoothed: list[TimebaseArrays],
    accepted: Accepted,
    even: EvenStretches,
    stream: tuple[str, str],
    settings: EstimatorSettings,
) -> Rows:
    """The rows of all timebases, in the order of time."""
    rows = RowColumns()
    for arrays in smoothed:
        _add_rows(rows, arrays, settings)
    for arrays in smoothed:
        _add_ambiguous(rows, arrays)
    parts: list[Integers] = [np.empty(0, dtype=np.int64)]
    parts += [each.places.astype(np.int64) for each in smoothed]
    parts += [each.ambiguous for each in smoothed]
    places = np.concatenate(parts)
    found = rows.taken(stream)
    even.narrow(found, places, accepted.exchanges)
    return in_time(found, estimation_ns(accepted.exchanges.at(places)))


def _add_rows(rows: RowColumns, arrays: TimebaseArrays, settings: EstimatorSettings) -> None:
    """Add the rows: realtime is added back, and the bounds allow for what it did meanwhile."""
    for begin in range(0, arrays.places.size, _CHUNK):  # Python's numbers of all rows would fill the memory
        here = slice(begin, begin + _CHUNK)
        of = _of(arrays.accepted, arrays.places[here])
        values = zip(*(column.tolist() for column in _intervals(arrays, here, settings)), strict=True)
        for named, (*interval, u95_ns, realtime_ns) in zip(of, values, strict=True):
            _add_row(rows, arrays, named, interval, u95_ns=ceil(u95_ns), realtime_ns=realtime_ns)


def _intervals(arrays: TimebaseArrays, here: slice, settings: EstimatorSettings) -> tuple[Floats, ...]:
    """Of these of its exchanges: offset, least, greatest, u95, and what of it is for realtime; ns."""
    accepted, places = arrays.accepted, arrays.places[here]
    offset, low, high = arrays.offset[here], arrays.low[here], arrays.high[here]
    exchanges = accepted.exchanges.at(places)
    moved = accepted.stepped_ns[places] + differences_within_ns(exchanges, directly=accepted.directly)
    grown = accepted.slew[places] * np.maximum(high - arrays.bounds.lower[here], 0.0) + moved
    worst = np.maximum(high - offset, offset - low) + grown
    u95 = np.sqrt(arrays.variance[here]) + settings.asymmetry_share * arrays.least_half[here]
    return offset, low - grown, high + grown, np.minimum(u95, worst), grown


def _of(accepted: Accepted, places: NDArray[np.integer]) -> Iterable[tuple[int, int, int]]:
    """Of each exchange its place, its destination, and its realtime − RAW of the Pi less topside's, ns."""
    exchanges = accepted.exchanges.at(places)
    destinations = exchanges.column("destination_ns").tolist()
    return zip(places.tolist(), destinations, realtime_offsets_ns(exchanges), strict=True)


def _add_ambiguous(rows: RowColumns, arrays: TimebaseArrays) -> None:
    """Add the rows near a cut, which keep what was known online."""
    places = arrays.ambiguous
    columns = (column.tolist() for column in arrays.online)
    for of, lower, low, high in zip(_of(arrays.accepted, places), *columns, strict=True):
        grown = arrays.accepted.slew[of[0]] * max(high - lower, 0.0)
        _add_row(rows, arrays, of, ((low + high) / 2, low - grown, high + grown))


def _add_row(
    rows: RowColumns,
    arrays: TimebaseArrays,
    of: tuple[int, int, int],
    interval: Sequence[float],
    *,
    u95_ns: int | None = None,
    realtime_ns: float = 0.0,
) -> None:
    """The row of one of the accepted exchanges, as `_of` names it."""
    place, destination_ns, realtime_offset_ns = of
    base_ns = arrays.timebase.offset_anchor_ns + realtime_offset_ns
    offset, low, high = interval
    rows.add(
        destination_ns,
        base_ns + round(offset),
        (base_ns + floor(low), base_ns + ceil(high)),
        u95_ns,
        int(arrays.accepted.segment[place]),
        state="ambiguous" if arrays.accepted.ambiguous[place] else "ok",
        realtime_ns=realtime_ns,
    )


def _final(estimator: OffsetEstimator, smoothed: list[TimebaseArrays], rows: Rows) -> Estimate | None:
    """The estimate at the last exchange, with the smoothed track's values."""
    estimate = estimator.estimate()
    if estimate is None or not rows:
        return None
    row, arrays = rows[-1], smoothed[-1]
    estimate = estimate._replace(
        measured_at_ns=row.topside_unix_ns,
        offset_ns=row.offset_ns,
        lower_ns=row.lower_ns,
        upper_ns=row.upper_ns,
        u95_ns=row.u95_ns,
        conditional=True,
        precision_ns=_precision(arrays, row),
    )
    if arrays.last_drift is None:
        return estimate
    error = DRIFT_95 * sqrt(arrays.last_drift.variance)
    return estimate._replace(drift_ppm=arrays.last_drift.slope * 1e-3, drift_error_ppm=error * 1e-3)


def _precision(arrays: TimebaseArrays, row: Row) -> int | None:
    """The statistical part (ns) of the last row's `u95_ns`."""
    if row.u95_ns is None or not arrays.places.size:
        return None
    return min(ceil(sqrt(arrays.variance[-1])), row.u95_ns)
