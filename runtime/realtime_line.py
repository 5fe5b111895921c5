"""Realtime − RAW as a straight line, held while every reading and the kernel's state allow it: pure.

The kernel stamps datagrams with realtime. What is wanted is RAW, so realtime − RAW is needed at the stamp,
where nobody read it. The assumption: between two samples at most `STARVED_NS` apart with the same state
(`realtime_rate`) and no notice that the clock was set, realtime ran at one rate against RAW. A program breaks
it that sets another rate and takes it back between two samples, and one that steps the clock by less than a
reading's width, within the microseconds until the kernel's notice. So a stamp between two such samples lies
on a line that passes through all readings since the last change, and what these leave open is its error. A
change of state, a notice, a gap, or a reading off all lines ends the line: no stamp of before the sample is
converted any more, and the next line begins after that sample.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runtime.clock import FASTEST_SLEW_PPM
from runtime.clock_samples import ADJTIME_PPM, STARVED_NS
from runtime.feasible_lines import FeasibleLines

if TYPE_CHECKING:
    from runtime.realtime_rate import RateState

_STEEPEST = FASTEST_SLEW_PPM * 1e-6
_USUAL = ADJTIME_PPM * 1e-6
"""Assumed of a system that does not report its rate: no daemon there slews faster."""
_GENERATION_NS = 20_000_000_000
"""Readings count for one to two times as long, so that no line rests on ancient ones."""
_APART_NS = 50_000_000
"""The next generation takes readings this far apart."""
_LOOSE_NS = 1.0
_FARTHEST_NS = 10**15
_ROUNDED_NS = 1
"""Both clocks are whole numbers."""
LONGEST_EVEN_NS, WIDEST_EVEN_NS = 2**32 - 1, 2**16 - 1
"""What a datagram has room for."""


class RawStamp(NamedTuple):
    """An instant of RAW, ns, and what it may be wrong by, either way."""

    raw_ns: int
    half_ns: int
    realtime_minus_raw_ns: int
    """At that instant, as wrong. RAW plus that is the kernel's stamp."""
    since_ns: int = 0
    """RAW since which realtime ran at one rate against RAW, to that instant; 0: not known."""
    uneven_ns: int = 0
    """How far it may be off such a realtime."""
    by_hardware: bool = False
    """Whether the network hardware took it; else the kernel."""


class Even(NamedTuple):
    """A realtime that ran at one rate against RAW for `for_ns` until the second of two stamps; 0: not known.

    Both, as they are stated, may be off it by `within_ns`.
    """

    for_ns: int = 0
    within_ns: int = 0

    @classmethod
    def between(cls, first: RawStamp, second: RawStamp, difference_ns: int) -> Even:
        """Of two stamps that are stated as their RAW plus `difference_ns`."""
        if first.by_hardware or second.by_hardware or not first.since_ns == second.since_ns > 0:
            return cls()
        apart_ns = max([abs(each.realtime_minus_raw_ns - difference_ns) for each in (first, second)])
        within_ns = apart_ns + max(first.uneven_ns, second.uneven_ns)
        for_ns = min(second.raw_ns - second.since_ns, LONGEST_EVEN_NS)
        return cls(for_ns, within_ns) if for_ns > 0 and within_ns <= WIDEST_EVEN_NS else cls()


class _Generation(NamedTuple):
    """Lines through the readings since `begun_ns`, relative to the first of them."""

    begun_ns: int
    level_ns: int
    lines: FeasibleLines

    @classmethod
    def of(cls, raw_ns: int, difference_ns: int, half_ns: float, state: RateState) -> _Generation:
        return cls(raw_ns, difference_ns, FeasibleLines(-half_ns, half_ns, state.rates))

    def cut(self, raw_ns: int, difference_ns: int, half_ns: float) -> None:
        level = difference_ns - self.level_ns
        self.lines.cut(raw_ns - self.begun_ns, level - half_ns, level + half_ns)


