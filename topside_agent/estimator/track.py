"""A track: the offset at every exchange, as it was known at that instant or as it is known afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from schemas.exchange import Exchange
from topside_agent.estimator.constraints import Constraint
from topside_agent.estimator.estimate import Added, Estimate
from topside_agent.estimator.online import OffsetEstimator
from topside_agent.estimator.order import in_order
from topside_agent.estimator.segments import Cause
from topside_agent.estimator.settings import EstimatorSettings

State = Literal["ok", "holdover", "ambiguous", "outside"]

_SHORTEST_NS = 8_000_000_000
"""Of a segment shorter than this no drift is told."""


class Row(NamedTuple):
    """The offset (Pi − topside, ns) at the destination of one exchange; a line of `offsets.csv`.

    `pi_unix_ns` is `topside_unix_ns + offset_ns`. `ambiguous` rows lie so near to a cut that they may belong
    to either side.
    """

    vehicle: str
    topside: str
    topside_unix_ns: int
    pi_unix_ns: int
    offset_ns: int
    lower_ns: int
    upper_ns: int
    u95_ns: int | None
    segment: int
    state: State


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch without a cut, from its first exchange to its last (topside's realtime).

    `offset_ns` holds at `from_ns`; `drift_ppm` is the mean from there to `to_ns` (None within 8 s);
    `max_error_ns` is the greatest of its rows.
    """

    segment: int
    cause: Cause
    from_ns: int
    to_ns: int
    offset_ns: int
    drift_ppm: float | None
    max_error_ns: int


@dataclass(frozen=True, slots=True)
class Track:
    """One vehicle's rows in the order of time, its segments, and the estimate at the last exchange."""

    rows: list[Row]
    segments: list[Segment]
    final: Estimate | None
    exchanges: int
    rejected: int


@dataclass(slots=True)
class Fed:
    """An accepted exchange on its way into a track."""

    exchange: Exchange
    constraint: Constraint
    segment: int
    begins_run: bool
    ambiguous: bool = False


class Feed:
    """Puts exchanges through an estimator and keeps the accepted ones with their segments and causes."""

    def __init__(self, estimator: OffsetEstimator) -> None:
        self.estimator = estimator
        self.causes: list[Cause] = []
        self._taken: list[Fed] = []
        self._cut_at_ns = 0

    def add(self, exchange: Exchange) -> Fed | None:
        """Put `exchange` in; None if it was refused."""
        run = self.estimator.run
        added = self.estimator.add(exchange)
        if not added.accepted:
            return None
        constraint = self.estimator.constraint
        assert constraint is not None
        begins = self.estimator.run is not run
        if run is None:
            self.causes.append("start")
        if added.cut is not None:
            self._cut(added, constraint)
        # A late exchange from before a step that RAW ran through belongs to the segment before it.
        before = added.cut is None and not begins and constraint.destination_ns < self._cut_at_ns
        fed = Fed(exchange, constraint, self.estimator.segment - before, begins)
        self._taken.append(fed)
        return fed

    def _cut(self, added: Added, constraint: Constraint) -> None:
        assert added.cut is not None
        self.causes.append(added.cut.cause)
        self._cut_at_ns = constraint.destination_ns
        for fed in reversed(self._taken):
            if (
                fed.exchange.destination_ns <= added.cut.ambiguous_from_ns
                or fed.segment < len(self.causes) - 2
            ):
                break
            fed.ambiguous = True


def online(exchanges: Iterable[Exchange], settings: EstimatorSettings = EstimatorSettings()) -> Track:  # noqa: B008
    """What was knowable at each instant: every row is the online estimate after that exchange."""
    estimator = OffsetEstimator(settings)
    feed = Feed(estimator)
    pairs: list[tuple[Fed, Estimate]] = []
    for exchange in in_order(exchanges):
        fed = feed.add(exchange)
        if fed is None:
            continue
        estimate = estimator.estimate_at(fed.constraint)
        assert estimate is not None
        pairs.append((fed, estimate))
    rows = [
        make_row(fed, (estimate.offset_ns, estimate.lower_ns, estimate.upper_ns), estimate.u95_ns)
        for fed, estimate in sorted(pairs, key=lambda pair: in_time(pair[0]))
    ]
    return make_track(rows, feed, estimator.estimate())


def in_time(fed: Fed) -> tuple[int, int]:
    """Sorts by segment, then by topside's clock that is estimated on: realtime may have been set back."""
    return fed.segment, fed.constraint.destination_ns


def make_row(fed: Fed, offset_lower_upper_ns: tuple[int, int, int], u95_ns: int | None) -> Row:
    """A row for `fed`, all in ns."""
    exchange = fed.exchange
    offset, lower, upper = offset_lower_upper_ns
    return Row(
        exchange.vehicle,
        exchange.topside,
        exchange.destination_ns,
        exchange.destination_ns + offset,
        offset,
        lower,
        upper,
        u95_ns,
        fed.segment,
        "ambiguous" if fed.ambiguous else "ok",
    )


def make_track(rows: list[Row], feed: Feed, final: Estimate | None) -> Track:
    """The track of `rows`, which are sorted by time."""
    by_segment: dict[int, list[Row]] = {}
    for row in rows:
        by_segment.setdefault(row.segment, []).append(row)
    segments = [_segment(listed, feed.causes[segment]) for segment, listed in by_segment.items()]
    return Track(rows, segments, final, len(rows), feed.estimator.rejected)


def _segment(rows: Sequence[Row], cause: Cause) -> Segment:
    first, last = rows[0], rows[-1]
    span_ns = last.topside_unix_ns - first.topside_unix_ns
    drift = (last.offset_ns - first.offset_ns) / span_ns * 1e6 if span_ns >= _SHORTEST_NS else None
    worst = max(max(row.upper_ns - row.offset_ns, row.offset_ns - row.lower_ns) for row in rows)
    return Segment(
        first.segment, cause, first.topside_unix_ns, last.topside_unix_ns, first.offset_ns, drift, worst
    )
