"""The hard bound: the extremes of every offset and drift that contradict no exchange."""

from __future__ import annotations

from math import inf, sqrt
from typing import NamedTuple

import numpy as np

from topside_agent.estimator.blocks import Floats

_ROUNDING_NS = 1e-3
"""What float64 arithmetic on relative ns may be off by; two bounds nearer than this do not contradict."""


class Limits(NamedTuple):
    """What a clock pair may do: drift at most `rate` (ns/s), leave its tangent by `wander`·Δt^1.5 (ns, s).

    Without `lines` nothing but the rate is relied on: a clock that may be slewed keeps no tangent.
    """

    rate: float
    wander: float
    lines: bool


class Point(NamedTuple):
    """A bound of `ns` at `at_s`, both relative to the segment's anchor."""

    at_s: float
    ns: float


class Side(NamedTuple):
    """All upper or all lower bounds (ns) at their times (s); their ages (s); `eased` by the wander since."""

    at_s: Floats
    ns: Floats
    ages: Floats
    eased: Floats

    def point(self, place: int) -> Point:
        """One of the bounds."""
        return Point(float(self.at_s[place]), float(self.ns[place]))

    def turned(self) -> Side:
        """Upside down."""
        return Side(self.at_s, -self.ns, self.ages, -self.eased)


class Ceiling:
    """The greatest offset that nothing contradicts. Turned upside down it is the least: see `Bound`.

    An upper bound may be carried on at the greatest drift that is still possible. Any pair of an upper bound
    and an older lower bound limits that drift, so any pair gives a true ceiling; `refit` finds the lowest one
    among all bounds in the window (a linear program in offset and drift), and between refits each new
    exchange is tried in the pair. Moon, Skelly, Towsley 1999; the slack for wander is ours.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = Point(0.0, inf)
        self._opposite: Point | None = None
        self._slope = limits.rate
        """The pair's drift when it was found: along it a new bound is compared with the held one."""
        self._cone = inf
        self._newest_s = -inf

    def at(self, at_s: float) -> float:
        """The ceiling in ns at `at_s`.

        Ahead of the newest bound the extreme line is carried on with the wander since then; looking back only
        the rate is relied on.
        """
        rate, newest_s = self._limits.rate, self._newest_s
        if at_s < newest_s:
            return min(self._carried(at_s)[0], self._cone + rate * (2 * newest_s - at_s))
        line, drift = self._carried(newest_s)
        ahead_s = at_s - newest_s
        line += (drift + self._limits.wander * sqrt(ahead_s)) * ahead_s
        return min(line, self._cone + rate * at_s)

    def drift(self, at_s: float) -> float:
        """The greatest drift at `at_s` (ns/s)."""
        return self._carried(at_s)[1]

    def _carried(self, at_s: float) -> tuple[float, float]:
        """The held bound carried to `at_s` at the greatest drift that the opposite one leaves; that drift."""
        rate, wander, opposite = self._limits.rate, self._limits.wander, self._opposite
        held_s, held_ns = self._held
        span_s = at_s - held_s
        if span_s < 0:
            return held_ns - rate * span_s, rate
        eased = held_ns + wander * span_s * sqrt(span_s)
        drift = rate
        if opposite is not None:
            age_s = at_s - opposite.at_s
            low = opposite.ns - wander * age_s * sqrt(age_s)
            drift = min(rate, (eased - low) / (held_s - opposite.at_s))
        return eased + drift * span_s, drift

    def add(self, at_s: float, ns: float) -> None:
        """Take the bound `ns` at `at_s`."""
        self._newest_s = max(self._newest_s, at_s)
        self._cone = min(self._cone, ns - self._limits.rate * at_s)
        later_s = at_s - self._held.at_s
        if ns <= self._held.ns + self._slope * later_s and (self._opposite is None or later_s >= 0):
            self._held = Point(at_s, ns)

    def refit(self, side: Side, opposite: Side, now_s: float) -> bool:
        """Find the pair whose ceiling at `now_s` is lowest; False when the bounds contradict each other.

        Newton's method from above on the concave margin over the drift: each step's tangent is a pair.
        """
        drift = self._carried(now_s)[1]
        while True:
            carried, low = side.eased + drift * side.ages, opposite.eased + drift * opposite.ages
            i, j = int(carried.argmin()), int(low.argmax())
            if carried[i] - low[j] >= -_ROUNDING_NS:
                self._slope = drift
                return True
            run_s = float(opposite.ages[j] - side.ages[i])
            if run_s <= 0:
                return False
            drift = float(side.eased[i] - opposite.eased[j]) / run_s
            if drift < -self._limits.rate:
                return False
            self._held, self._opposite = side.point(i), opposite.point(j)


class Bound:
    """[lower, upper] of the offset, in ns relative to the anchor, from one stretch of unbroken clocks."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._upper = Ceiling(limits)
        self._lower = Ceiling(limits)

    def at(self, at_s: float) -> tuple[float, float]:
        """The least and the greatest offset at `at_s`; the least is above the greatest if they contradict."""
        return -self._lower.at(at_s), self._upper.at(at_s)

    def drifts(self, at_s: float) -> tuple[float, float]:
        """The least and the greatest drift at `at_s`, ns/s."""
        return -self._lower.drift(at_s), self._upper.drift(at_s)

    def admits(self, upper_at_s: float, upper: float, lower_at_s: float, lower: float) -> bool:
        """Whether an exchange contradicts nothing so far."""
        fits_below = lower <= self._upper.at(lower_at_s) + _ROUNDING_NS
        return fits_below and -upper <= self._lower.at(upper_at_s) + _ROUNDING_NS

    def add(self, upper_at_s: float, upper: float, lower_at_s: float, lower: float) -> None:
        """Take an exchange's bounds."""
        self._upper.add(upper_at_s, upper)
        self._lower.add(lower_at_s, -lower)

    def refit(self, columns: Floats, now_s: float) -> bool:
        """Tighten from the closed blocks, all of them older than `now_s`; False when they contradict."""
        upper_at, upper, lower_at, lower = columns
        if not (self.limits.lines and upper.size):
            return True
        above = _side(upper_at, upper, self.limits.wander, now_s)
        below = _side(lower_at, lower, -self.limits.wander, now_s)
        return self._upper.refit(above, below, now_s) and self._lower.refit(
            below.turned(), above.turned(), now_s
        )


def _side(at_s: Floats, ns: Floats, wander: float, now_s: float) -> Side:
    ages = np.abs(now_s - at_s)  # an empty block's time may lie ahead; being infinite it is never chosen
    return Side(at_s, ns, ages, ns + wander * ages * np.sqrt(ages))
