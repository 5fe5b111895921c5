"""A track: the offset at every exchange, as it was known at that instant or as it is known afterwards."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from schemas.exchange import UDP, Exchange, method_named
from topside_agent.estimator.blocks import Floats, Integers
from topside_agent.estimator.constraints import Constraint, came_directly, constraint_of, in_order, on_raw
from topside_agent.estimator.direct_slews import DirectPiReadings
from topside_agent.estimator.estimate import Added, Estimate
from topside_agent.estimator.exchanges import Exchanges
from topside_agent.estimator.online import OffsetEstimator
from topside_agent.estimator.rows import Row, RowColumns, Rows
from topside_agent.estimator.segments import Cause
from topside_agent.estimator.settings import EstimatorSettings
from topside_agent.estimator.slews import FASTEST, PiReadings, slew_of, unexplained_ns

_SHORTEST_NS = 8_000_000_000
"""A segment shorter than this has no drift."""
_UNREAD_NS = 1_000_000_000
"""So long the Pi's clock is assumed not to be set after the last exchange of all; no reading follows."""


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

    rows: Sequence[Row]
    segments: list[Segment]
    final: Estimate | None
    exchanges: int
    rejected: int
    rate_ppm: float = 0.0
    """How far apart the RAW clocks may run, as far as the exchanges prove it; 0 without RAW clocks."""


@dataclass(slots=True)
class Accepted:
    """The accepted exchanges, in the order in which they were, with what their rows need; ns."""

    exchanges: Exchanges
    segment: NDArray[np.int32]
    ambiguous: NDArray[np.bool_]
    slew: Floats
    """How fast the Pi's realtime may move away from RAW on the way back, ns/ns."""
    stepped_ns: Floats
    """How far it may have been stepped on the way back without a cut."""
    directly: bool = False
    """Whether any of them came directly."""


class TrackBuilder:
    """Adds exchanges to an estimator and keeps which are accepted, with their segments and causes."""

    def __init__(self, estimator: OffsetEstimator, exchanges: Exchanges) -> None:
        """`exchanges` are `in_order`; each is added once, or not at all."""
        self.estimator = estimator
        self.causes: list[Cause] = []
        self.begins_timebase = False
        """Whether the exchange that was accepted last did."""
        self._exchanges = exchanges
        self._places, self._segments = array("I"), array("i")
        self._ambiguous = bytearray()
        self._cut_at_ns = 0
        self._latest_delay_ns = 0

    def __len__(self) -> int:
        """How many are accepted."""
        return len(self._places)

    @property
    def segment(self) -> int:
        """That of the exchange that was accepted last."""
        return self._segments[-1]

    def add(self, place: int, exchange: Exchange) -> Constraint | None:
        """Add the exchange at this place; None if the estimator refuses it."""
        timebase = self.estimator.timebase
        added = self.estimator.add(exchange)
        if not added.accepted:
            return None
        constraint = constraint_of(exchange) if added.waits else self.estimator.constraint
        now = self.estimator.timebase
        assert constraint is not None
        assert now is not None
        self.begins_timebase = timebase is None or now.bound is not timebase.bound
        if timebase is None:
            self.causes.append("start")
        if added.cut is not None:
            self._cut(added, constraint)
        # A late exchange from before a step that RAW ran through belongs to the segment before it.
        late = added.cut is None and not self.begins_timebase and constraint.destination_ns < self._cut_at_ns
        self._places.append(place)
        self._segments.append(self.estimator.segment - late)
        self._ambiguous.append(False)
        self._latest_delay_ns = constraint.delay_ns
        return constraint

    def _cut(self, added: Added, constraint: Constraint) -> None:
        assert added.cut is not None
        self.causes.append(added.cut.cause)
        self._cut_at_ns = constraint.destination_ns
        # The Pi read its clock before its last answer left: until that arrived the clock may have been set.
        for index in reversed(range(len(self))):
            destination_ns = self._exchanges[self._places[index]].destination_ns
            if destination_ns < added.cut.ambiguous_from_ns or self._segments[index] < len(self.causes) - 2:
                break
            self._ambiguous[index] = True

    def accepted(self) -> Accepted:
        """What was accepted; nothing can be added afterwards."""
        if self._latest_delay_ns > _UNREAD_NS:
            self._ambiguous[-1] = True
        exchanges = self._exchanges.at(np.frombuffer(self._places, dtype=np.uint32))
        segment = np.frombuffer(self._segments, dtype=np.int32)
        ambiguous = np.frombuffer(self._ambiguous, dtype=np.bool_)
        none = np.zeros(segment.size)
        return Accepted(exchanges, segment, ambiguous, none, none)

    def track(self, rows: Rows, final: Estimate | None) -> Track:
        """The track of `rows`, which are sorted by time."""
        numbers = rows.column("segment")
        ends = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(rows)]
        listed = [rows[begin:end] for begin, end in pairwise(ends) if end > begin]
        segments = [_segment(each, self.causes[each[0].segment]) for each in listed]
        return Track(rows, segments, final, len(rows), self.estimator.rejected)


