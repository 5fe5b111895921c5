"""The hard bound: the extremes of every offset and drift that contradict no exchange.

Online it looks back. `backward_bounds` solves the same linear program with time reversed, for the smoother.
Mathematics: docs/mathematics.md §3 and §4.
"""

from __future__ import annotations

from copy import copy
from heapq import heappop, heappush
from math import inf, sqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from topside_agent.estimator.blocks import Bounds, Floats, Integers, block_extremes

if TYPE_CHECKING:
    from topside_agent.estimator.settings import EstimatorSettings

ROUNDING_NS = 1e-3
"""The error of float64 arithmetic on relative ns; two bounds nearer than this do not contradict."""
_ROUNDING = 1.0
"""The same of drifts, ns/s: of two bounds that are less than a ms apart."""


class ClockLimits(NamedTuple):
    """What two clocks may do: drift by at most `rate` (ns/s), leave a tangent by `wander`·Δt^1.5 (ns, s).

    Without `tangents` only the rate limit applies: a clock that may be slewed keeps no tangent.
    """

    rate: float
    wander: float
    tangents: bool


class _Point(NamedTuple):
    """A bound of `ns` at `at_s`, both relative to the anchors."""

    at_s: float
    ns: float


class _Side(NamedTuple):
    """All upper or all lower bounds, shape (n,): times (s), bounds (ns), ages (s); `eased` by the wander."""

    at_s: Floats
    ns: Floats
    ages: Floats
    eased: Floats

    def point(self, index: int) -> _Point:
        """One of the bounds."""
        return _Point(float(self.at_s[index]), float(self.ns[index]))

    def negated(self) -> _Side:
        """With the sign of the offset reversed."""
        return _Side(self.at_s, -self.ns, self.ages, -self.eased)


class _Ceiling:
    """The greatest offset that nothing contradicts. Negated it is the least: see `Bound`.

    An upper bound is extrapolated at the greatest drift that is still possible. Any pair of an upper bound
    and an older lower bound limits that drift, so any pair gives a true ceiling. `refit` finds the lowest one
    among all bounds (a linear program in offset and drift: Moon, Skelly, Towsley 1999; the allowance for
    wander is ours). Between refits each new exchange is tried in the pair.
    """

    def __init__(self, limits: ClockLimits) -> None:
        self._rate, self._wander, _ = limits
        self._held = _Point(0.0, inf)
        self._opposite: _Point | None = None
        self._slope = limits.rate
        """The pair's drift when it was found: along it a new bound is compared with the held one."""
        self._cone = inf
        self.newest_s = -inf
        """The newest bound's instant."""
        self._at_newest: tuple[float, float] | None = None
        """What `_extrapolated` gave at the newest bound's time, while that is true."""

    def at(self, at_s: float) -> float:
        """The ceiling in ns at `at_s`.

        After the newest bound the extreme line is extrapolated with the wander since then. Before it only the
        rate limit applies.
        """
        newest_s = self.newest_s
        if at_s < newest_s:
            return min(self._extrapolated(at_s)[0], self._cone + self._rate * (2 * newest_s - at_s))
        if self._at_newest is None:
            self._at_newest = self._extrapolated(newest_s)
        line, drift = self._at_newest
        if at_s > newest_s:
            ahead_s = at_s - newest_s
            line += (drift + self._wander * sqrt(ahead_s)) * ahead_s
        return min(line, self._cone + self._rate * at_s)

    def drift(self, at_s: float) -> float:
        """The greatest drift at `at_s` (ns/s)."""
        if at_s == self.newest_s and self._at_newest is not None:
            return self._at_newest[1]
        return self._extrapolated(at_s)[1]

    def both(self, at_s: float) -> tuple[float, float]:
        """The ceiling (ns) and the greatest drift (ns/s) at `at_s`."""
        return self.at(at_s), self.drift(at_s)

    def _extrapolated(self, at_s: float) -> tuple[float, float]:
        """The held bound at `at_s` along the greatest drift that the opposite one allows; that drift."""
        rate, wander, opposite = self._rate, self._wander, self._opposite
        held_s, held_ns = self._held
        span_s = at_s - held_s
        if span_s < 0:
            return held_ns - rate * span_s, rate
        eased = held_ns + wander * span_s * sqrt(span_s)
        drift = rate
        if opposite is not None:
            opposite_s, low = opposite
            age_s = at_s - opposite_s
            low -= wander * age_s * sqrt(age_s)
            drift = min(rate, (eased - low) / (held_s - opposite_s))
        return eased + drift * span_s, drift

    def add(self, at_s: float, ns: float) -> None:
        """Add the bound `ns` at `at_s`."""
        self._at_newest = None
        self.newest_s = max(self.newest_s, at_s)
        self._cone = min(self._cone, ns - self._rate * at_s)
        held_s, held_ns = self._held
        later_s = at_s - held_s
        limit = held_ns + self._slope * later_s
        if later_s < 0 and self._opposite is not None:  # a late exchange
            limit -= self._wander * -later_s * sqrt(-later_s)
            if at_s <= self._opposite.at_s:
                return
        if ns <= limit:
            self._held = _Point(at_s, ns)

    def refit(self, side: _Side, opposite: _Side, now_s: float) -> bool:
        """Find the pair whose ceiling at `now_s` is lowest; False when the bounds contradict each other.

        Newton's method from above on the concave margin over the drift: each step's tangent is a pair.
        """
        drift, self._at_newest = self._extrapolated(now_s)[1], None
        while True:
            carried, low = side.eased + drift * side.ages, opposite.eased + drift * opposite.ages
            i, j = int(carried.argmin()), int(low.argmax())
            if carried[i] - low[j] >= -ROUNDING_NS:
                self._slope = drift
                return True
            apart_s = float(opposite.ages[j] - side.ages[i])
            if apart_s <= 0:
                return False
            before, drift = drift, float(side.eased[i] - opposite.eased[j]) / apart_s
            if drift < -self._rate:
                return False
            self._held, self._opposite = side.point(i), opposite.point(j)
            if drift >= before:  # over years the rounding exceeds `ROUNDING_NS`: it gets no nearer
                self._slope = drift
                return True


