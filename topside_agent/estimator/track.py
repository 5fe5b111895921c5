"""A track: the offset at every exchange, as it was known at that instant or as it is known afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from schemas.exchange import Exchange
from topside_agent.estimator.constraints import Constraint, in_order
from topside_agent.estimator.estimate import Added, Estimate
from topside_agent.estimator.online import OffsetEstimator
from topside_agent.estimator.segments import Cause
from topside_agent.estimator.settings import EstimatorSettings
from topside_agent.estimator.slews import FASTEST, readings_of, slew_of, unexplained_ns

RowState = Literal["ok", "holdover", "ambiguous", "outside"]

_SHORTEST_NS = 8_000_000_000
"""A segment shorter than this has no drift."""


class Row(NamedTuple):
    """The offset (Pi − topside, ns) at the destination of one exchange; a line of `offsets.csv`.

    `pi_unix_ns` is `topside_unix_ns + offset_ns`. `ambiguous` rows lie so near to a cut that they may belong
    to either side; so does the last one before a cut, as the Pi read its clock before the destination.
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
    state: RowState

    @property
    def max_error_ns(self) -> int:
        """How far the offset can be from the truth."""
        return max(self.upper_ns - self.offset_ns, self.offset_ns - self.lower_ns)


@dataclass(frozen=True, slots=True)
class Segment:
    """From the first exchange to the last (topside's realtime) between two cuts.

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
    rate_ppm: float = 0.0
    """How far apart the RAW clocks may run, as far as the exchanges prove it; 0 without RAW clocks."""
    realtime_ns: Mapping[int, float] = field(default_factory=dict)
    """By `topside_unix_ns`: how much wider a row is on either side for what the wall clocks may have done;
    the RAW clocks' bound is narrower by it."""


@dataclass(slots=True)
class Accepted:
    """An accepted exchange, with what its row needs; all in ns."""

    exchange: Exchange
    constraint: Constraint
    segment: int
    begins_timebase: bool
    ambiguous: bool = False
    slew: float = 0.0
    """How fast the Pi's realtime may move away from RAW on the way back, ns/ns."""
    stepped_ns: float = 0.0
    """How far it may have been stepped on the way back without a cut."""
    realtime_ns: float = 0.0
    """How much wider its row is on either side for all that the wall clocks may have done."""

    @property
    def in_time(self) -> tuple[int, int]:
        """Sorts by segment, then by topside's estimation clock: realtime may have been set back."""
        return self.segment, self.constraint.destination_ns

    def row(self, offset_ns: int, lower_ns: int, upper_ns: int, u95_ns: int | None) -> Row:
        """The exchange's row with this offset."""
        exchange = self.exchange
        return Row(
            exchange.vehicle,
            exchange.topside,
            exchange.destination_ns,
            exchange.destination_ns + offset_ns,
            offset_ns,
            lower_ns,
            upper_ns,
            u95_ns,
            self.segment,
            "ambiguous" if self.ambiguous else "ok",
        )


class TrackBuilder:
    """Adds exchanges to an estimator and keeps the accepted ones with their segments and causes."""

    def __init__(self, estimator: OffsetEstimator) -> None:
        self.estimator = estimator
        self.causes: list[Cause] = []
        self._accepted: list[Accepted] = []
        self._cut_at_ns = 0

    def add(self, exchange: Exchange) -> Accepted | None:
        """Add `exchange`; None if the estimator refuses it."""
        timebase = self.estimator.timebase
        added = self.estimator.add(exchange)
        if not added.accepted:
            return None
        constraint = self.estimator.constraint
        assert constraint is not None
        begins = self.estimator.timebase is not timebase
        if timebase is None:
            self.causes.append("start")
        if added.cut is not None:
            self._cut(added, constraint)
        # A late exchange from before a step that RAW ran through belongs to the segment before it.
        before = added.cut is None and not begins and constraint.destination_ns < self._cut_at_ns
        accepted = Accepted(exchange, constraint, self.estimator.segment - before, begins)
        self._accepted.append(accepted)
        return accepted

    def _cut(self, added: Added, constraint: Constraint) -> None:
        assert added.cut is not None
        self.causes.append(added.cut.cause)
        self._cut_at_ns = constraint.destination_ns
        # The Pi read its clock before its last answer left: until that arrived the clock may have been set.
        for accepted in reversed(self._accepted):
            if (
                accepted.exchange.destination_ns < added.cut.ambiguous_from_ns
                or accepted.segment < len(self.causes) - 2
            ):
                break
            accepted.ambiguous = True

    def track(self, rows: list[Row], final: Estimate | None) -> Track:
        """The track of `rows`, which are sorted by time."""
        by_segment: dict[int, list[Row]] = {}
        for row in rows:
            by_segment.setdefault(row.segment, []).append(row)
        segments = [_segment(listed, self.causes[segment]) for segment, listed in by_segment.items()]
        return Track(
            rows,
            segments,
            final,
            len(rows),
            self.estimator.rejected,
            realtime_ns={each.exchange.destination_ns: each.realtime_ns for each in self._accepted},
        )


def _segment(rows: Sequence[Row], cause: Cause) -> Segment:
    first, last = rows[0], rows[-1]
    elapsed_ns = last.topside_unix_ns - first.topside_unix_ns
    drift = (last.offset_ns - first.offset_ns) / elapsed_ns * 1e6 if elapsed_ns >= _SHORTEST_NS else None
    worst = max(row.max_error_ns for row in rows)
    return Segment(
        first.segment, cause, first.topside_unix_ns, last.topside_unix_ns, first.offset_ns, drift, worst
    )


def online(exchanges: Iterable[Exchange], settings: EstimatorSettings = EstimatorSettings()) -> Track:  # noqa: B008
    """The track that was knowable at each instant: every row is the online estimate after that exchange.

    `exchanges` are one vehicle's and topside's, in any order.
    """
    estimator = OffsetEstimator(settings)
    builder = TrackBuilder(estimator)
    pairs: list[tuple[Accepted, Estimate]] = []
    for exchange in in_order(exchanges):
        accepted = builder.add(exchange)
        if accepted is None:
            continue
        estimate = estimator.estimate_at(accepted.constraint)
        assert estimate is not None
        pairs.append((accepted, estimate))
    pairs.sort(key=lambda pair: pair[0].in_time)
    rows = [
        accepted.row(estimate.offset_ns, estimate.lower_ns, estimate.upper_ns, estimate.u95_ns)
        for accepted, estimate in pairs
    ]
    return builder.track(rows, pairs[-1][1] if pairs else None)


def see_slews(accepted: Sequence[Accepted]) -> None:
    """Note how the Pi's realtime may have moved away from RAW on each way back, by the readings around it."""
    readings = [readings_of(each.constraint)[0] for each in accepted]
    for index, each in enumerate(accepted):
        near = readings[max(index - 1, 0) : index + 2]
        each.slew = FASTEST if each.constraint.standalone else slew_of(near)[1]
        following = accepted[index + 1] if index + 1 < len(accepted) else None
        if following is not None and following.segment == each.segment:
            each.stepped_ns = unexplained_ns(near)
