"""The hard bound: the extremes of every offset and drift that contradict no exchange."""

from __future__ import annotations

from math import inf
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
        self._cone = inf
        self._newest_s = -inf

    def at(self, at_s: float) -> float:
        """The ceiling in ns at `at_s`.

        Ahead of the newest bound the extreme line is carried on with the wander since then; looking back only
        the rate is relied on.
        """
        ahead_s = max(at_s - self._newest_s, 0.0)
        back_s = max(self._newest_s - at_s, 0.0)
        cone = self._cone + self._limits.rate * (at_s + 2 * back_s)
        line = self._carried(self._held, at_s - ahead_s)
        if ahead_s > 0:
            line += self._drift(self._held, at_s - ahead_s) * ahead_s + self._slack(ahead_s)
        return min(line, cone)

    def add(self, at_s: float, ns: float, now_s: float) -> None:
        """Take the bound `ns` at `at_s`; `now_s` is where it should serve."""
        self._newest_s = max(self._newest_s, at_s)
        self._cone = min(self._cone, ns - self._limits.rate * at_s)
        point = Point(at_s, ns)
        if self._carried(point, now_s) <= self._carried(self._held, now_s):
            self._held = point

    def refit(
        self, upper_at_s: Floats, upper: Floats, lower_at_s: Floats, lower: Floats, now_s: float
    ) -> bool:
        """Find the pair whose ceiling at `now_s` is lowest; False when the bounds contradict each other.

        Newton's method from above on the concave margin over the drift: each step's tangent is a pair.
        """
        if not (self._limits.lines and upper.size):
            return True
        # An empty block's time may lie ahead; with a bound of infinity it is never chosen.
        ages, opposite_ages = np.abs(now_s - upper_at_s), np.abs(now_s - lower_at_s)
        eased = upper + self._limits.wander * ages * np.sqrt(ages)
        opposite = lower - self._limits.wander * opposite_ages * np.sqrt(opposite_ages)
        drift = self._drift(self._held, now_s)
        while True:
            carried, low = eased + drift * ages, opposite + drift * opposite_ages
            i, j = int(carried.argmin()), int(low.argmax())
            if carried[i] - low[j] >= -_ROUNDING_NS:
                return True
            run_s = float(opposite_ages[j] - ages[i])
            if run_s <= 0:
                return False
            drift = float(eased[i] - opposite[j]) / run_s
            if drift < -self._limits.rate:
                return False
            self._held = Point(float(upper_at_s[i]), float(upper[i]))
            self._opposite = Point(float(lower_at_s[j]), float(lower[j]))

    def drift(self, now_s: float) -> float:
        """The greatest drift at `now_s` (ns/s)."""
        return self._drift(self._held, now_s)

    def _drift(self, held: Point, at_s: float) -> float:
        rate, opposite = self._limits.rate, self._opposite
        if opposite is None or opposite.at_s >= held.at_s or held.ns == inf:
            return rate
        eased = held.ns + self._slack(at_s - held.at_s)
        low = opposite.ns - self._slack(at_s - opposite.at_s)
        return min(rate, (eased - low) / (held.at_s - opposite.at_s))

    def _carried(self, held: Point, at_s: float) -> float:
        ahead_s = at_s - held.at_s
        if ahead_s <= 0:
            return held.ns - self._limits.rate * ahead_s
        return held.ns + self._slack(ahead_s) + self._drift(held, at_s) * ahead_s

    def _slack(self, span_s: float) -> float:
        return self._limits.wander * float(abs(span_s) ** 1.5)


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
        return (
            lower <= self.at(lower_at_s)[1] + _ROUNDING_NS and upper >= self.at(upper_at_s)[0] - _ROUNDING_NS
        )

    def add(self, upper_at_s: float, upper: float, lower_at_s: float, lower: float) -> None:
        """Take an exchange's bounds."""
        self._upper.add(upper_at_s, upper, lower_at_s)
        self._lower.add(lower_at_s, -lower, lower_at_s)

    def refit(self, columns: Floats, now_s: float) -> bool:
        """Tighten from the closed blocks, all of them older than `now_s`; False when they contradict."""
        upper_at, upper, lower_at, lower = columns
        return self._upper.refit(upper_at, upper, lower_at, lower, now_s) and self._lower.refit(
            lower_at, -lower, upper_at, -upper, now_s
        )