class Bound:
    """[lower, upper] of the offset, in ns relative to the anchor, from one timebase."""

    def __init__(self, limits: ClockLimits) -> None:
        self.limits = limits
        self._upper = _Ceiling(limits)
        self._lower = _Ceiling(limits)
        self.newest_s = 0.0
        """The newest exchange's destination, as far as the timebases say."""

    def at(self, at_s: float) -> tuple[float, float]:
        """The least and the greatest offset (ns) at `at_s`; least > greatest if the bounds contradict."""
        return -self._lower.at(at_s), self._upper.at(at_s)

    def drifts(self, at_s: float) -> tuple[float, float]:
        """The least and the greatest drift at `at_s`, ns/s."""
        return -self._lower.drift(at_s), self._upper.drift(at_s)

    def consistent(self, at_s: float) -> bool:
        """Whether there is an offset and a drift at `at_s`; else some bounds contradict each other."""
        (greatest, fastest), (below, slower) = self._upper.both(at_s), self._lower.both(at_s)
        least, slowest = -below, -slower
        return least <= greatest + ROUNDING_NS and slowest <= fastest + _ROUNDING

    def admits(self, upper_at_s: float, upper: float, lower_at_s: float, lower: float) -> bool:
        """Whether an exchange contradicts nothing so far."""
        fits_below = lower <= self._upper.at(lower_at_s) + ROUNDING_NS
        return fits_below and -upper <= self._lower.at(upper_at_s) + ROUNDING_NS

    def consistent_with(self, upper_at_s: float, upper: float, lower_at_s: float, lower: float) -> bool:
        """Whether it stays consistent at the exchange's end and at the newest instant if that is added."""
        trial = Bound(self.limits)
        trial._upper, trial._lower = copy(self._upper), copy(self._lower)
        trial.add(upper_at_s, upper, lower_at_s, lower)
        return trial.consistent(lower_at_s) and trial.consistent(self._lower.newest_s)

    def add(self, upper_at_s: float, upper: float, lower_at_s: float, lower: float) -> None:
        """Add an exchange's bounds."""
        self.add_upper(upper_at_s, upper)
        self.add_lower(lower_at_s, lower)

    def add_upper(self, at_s: float, ns: float) -> None:
        """Add an upper bound."""
        self._upper.add(at_s, ns)

    def add_lower(self, at_s: float, ns: float) -> None:
        """Add a lower bound."""
        self._lower.add(at_s, -ns)

    def refit(self, columns: Floats, now_s: float) -> bool:
        """Tighten from the closed blocks (`Blocks.columns`); False: contradiction.

        A finite bound is not later than `now_s`: reversed ages would make wrong bounds of true ones.
        """
        if not (self.limits.tangents and columns.size):
            return True
        above, below = _sides(columns, self.limits.wander, now_s)
        return self._upper.refit(above, below, now_s) and self._lower.refit(
            below.negated(), above.negated(), now_s
        )


