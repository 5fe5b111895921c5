"""The smoothed track: what is known afterwards about every exchange, from those before and after it.

A forward pass (the online estimator without points) finds the cuts and bounds; then each timebase gets its
points and bounds from both sides. Nothing reaches across a break of the clocks (docs/mathematics.md §10).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import ceil, floor, sqrt

import numpy as np

from schemas.exchange import Exchange
from topside_agent.estimator.between import bounds_between
from topside_agent.estimator.blocks import Bounds, Floats, Integers, block_extremes
from topside_agent.estimator.bound import ROUNDING_NS, backward_bounds
from topside_agent.estimator.constraints import in_order
from topside_agent.estimator.estimate import Estimate
from topside_agent.estimator.online import OffsetEstimator
from topside_agent.estimator.proved_rate import proved_rate_ppm
from topside_agent.estimator.settings import EstimatorSettings
from topside_agent.estimator.smoother_averages import with_averages
from topside_agent.estimator.smoother_windows import DenseBlocks, WindowLines, at_boundaries, fit, pooled
from topside_agent.estimator.symmetric import KnownDriftFit
from topside_agent.estimator.timebase import Timebase
from topside_agent.estimator.track import Accepted, Row, Track, TrackBuilder, see_slews
from topside_agent.estimator.window_errors import DRIFT_95

_YOUNG_S = 64.0  # for fewer seconds of blocks a drift from elsewhere is better than their own


@dataclass(slots=True)
class _Forward:
    """A timebase as the forward pass saw it, in plain numbers: 100 000 more objects slow Python down.

    `numbers` has seven for each exchange: its bounds with their times, the interval that was known online
    (ns, relative to the anchor), and the drift (ns/s).
    """

    timebase: Timebase
    accepted: list[Accepted]
    numbers: array[float]

    def table(self) -> Floats:
        """`numbers`, shape (exchanges, 7)."""
        return np.array(self.numbers, dtype=np.float64).reshape(-1, 7)


class _Arrays:
    """A timebase's exchanges as arrays, in the order of their destinations, without ambiguous ones."""

    def __init__(self, forward: _Forward, settings: EstimatorSettings) -> None:
        self.timebase = forward.timebase
        table = forward.table()
        sound = np.flatnonzero([not accepted.ambiguous for accepted in forward.accepted])
        order = sound[np.argsort(table[sound, 2], kind="stable")]
        self.accepted = [forward.accepted[index] for index in order.tolist()]
        columns = table[order].T.copy()
        self.bounds = Bounds(*columns[:4])
        self.low, self.high, self.slope = columns[4:]
        self.block = np.floor(self.bounds.lower_at / settings.block_s).astype(np.int64)
        self.offset = (self.low + self.high) / 2
        self.least_half = np.zeros(len(self.accepted))
        """Half the least round trip between the gaps around each exchange, ns."""
        self.variance = np.full(len(self.accepted), np.nan)
        self.drift = self.slope.copy()
        self.drift_variance = np.full(len(self.accepted), np.nan)

    def indices_of(self, dense: DenseBlocks) -> slice:
        """The exchanges within these blocks."""
        size = dense.bounds.upper.size
        begin, end = np.searchsorted(self.block, [dense.first, dense.first + size])
        return slice(int(begin), int(end))

    def narrow(self, low: Floats, high: Floats) -> None:
        """Intersect the intervals with these (ns); where nothing is left the row is ambiguous."""
        low, high = np.maximum(self.low, low), np.minimum(self.high, high)
        self.low, self.high = np.where(low <= high, (low, high), (self.low, self.high))
        for index in np.flatnonzero(low > high + ROUNDING_NS).tolist():
            self.accepted[index].ambiguous = True

    def see_delays(self, dense: DenseBlocks) -> None:
        """Note the least round trip within these blocks."""
        rows = self.indices_of(dense)
        least_ns = min(accepted.constraint.delay_ns for accepted in self.accepted[rows])
        self.least_half[rows] = max(least_ns, 0) / 2


