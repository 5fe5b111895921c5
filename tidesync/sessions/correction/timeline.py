"""A vehicle's whole track, inverted: which segment a Pi timestamp belongs to, and its correction there.

A cut (step, reboot, suspend) lies somewhere between the last exchange of one segment and the first of the
next. A timestamp that the clock may have shown between those two is ambiguous. After a backward step one Pi
time belongs to several segments: the order of rows decides (order.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tidesync.sessions.correction.coarse import CoarseInverse
from tidesync.sessions.correction.named_twice import meets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.sessions.correction.clock_limits import ClockLimits
    from tidesync.sessions.correction.heard_twice import Span
    from tidesync.sessions.correction.interpolation import Inverse
    from tidesync.sessions.correction.topside_raw import TopsideRaw
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Floats, Integers

STATES = ("ok", "holdover", "ambiguous", "outside")
OK, HOLDOVER, AMBIGUOUS, OUTSIDE = range(4)
_LARGEST_NS = 2.0**62
UNREADABLE = -1
"""The state of a row without a timestamp."""
NO_U95 = -1
UNKNOWN_NS = 2**62
"""A time or a length that may be any."""


class Corrections(NamedTuple):
    """For each timestamp its topside instant, the bound of its error (both ns) and its state.

    The state is a place in STATES, or UNREADABLE. The others are valid only where `known`; the error is
    0 elsewhere.
    """

    topside_ns: Integers
    max_error_ns: Integers
    state: Integers
    u95_ns: Integers
    """The 95 % half-width of the error; `NO_U95` where the track has none."""

    @property
    def known(self) -> Flags:
        """Which have an instant and a bound: also those `outside` for their error alone."""
        return self.max_error_ns > 0

    @property
    def answered(self) -> Flags:
        """Which are `ok` or `holdover`."""
        return np.isin(self.state, (OK, HOLDOVER))

    def spread(self, readable: Flags) -> Corrections:
        """These, of the rows that are `readable`, among all rows of a batch."""
        if readable.all():
            return self
        made = Corrections(*(np.full(readable.shape, void) for void in (0, 0, UNREADABLE, NO_U95)))
        for among_all, column in zip(made, self, strict=True):
            among_all[readable] = column
        return made


@dataclass(frozen=True, slots=True)
class TimelineSegment:
    """Pi times (ns) that the clock may have shown in one segment: measured ones and a margin on either side.

    A margin that ends at a cut is ambiguous; so is one at an end of the track, unless the user promises that
    the clocks were not set there: then it is a holdover.
    """

    interpolation: Inverse
    from_ns: int
    to_ns: int
    cut_before: bool
    cut_after: bool
    foreign: bool = False
    """Whether it is of another vehicle's clock, of the same name: it does not end what this one's showed."""
    unheard_ns: tuple[int, int] = (0, 0)
    """For how long, by the Pi's clock, nobody read what that showed before it and after it: silences.py."""

    def holds(self, pi_ns: Integers) -> Flags:
        """Which of `pi_ns` the clock may have shown in it."""
        return (pi_ns >= self.from_ns) & (pi_ns <= self.to_ns)

    def near_cut(self, pi_ns: Integers) -> Flags:
        """Which of them lie in a margin that ends at a cut."""
        before, after = pi_ns < self.interpolation.first_ns, pi_ns > self.interpolation.last_ns
        return (before & self.cut_before) | (after & self.cut_after)

    def repeats(self, other: TimelineSegment) -> bool:
        """Whether they share times, other than in margins of both that end at cuts."""
        first_ns, last_ns = max(self.from_ns, other.from_ns), min(self.to_ns, other.to_ns)
        return any(
            max(first_ns, each.interpolation.first_ns if each.cut_before else first_ns)
            <= min(last_ns, each.interpolation.last_ns if each.cut_after else last_ns)
            for each in (self, other)
        )

    def coarse(self, resolution_ns: int) -> TimelineSegment:
        """It holds what may have been taken in it."""
        return replace(
            self,
            interpolation=CoarseInverse(self.interpolation, resolution_ns),
            from_ns=self.from_ns - resolution_ns,
            to_ns=self.to_ns + resolution_ns,
        )


