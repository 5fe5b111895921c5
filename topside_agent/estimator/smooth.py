"""The smoothed track: what is known afterwards about every exchange, from those before and after it."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor, sqrt

import numpy as np

from schemas.exchange import Exchange
from topside_agent.estimator.backward import backward, block_extremes
from topside_agent.estimator.estimate import Estimate
from topside_agent.estimator.known_drift import KnownDriftFit
from topside_agent.estimator.lines import Floats, Integers, Windows
from topside_agent.estimator.online import OffsetEstimator
from topside_agent.estimator.order import in_order
from topside_agent.estimator.run import Run
from topside_agent.estimator.settings import EstimatorSettings
from topside_agent.estimator.smoother_windows import Rung, Stretch, centred, fit, pooled
from topside_agent.estimator.track import Fed, Feed, Row, Track, in_time, make_row, make_track
from topside_agent.estimator.window import DRIFT_95

_YOUNG_S = 64.0
"""In a shorter stretch the drift from elsewhere serves better than its own."""


@dataclass(slots=True)
class _Passage:
    """One run as the online pass saw it, in plain numbers: 100 000 objects more slow Python down.

    `numbers` has seven for each exchange: its bounds with their times, the interval that was known online
    (ns, the run's scale), and the run's drift (ns/s).
    """

    run: Run
    fed: list[Fed]
    numbers: array[float]

    def table(self) -> Floats:
        """`numbers`, a row per exchange."""
        return np.array(self.numbers, dtype=np.float64).reshape(-1, 7)


class _Columns:
    """A run's exchanges as arrays, in the order of their destinations, ambiguous ones left out."""

    def __init__(self, passage: _Passage, settings: EstimatorSettings) -> None:
        self.run = passage.run
        table = passage.table()
        sound = np.flatnonzero([not fed.ambiguous for fed in passage.fed])
        order = sound[np.argsort(table[sound, 2], kind="stable")]
        self.fed = [passage.fed[index] for index in order.tolist()]
        columns = table[order].T.copy()
        self.facts = Windows(*columns[:4])
        self.low, self.high, self.slope = columns[4:]
        self.place = np.floor(self.facts.lower_at / settings.block_s).astype(np.int64)
        self.offset = (self.low + self.high) / 2
        self.variance = np.full(len(self.fed), np.nan)
        self.drift = self.slope.copy()
        self.drift_variance = np.full(len(self.fed), np.nan)


def smooth(exchanges: Iterable[Exchange], settings: EstimatorSettings = EstimatorSettings()) -> Track:  # noqa: B008
    """Estimate every exchange's offset from all of its segment.

    The intervals are intersected with those known online, so each lies within its own. A wall-clock step that
    RAW ran through is no border for what is estimated on RAW; nothing reaches across any other cut.
    """
    feed, passages = _forward(exchanges, settings)
    runs = [_Columns(passage, settings) for passage in passages]
    _estimate(runs, settings)
    for run in runs:
        low, high = backward(run.facts, run.place, run.slope, run.run.bound.limits, settings)
        run.low, run.high = np.maximum(run.low, low), np.minimum(run.high, high)
        run.offset = np.clip(run.offset, run.low, run.high)
    rows = [pair for run in runs for pair in _rows(run, settings)]
    rows += [pair for passage in passages for pair in _ambiguous(passage, settings)]
    rows.sort(key=lambda pair: in_time(pair[0]))
    return make_track([row for _, row in rows], feed, _final(feed.estimator, runs, rows))


def _forward(exchanges: Iterable[Exchange], settings: EstimatorSettings) -> tuple[Feed, list[_Passage]]:
    """The online pass: cuts, and the interval that was known at each exchange."""
    feed = Feed(OffsetEstimator(settings, points=False))
    passages: list[_Passage] = []
    for exchange in in_order(exchanges):
        fed = feed.add(exchange)
        if fed is None:
            continue
        run = feed.estimator.run
        assert run is not None
        if fed.begins_run:
            passages.append(_Passage(run, [], array("d")))
        facts = run.relative(fed.constraint)
        low, high = run.bound.at(facts.lower_at)
        passages[-1].fed.append(fed)
        passages[-1].numbers.extend((*facts, low, high, run.blocks.slope))
    return feed, passages


def _estimate(runs: list[_Columns], settings: EstimatorSettings) -> None:
    """Fill in the runs' point estimates, stretch by stretch."""
    stretches = [(run, stretch) for run in runs for stretch in _stretches(run, settings)]
    fits = [(stretch, fit(stretch, settings)) for _, stretch in stretches]
    errors = pooled(fits, settings)
    short = []
    for (run, stretch), (_, rungs) in zip(stretches, fits, strict=True):
        if rungs and errors[0] > 0 and stretch.blocks.upper.size * settings.block_s >= _YOUNG_S:
            _fill_long(run, stretch, rungs, errors, settings)
        else:
            short.append((run, stretch, rungs))
    known = _any_drift(runs)
    for run, stretch, rungs in short:
        if rungs and errors[0] > 0 and known is None:
            _fill_long(run, stretch, rungs, errors, settings)
        else:
            _fill_short(run, stretch, errors[0], known, settings)


def _any_drift(runs: list[_Columns]) -> tuple[float, float] | None:
    """A drift (ns/s) and its squared error from any stretch that is long enough to have one."""
    for run in runs:
        found = np.flatnonzero(np.isfinite(run.drift_variance))
        if found.size:
            return float(run.drift[found[0]]), float(run.drift_variance[found[0]])
    return None


def _stretches(run: _Columns, settings: EstimatorSettings) -> list[Stretch]:
    """The run's blocks on dense grids, parted at long silences."""
    if not run.fed:
        return []
    numbers, extremes = block_extremes(run.facts, run.place, run.slope)
    holes = np.flatnonzero(np.diff(numbers) > settings.gap_s / settings.block_s) + 1
    parts = zip(np.split(numbers, holes), *(np.split(column, holes) for column in extremes), strict=True)
    return [_dense(part[0], Windows(*part[1:]), settings.block_s) for part in parts]


def _dense(numbers: Integers, extremes: Windows, block_s: float) -> Stretch:
    first = int(numbers[0])
    size = int(numbers[-1]) - first + 1
    grid_s = np.arange(first, first + size, dtype=np.float64) * block_s
    blocks = Windows(grid_s, np.full(size, np.inf), grid_s.copy(), np.full(size, -np.inf))
    for column, values in zip(blocks, extremes, strict=True):
        column[numbers - first] = values
    return Stretch(first, blocks)


def _inside(run: _Columns, stretch: Stretch) -> slice:
    size = stretch.blocks.upper.size
    begin, end = np.searchsorted(run.place, [stretch.first, stretch.first + size])
    return slice(int(begin), int(end))


def _fill_long(
    run: _Columns, stretch: Stretch, rungs: list[Rung], errors: list[float], settings: EstimatorSettings
) -> None:
    rows = _inside(run, stretch)
    at_s = run.facts.lower_at[rows]
    nodes = centred(stretch, rungs, errors, settings)
    factor = settings.u95_factor_centred
    factors = factor + (settings.u95_factor - factor) * (1 - nodes.inside) ** 2
    run.offset[rows] = np.interp(at_s, nodes.at_s, nodes.offset)
    run.variance[rows] = np.interp(at_s, nodes.at_s, nodes.variance * factors**2)
    run.drift[rows] = np.interp(at_s, nodes.at_s, nodes.slope)
    run.drift_variance[rows] = np.interp(at_s, nodes.at_s, nodes.slope_variance)


def _fill_short(
    run: _Columns,
    stretch: Stretch,
    shortest: float,
    known: tuple[float, float] | None,
    settings: EstimatorSettings,
) -> None:
    """A stretch too short for a drift of its own: the middle between the bounds along one from elsewhere."""
    rows = _inside(run, stretch)
    at_s = run.facts.lower_at[rows]
    slope = known[0] if known else float(run.slope[rows][-1])
    steady = KnownDriftFit(slope, known[1] if known else (settings.rate_limit_ppm * 1e3 / 2) ** 2)
    for facts in zip(*(column[rows].tolist() for column in run.facts), strict=True):
        steady.add(*facts)
    line = steady.line(float(at_s[-1]), (settings.ladder_s[0], shortest) if shortest else None)
    run.offset[rows] = line.offset + slope * (at_s - line.at_s)
    run.variance[rows] = line.variance * settings.u95_factor**2
    run.drift[rows] = slope
    run.drift_variance[rows] = known[1] if known else np.nan


def _rows(run: _Columns, settings: EstimatorSettings) -> list[tuple[Fed, Row]]:
    """The run's rows: realtime is added back, and what slewing may have changed on the way is allowed for."""
    grown = _slew(run.run, settings) * np.maximum(run.high - run.facts.lower, 0.0)
    worst = np.maximum(run.high - run.offset, run.offset - run.low) + grown
    columns = zip(
        run.fed,
        run.offset.tolist(),
        (run.low - grown).tolist(),
        (run.high + grown).tolist(),
        np.minimum(np.sqrt(run.variance), worst).tolist(),
        strict=True,
    )
    return [
        (fed, _row(fed, run.run, (offset, low, high), ceil(u95))) for fed, offset, low, high, u95 in columns
    ]


def _slew(run: Run, settings: EstimatorSettings) -> float:
    """How fast realtime may have left what was read beside RAW: ns/ns; 0 where realtime is estimated."""
    return settings.slew_limit_ppm * 1e-6 if run.raw else 0.0


def _ambiguous(passage: _Passage, settings: EstimatorSettings) -> list[tuple[Fed, Row]]:
    """Rows near a cut keep what was known online."""
    rows = []
    for fed, numbers in zip(passage.fed, passage.table().tolist(), strict=True):
        if fed.ambiguous:
            lower, low, high = numbers[3:6]
            grown = _slew(passage.run, settings) * max(high - lower, 0.0)
            rows.append((fed, _row(fed, passage.run, ((low + high) / 2, low - grown, high + grown), None)))
    return rows


def _row(fed: Fed, run: Run, offset_low_high: tuple[float, float, float], u95_ns: int | None) -> Row:
    offset, low, high = offset_low_high
    base_ns = run.offset_anchor_ns + fed.constraint.realtime_offset_ns
    return make_row(fed, (base_ns + round(offset), base_ns + floor(low), base_ns + ceil(high)), u95_ns)


def _final(estimator: OffsetEstimator, runs: list[_Columns], rows: list[tuple[Fed, Row]]) -> Estimate | None:
    """The estimate at the last exchange, with what the smoothed track says there."""
    estimate = estimator.estimate()
    if estimate is None or not rows:
        return None
    row, run = rows[-1][1], runs[-1]
    estimate = estimate._replace(
        measured_at_ns=row.topside_unix_ns,
        offset_ns=row.offset_ns,
        lower_ns=row.lower_ns,
        upper_ns=row.upper_ns,
        u95_ns=row.u95_ns,
    )
    if not run.fed or not np.isfinite(run.drift_variance[-1]):
        return estimate
    error = DRIFT_95 * sqrt(run.drift_variance[-1])
    return estimate._replace(drift_ppm=float(run.drift[-1]) * 1e-3, drift_error_ppm=error * 1e-3)