def _sides(columns: Floats, wander: float, now_s: float) -> tuple[_Side, _Side]:
    """The upper and the lower bounds, both computed at once: numpy takes a microsecond for each call."""
    at_s, ns = columns[::2], columns[1::2]
    ages = np.abs(now_s - at_s)  # a bound that is later is infinite (an empty block's, or one that waits)
    slack = wander * ages * np.sqrt(ages)
    return _Side(at_s[0], ns[0], ages[0], ns[0] + slack[0]), _Side(at_s[1], ns[1], ages[1], ns[1] - slack[1])


def backward_bounds(
    bounds: Bounds, number: Integers, slope: Floats, limits: ClockLimits, settings: EstimatorSettings
) -> tuple[Floats, Floats]:
    """Lower and upper bound (ns) at each exchange's destination from the blocks after its own; else infinite.

    The arguments are those of `block_extremes`, one entry per exchange in the order of destinations.
    """
    low, high = np.full(number.size, -np.inf), np.full(number.size, np.inf)
    if not number.size:
        return low, high
    numbers, extremes = block_extremes(bounds, number, slope)
    # With time reversed the offset is a function of −t, and the newest block is the oldest.
    newest_first = (-extremes.upper_at, extremes.upper, -extremes.lower_at, extremes.lower)
    mirrored = np.array(newest_first)[:, ::-1].copy()
    size = settings.window_blocks[-1]
    begins = np.searchsorted(number, numbers)
    program = _Backward(limits)
    for count in range(1, numbers.size):
        block = numbers.size - 1 - count
        rows = slice(begins[block], begins[block + 1])
        at_s = -bounds.lower_at[rows]
        if program.advance(mirrored[:, max(count - size, 0) : count], float(at_s[0])):
            low[rows], high[rows] = _within_block(program.bound, program.now_s, at_s, limits)
    return low, high


class _Backward:
    """The mirrored program at an instant `now_s`, which moves on from block to block.

    An exchange's upper bound is mirrored to a later instant than its lower one, by its round trip. While it
    is later than `now_s` it waits: the program takes only what is older.
    """

    def __init__(self, limits: ClockLimits) -> None:
        self.bound = Bound(limits)
        self.now_s = -inf
        self._waiting: list[tuple[float, float]] = []

    def advance(self, columns: Floats, until_s: float) -> bool:
        """Add the last of these blocks and solve; `until_s`: the end of the next. False: contradiction."""
        upper_at, upper, lower_at, lower = columns[:, -1].tolist()
        heappush(self._waiting, (upper_at, upper))
        self.now_s = max(self.now_s, lower_at, upper_at if upper_at <= until_s else -inf)
        self.bound.add_lower(lower_at, lower)
        while self._waiting and self._waiting[0][0] <= self.now_s:
            self.bound.add_upper(*heappop(self._waiting))
        if self._waiting:
            columns = columns.copy()
            columns[1, columns[0] > self.now_s] = inf
        solved = self.bound.refit(columns, self.now_s)
        if not solved:
            self.bound = Bound(self.bound.limits)
        return solved


def _within_block(bound: Bound, from_s: float, at_s: Floats, limits: ClockLimits) -> tuple[Floats, Floats]:
    """The bound at `from_s` extrapolated to the instants `at_s` of the (mirrored) block that follows."""
    least, greatest = bound.at(from_s)
    slowest, fastest = bound.drifts(from_s)
    span_s = np.abs(at_s - from_s)
    slack = limits.wander * span_s * np.sqrt(span_s)
    most = limits.rate * span_s
    along = (at_s >= from_s) & limits.tangents
    up = np.where(along, np.minimum(fastest * span_s + slack, most), most)
    down = np.where(along, np.maximum(slowest * span_s - slack, -most), -most)
    return least + down, greatest + up