def smooth(exchanges: Iterable[Exchange], settings: EstimatorSettings = EstimatorSettings()) -> Track:  # noqa: B008
    """The track of one vehicle and topside, each exchange's offset estimated from all of its timebase.

    Every interval is intersected with the one known online, so it lies within that. A wall clock's step that
    RAW ran through does not limit what is estimated on RAW.
    """
    builder, passes = _forward(in_order(exchanges), settings)
    see_slews([accepted for forward in passes for accepted in forward.accepted])
    smoothed = [_Arrays(forward, settings) for forward in passes]
    _estimate(smoothed, settings)
    for arrays in smoothed:
        limits = arrays.timebase.bound.limits
        known = arrays.bounds, arrays.block, arrays.slope
        arrays.narrow(*backward_bounds(*known, limits, settings))
        arrays.narrow(*bounds_between(*known, limits, settings.block_s))
        arrays.offset = np.clip(arrays.offset - settings.asymmetry_ns, arrays.low, arrays.high)
    rows = [pair for arrays in smoothed for pair in _rows(arrays, settings)]
    rows += [pair for forward in passes for pair in _ambiguous(forward)]
    rows.sort(key=lambda pair: pair[0].in_time)
    track = builder.track([row for _, row in rows], _final(builder.estimator, smoothed, rows))
    return replace(
        track, rate_ppm=proved_rate_ppm(((each.timebase, each.accepted) for each in passes), settings)
    )


def _forward(exchanges: list[Exchange], settings: EstimatorSettings) -> tuple[TrackBuilder, list[_Forward]]:
    builder = TrackBuilder(OffsetEstimator(settings, points=False))
    passes: list[_Forward] = []
    for exchange in exchanges:
        accepted = builder.add(exchange)
        if accepted is None:
            continue
        timebase = builder.estimator.timebase
        assert timebase is not None
        if accepted.begins_timebase:
            passes.append(_Forward(timebase, [], array("d")))
        bounds = timebase.relative(accepted.constraint)
        low, high = timebase.bound.at(bounds.lower_at)
        passes[-1].accepted.append(accepted)
        passes[-1].numbers.extend((*bounds, low, high, timebase.blocks.slope))
    kept = builder.estimator.settings  # a promised rate that was contradicted never held
    return (builder, passes) if kept == settings else _forward(exchanges, kept)


def _estimate(smoothed: list[_Arrays], settings: EstimatorSettings) -> None:
    """Fill in the point estimates, from one gap to the next."""
    parts = [(arrays, dense) for arrays in smoothed for dense in _between_gaps(arrays, settings)]
    for arrays, dense in parts:
        arrays.see_delays(dense)
    fits = [(dense, fit(dense, settings, arrays.timebase.steepest)) for arrays, dense in parts]
    errors = pooled(fits, settings)
    short = []
    for (arrays, dense), (_, lines) in zip(parts, fits, strict=True):
        if lines and errors[0] > 0 and dense.bounds.upper.size * settings.block_s >= _YOUNG_S:
            _fill_from_windows(arrays, dense, lines, errors, settings)
        else:
            short.append((arrays, dense, lines))
    known = _any_drift(smoothed)
    for arrays, dense, lines in short:
        if lines and errors[0] > 0 and known is None:
            _fill_from_windows(arrays, dense, lines, errors, settings)
        else:
            _fill_along_drift(arrays, dense, errors[0], known, settings)


def _any_drift(smoothed: list[_Arrays]) -> tuple[float, float] | None:
    """A drift (ns/s) and its squared error from any timebase that is long enough to have one."""
    for arrays in smoothed:
        found = np.flatnonzero(np.isfinite(arrays.drift_variance))
        if found.size:
            return float(arrays.drift[found[0]]), float(arrays.drift_variance[found[0]])
    return None