def _segment(rows: Rows, cause: Cause) -> Segment:
    first, last = rows[0], rows[-1]
    elapsed_ns = last.topside_unix_ns - first.topside_unix_ns
    drift = (last.offset_ns - first.offset_ns) / elapsed_ns * 1e6 if elapsed_ns >= _SHORTEST_NS else None
    worst = int(rows.max_error_ns.max())
    return Segment(
        first.segment, cause, first.topside_unix_ns, last.topside_unix_ns, first.offset_ns, drift, worst
    )


def online(exchanges: Iterable[Exchange], settings: EstimatorSettings = EstimatorSettings()) -> Track:  # noqa: B008
    """The track that was knowable at each instant: every row is the online estimate after that exchange.

    `exchanges` are one vehicle's and topside's, in any order.
    """
    ordered = in_order(exchanges)
    builder = TrackBuilder(OffsetEstimator(settings), ordered)
    rows, at_ns = RowColumns(), array("q")
    newest, final = (0, 0), None
    for place, exchange in enumerate(ordered):
        constraint = builder.add(place, exchange)
        if constraint is None:
            continue
        estimate = builder.estimator.estimate_at(constraint)
        assert estimate is not None
        segment, bound_ns = builder.segment, (estimate.lower_ns, estimate.upper_ns)
        rows.add(exchange.destination_ns, estimate.offset_ns, bound_ns, estimate.u95_ns, segment)
        at_ns.append(constraint.destination_ns)
        if final is None or (segment, constraint.destination_ns) >= newest:
            newest, final = (segment, constraint.destination_ns), estimate
    found = rows.taken(stream_of(ordered))
    found.see_ambiguous(builder.accepted().ambiguous)
    return builder.track(in_time(found, np.array(at_ns, dtype=np.int64)), final)


def in_time(rows: Rows, destination_ns: Integers) -> Rows:
    """The rows by segment, then by topside's estimation clock: its realtime may have been set back."""
    order = np.lexsort((destination_ns, rows.column("segment")))
    return rows if (np.diff(order) == 1).all() else rows.at(order)


def stream_of(exchanges: Exchanges) -> tuple[str, str]:
    """The vehicle and topside whose exchanges these are; empty without one."""
    return (exchanges[0].vehicle, exchanges[0].topside) if exchanges else ("", "")


def see_slews(accepted: Accepted) -> None:
    """Note how the Pi's realtime may have moved away from RAW on each way back, by the readings around it."""
    exchanges, size = accepted.exchanges, len(accepted.exchanges)
    accepted.directly = came_directly(exchanges)
    accepted.slew, accepted.stepped_ns = np.zeros(size), np.zeros(size)
    standalone = exchanges.labelled(lambda labels: method_named(labels.method).standalone)
    standalone &= ~on_raw(exchanges)
    if accepted.directly:
        _see_directly(accepted)
        accepted.slew[standalone] = FASTEST
        return
    readings = PiReadings(exchanges)
    for index in np.flatnonzero(~readings.resting | standalone).tolist():
        near = readings.near(index)
        accepted.slew[index] = FASTEST if standalone[index] else slew_of(near)[1]
        if index + 1 < size and accepted.segment[index + 1] == accepted.segment[index]:
            accepted.stepped_ns[index] = unexplained_ns(near)


def _see_directly(accepted: Accepted) -> None:
    """The same where exchanges came directly, of which several are under way at once.

    What was under way when a clock was set is ambiguous.
    """
    exchanges, segment = accepted.exchanges, accepted.segment
    readings = DirectPiReadings(exchanges)
    direct = exchanges.labelled(lambda labels: labels.method == UDP.name)
    accepted.slew, unexplained_ns = readings.shown(~direct)
    apart = segment[readings.after] != segment
    accepted.ambiguous[apart] = True
    followed = ~apart & (readings.after > np.arange(segment.size))
    accepted.stepped_ns = np.where(followed, np.maximum(unexplained_ns, readings.moved_ns), 0.0)