class Timeline:
    """Corrects Pi timestamps by one vehicle's track; they are written in steps of `resolution_ns`.

    In the spans `doubts` of topside's time another vehicle may have stamped them: see named_twice.py.
    """

    def __init__(
        self,
        segments: Sequence[TimelineSegment],
        limits: ClockLimits,
        resolution_ns: int = 0,
        doubts: Sequence[Span] = (),
        topside: TopsideRaw | None = None,
    ) -> None:
        self.segments, self._limits, self._resolution_ns = _with_ends(segments), limits, resolution_ns
        self._doubts = doubts
        self.topside = topside
        """How topside's own clock ran, where it is known."""

    def coarse(self, resolution_ns: int) -> Timeline:
        """The same for timestamps that are written in steps of `resolution_ns`; see coarse.py."""
        segments = [each.coarse(resolution_ns) for each in self.segments]
        return Timeline(segments, self._limits, resolution_ns, self._doubts, self.topside)

    def of_segments(self, segments: Sequence[TimelineSegment]) -> Timeline:
        """A timeline of other segments with the same limits."""
        return Timeline(segments, self._limits, self._resolution_ns, self._doubts, self.topside)

    def doubted(self, doubts: Sequence[Span]) -> Timeline:
        """The same; what falls in one of the spans of topside's time is ambiguous."""
        return Timeline(self.segments, self._limits, self._resolution_ns, doubts, self.topside)

    def by_topside(self, topside: TopsideRaw) -> Timeline:
        """The same, with how topside's clock ran."""
        return Timeline(self.segments, self._limits, self._resolution_ns, self._doubts, topside)

    @property
    def max_error_ns(self) -> int:
        """A row with a larger error is `outside`."""
        return self._limits.max_error_ns

    @property
    def cuts(self) -> int:
        """How often the vehicle's clock was cut."""
        return max(len(self.segments) - 1, 0)

    @property
    def repeats(self) -> bool:
        """Whether a Pi time may belong to several segments, other than in margins that end at cuts."""
        return any(one.repeats(other) for one, other in combinations(self.segments, 2))

    @property
    def measured(self) -> list[tuple[int, int]]:
        """The first and the last Pi time that was measured in each segment, ns."""
        return [(each.interpolation.first_ns, each.interpolation.last_ns) for each in self.segments]

    @property
    def middle_ns(self) -> int:
        """A Pi time that was measured; it distinguishes seconds from milliseconds."""
        middle = self.segments[len(self.segments) // 2].interpolation
        return (middle.first_ns + middle.last_ns) // 2

    def consistent(self, pi_ns: Integers, least: Integers, greatest: Integers) -> tuple[Integers, Integers]:
        """`least` and `greatest`, but all segments for a row that none from the one to the other holds."""
        held = np.zeros(pi_ns.shape, dtype=bool)
        for index, segment in self._near(pi_ns):
            held |= segment.holds(pi_ns) & (least <= index) & (index <= greatest)
        return np.where(held, least, 0), np.where(held, greatest, self.cuts)

    def _near(self, pi_ns: Integers) -> list[tuple[int, TimelineSegment]]:
        """The segments that may hold any of `pi_ns`, with their numbers."""
        if not pi_ns.size:
            return []
        low, high = int(pi_ns.min()), int(pi_ns.max())
        return [each for each in enumerate(self.segments) if each[1].from_ns <= high and low <= each[1].to_ns]

    def correct(self, pi_ns: Integers, least: Integers, greatest: Integers) -> Corrections:
        """The corrections, each by a segment from `least` to `greatest` (what the order of rows allows)."""
        topside, error, u95 = np.zeros_like(pi_ns), np.zeros_like(pi_ns), np.full_like(pi_ns, NO_U95)
        state = np.full(pi_ns.shape, OUTSIDE, dtype=np.int64)
        candidates = np.zeros(pi_ns.shape, dtype=np.int64)
        for index, segment in self._near(pi_ns):
            holds = segment.holds(pi_ns) & (least <= index) & (index <= greatest)
            candidates += holds
            first = holds & (candidates == 1)
            if first.any():
                topside[first], error[first], state[first], u95[first] = self._within(segment, pi_ns[first])
        state[candidates > 1] = AMBIGUOUS
        void = state == AMBIGUOUS
        topside[void], error[void], u95[void] = 0, 0, NO_U95
        if self._resolution_ns > self._limits.max_error_ns:
            state[void] = OUTSIDE  # for their resolution alone, whichever segment holds them
        for each in self._doubts:
            void = (error > 0) & meets(each, topside, error)
            topside[void], error[void], state[void], u95[void] = 0, 0, AMBIGUOUS, NO_U95
        return Corrections(topside, error, state, u95)

    def coarsened(
        self, found: Corrections, pi_ns: Integers, resolution_ns: int, least: Integers, greatest: Integers
    ) -> Corrections:
        """Corrections of rows that turn out to be written in steps of `resolution_ns`."""
        wide = self.coarse(resolution_ns).correct(pi_ns, least, greatest)
        state = np.where(wide.state == AMBIGUOUS, AMBIGUOUS, np.maximum(found.state, wide.state))
        known = (state != AMBIGUOUS) & found.known & wide.known
        values = (wide.topside_ns, 0), (wide.max_error_ns, 0), (wide.u95_ns, NO_U95)
        topside, error, u95 = (np.where(known, column, void) for column, void in values)
        return Corrections(topside, error, state, u95)

    def _within(self, segment: TimelineSegment, pi_ns: Integers) -> Corrections:
        found = segment.interpolation.instants(pi_ns)
        state = np.where(found.held, HOLDOVER, OK)
        state[found.max_error_ns > self._limits.max_error_ns] = OUTSIDE
        state[segment.near_cut(pi_ns) | found.undecided] = AMBIGUOUS
        error: Floats = np.minimum(found.max_error_ns, _LARGEST_NS)
        u95 = np.where(np.isnan(found.u95_ns), NO_U95, np.minimum(np.ceil(found.u95_ns), error))
        return Corrections(found.topside_ns, error.astype(np.int64), state, u95.astype(np.int64))


def _with_ends(segments: Sequence[TimelineSegment]) -> list[TimelineSegment]:
    """The segments; the first and the last also hold the times before and after them that others show.

    The clock may have shown those before the first and after the last measurement, too.
    """
    made = list(segments)
    own = [index for index, segment in enumerate(made) if not segment.foreign]
    if own:
        first_ns = min(made[index].from_ns for index in own)
        last_ns = max(made[index].to_ns for index in own)
        made[own[0]] = replace(made[own[0]], from_ns=first_ns)
        made[own[-1]] = replace(made[own[-1]], to_ns=last_ns)
    return made