def _between_gaps(arrays: _Arrays, settings: EstimatorSettings) -> list[DenseBlocks]:
    """The timebase's blocks on dense grids, split at gaps (`gap_s`)."""
    if not arrays.accepted:
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
    arrays: _Arrays,
    dense: DenseBlocks,
    lines: list[WindowLines],
    errors: list[float],
    settings: EstimatorSettings,
) -> None:
    rows = arrays.indices_of(dense)
    at_s = arrays.bounds.lower_at[rows]
    nodes = at_boundaries(dense, lines, errors, settings)
    nodes = with_averages(dense, arrays.bounds.part(rows), arrays.block[rows], nodes, settings)
    factor = settings.u95_factor_smoother
    factors = factor + (settings.u95_factor - factor) * (1 - nodes.inside) ** 2
    arrays.offset[rows] = np.interp(at_s, nodes.at_s, nodes.offset)
    arrays.variance[rows] = np.interp(at_s, nodes.at_s, nodes.variance * factors**2)
    arrays.drift[rows] = np.interp(at_s, nodes.at_s, nodes.slope)
    arrays.drift_variance[rows] = np.interp(at_s, nodes.at_s, nodes.slope_variance)


def _fill_along_drift(
    arrays: _Arrays,
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
    arrays.drift[rows] = slope
    arrays.drift_variance[rows] = known[1] if known else np.nan


def _rows(arrays: _Arrays, settings: EstimatorSettings) -> list[tuple[Accepted, Row]]:
    """The rows: realtime is added back, and the bounds allow for what it did meanwhile."""
    slews = np.array([accepted.slew for accepted in arrays.accepted])
    moved = np.array([each.stepped_ns + each.constraint.differences_within_ns for each in arrays.accepted])
    grown = slews * np.maximum(arrays.high - arrays.bounds.lower, 0.0) + moved
    for accepted, realtime_ns in zip(arrays.accepted, grown.tolist(), strict=True):
        accepted.realtime_ns = realtime_ns
    worst = np.maximum(arrays.high - arrays.offset, arrays.offset - arrays.low) + grown
    columns = zip(
        arrays.accepted,
        arrays.offset.tolist(),
        (arrays.low - grown).tolist(),
        (arrays.high + grown).tolist(),
        np.minimum(np.sqrt(arrays.variance) + settings.asymmetry_share * arrays.least_half, worst).tolist(),
        strict=True,
    )
    return [
        (accepted, _row(accepted, arrays.timebase, (offset, low, high), ceil(u95)))
        for accepted, offset, low, high, u95 in columns
    ]


def _ambiguous(forward: _Forward) -> list[tuple[Accepted, Row]]:
    """Rows near a cut keep what was known online."""
    rows = []
    for accepted, numbers in zip(forward.accepted, forward.table().tolist(), strict=True):
        if accepted.ambiguous:
            lower, low, high = numbers[3:6]
            grown = accepted.slew * max(high - lower, 0.0)
            interval = ((low + high) / 2, low - grown, high + grown)
            rows.append((accepted, _row(accepted, forward.timebase, interval, None)))
    return rows


def _row(
    accepted: Accepted, timebase: Timebase, interval: tuple[float, float, float], u95_ns: int | None
) -> Row:
    offset, low, high = interval
    base_ns = timebase.offset_anchor_ns + accepted.constraint.realtime_offset_ns
    return accepted.row(base_ns + round(offset), base_ns + floor(low), base_ns + ceil(high), u95_ns)


def _final(
    estimator: OffsetEstimator, smoothed: list[_Arrays], rows: list[tuple[Accepted, Row]]
) -> Estimate | None:
    """The estimate at the last exchange, with the smoothed track's values."""
    estimate = estimator.estimate()
    if estimate is None or not rows:
        return None
    row, arrays = rows[-1][1], smoothed[-1]
    estimate = estimate._replace(
        measured_at_ns=row.topside_unix_ns,
        offset_ns=row.offset_ns,
        lower_ns=row.lower_ns,
        upper_ns=row.upper_ns,
        u95_ns=row.u95_ns,
        conditional=True,
        precision_ns=_precision(arrays, row),
    )
    if not arrays.accepted or not np.isfinite(arrays.drift_variance[-1]):
        return estimate
    error = DRIFT_95 * sqrt(arrays.drift_variance[-1])
    return estimate._replace(drift_ppm=float(arrays.drift[-1]) * 1e-3, drift_error_ppm=error * 1e-3)


def _precision(arrays: _Arrays, row: Row) -> int | None:
    """The statistical part (ns) of the last row's `u95_ns`."""
    if row.u95_ns is None or not arrays.accepted:
        return None
    return min(ceil(sqrt(arrays.variance[-1])), row.u95_ns)