class RealtimeLine:
    """Takes samples of one clock; converts stamps of realtime that lie between them."""

    def __init__(self) -> None:
        self._state: RateState | None = None
        self._last_ns = self._uneven_ns = 0
        self.begun_ns = 0
        """RAW of the line's first reading."""
        self.steepest_before = _STEEPEST
        """How fast realtime may have moved against RAW in the half second before that, a fraction."""
        self._ended_ns = 0
        self._value = self._off = 0.0
        """The held line at the last sample, and how far any feasible one is from it there."""
        self._cut_off = 0.0
        """What the latter may grow to until the lines are looked at again."""
        self._used: _Generation | None = None
        self._next: _Generation | None = None
        """Of later readings alone; takes over when it is a generation old."""
        self._next_taken_ns = 0

    def take(
        self, raw_ns: int, difference_ns: int, width_ns: int, state: RateState | None, *, was_set: bool
    ) -> bool:
        """Take a reading of realtime − RAW at `raw_ns`; whether the line goes on.

        Realtime was read at most half of `width_ns` before or after `raw_ns`. `state` and `was_set` were
        asked for after the reading; without a state there is no line.
        """
        apart_ns, self._last_ns = raw_ns - self._last_ns, raw_ns
        starved = not 0 <= apart_ns <= STARVED_NS
        if state is None or was_set or starved or (state is not self._state and state != self._state):
            self._end(state, explained=not starved)
            return False
        half_ns = width_ns / 2 + self._uneven_ns
        if self._used is None or self._next is None:
            half_ns += width_ns / 2 * self.steepest
            self._used = self._next = _Generation.of(raw_ns, difference_ns, half_ns, state)
            self._value, self._off, self._cut_off = 0.0, half_ns, 0.0
            self.begun_ns = raw_ns
            return False
        begun_ns, level_ns, lines = self._used
        half_ns += width_ns / 2 * (abs(lines.slope) + lines.spread)
        at, level = raw_ns - begun_ns, difference_ns - level_ns
        low, high = level - half_ns, level + half_ns
        value = lines.level + lines.slope * at
        off = self._off + lines.spread * apart_ns  # at the most: without a look at each line
        if off <= self._cut_off and low <= value - off and value + off <= high:
            self._value, self._off = value, off
        elif found := lines.cut(at, low, high):
            self._value = value = lines.level + lines.slope * at
            self._off = max(found[1] - value, value - found[0])
            self._cut_off = self._off + _LOOSE_NS
        else:
            self._end(state, explained=False)
            return False
        if raw_ns - self._next.begun_ns > _GENERATION_NS:
            self._hand_over(_Generation.of(raw_ns, difference_ns, half_ns, state))
        elif raw_ns - self._next_taken_ns > _APART_NS:
            self._next_taken_ns = raw_ns
            self._next.cut(raw_ns, difference_ns, half_ns)
        return True

    def difference(self) -> tuple[int, int] | None:
        """Realtime − RAW at the last sample, and what it may be wrong by, ns; None while there is no line."""
        if self._used is None:
            return None
        return self._used.level_ns + round(self._value), int(self._off) + 1 + self._uneven_ns

    @property
    def steepest(self) -> float:
        """How fast realtime may move against RAW at the last sample, a fraction; without a sign."""
        if self._used is not None:
            return abs(self._used.lines.slope) + self._used.lines.spread
        return _USUAL if self._state is None else max(map(abs, self._state.rates))

    @property
    def even_ns(self) -> int:
        """RAW since which realtime moved no faster than that; 0 where the system does not report its rate."""
        return self.begun_ns if self._used else 0 if self._state is None else self._last_ns

    def raw_of(self, realtime_ns: int) -> RawStamp | None:
        """RAW at a stamp of realtime; None: it is not between the line's first sample and the last one.

        A stamp of before the line's first sample may come out as one of after it, hence too late, if realtime
        was set back meanwhile.
        """
        if self._used is None:
            return None
        begun_ns, level_ns, lines = self._used
        since_ns = realtime_ns - level_ns - begun_ns
        if abs(since_ns) > _FARTHEST_NS:
            return None
        at = (since_ns - lines.level) / (1 + lines.slope)
        raw_ns = begun_ns + round(at)
        age_ns = self._last_ns - raw_ns
        off = self._off + lines.spread * age_ns if 0 <= age_ns < _APART_NS else lines.off_at(at)
        half_ns = int(off / (1 + lines.slope - lines.spread)) + 1 + self._uneven_ns
        if raw_ns < self.begun_ns or age_ns < -half_ns:
            return None
        return RawStamp(raw_ns, half_ns, realtime_ns - raw_ns, self.begun_ns, self._uneven_ns)

    def _end(self, state: RateState | None, *, explained: bool) -> None:
        """Without a line: the reading may be of before the change that it shows, the next one is not.

        `explained`: by the state or a notice, so that meanwhile no rate was beyond those of before and now.
        """
        before, uneven_ns = self.steepest, 0 if self._state is None else self._state.uneven_ns
        if self._last_ns - self._ended_ns <= STARVED_NS:
            before = max(before, self.steepest_before)
        self._state, self._ended_ns = state, self._last_ns
        # What the multipliers were behind is made up for at the new rate.
        self._uneven_ns = _ROUNDED_NS + max(uneven_ns, 0 if state is None else state.uneven_ns)
        self._used = self._next = None
        self.steepest_before = max(before, self.steepest) if explained else _STEEPEST

    def _hand_over(self, following: _Generation) -> None:
        """Hold the same line among those of later readings alone, which is one of them."""
        used, taking_over = self._used, self._next
        assert used is not None
        assert taking_over is not None
        level, slope = used.lines.level, used.lines.slope
        moved = (taking_over.begun_ns - used.begun_ns) * slope
        taking_over.lines.hold(level + moved + used.level_ns - taking_over.level_ns, slope)
        self._used, self._next = taking_over, following
        at = self._last_ns - taking_over.begun_ns
        self._value = taking_over.lines.level + taking_over.lines.slope * at
        self._off = taking_over.lines.off_at(at)
        self._cut_off = 0.0
