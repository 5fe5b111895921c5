"""The hard bound at an instant from the exchanges before and after it at once, for the smoother.

With the tangent at an instant s the drift is unknown, but two upper bounds on either side of s limit θ(s)
without it: whatever the drift raises on one side it lowers on the other (docs/mathematics.md §10). Any such
pair proves a bound; the best is found by a linear program at each block's boundary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from topside_agent.estimator.blocks import block_extremes

if TYPE_CHECKING:
    from topside_agent.estimator.blocks import Bounds, Floats, Integers
    from topside_agent.estimator.bound import ClockLimits

_MOST_STEPS = 12
_CLOSE_NS = 1.0
_REACH = 4.0
"""Exchanges farther away than this part of the time in which wander spoils them altogether are left out."""
_CHUNK = 8192
_LEAST_BLOCKS, _MOST_BLOCKS = 4, 256


def bounds_between(
    bounds: Bounds, number: Integers, slope: Floats, limits: ClockLimits, block_s: float
) -> tuple[Floats, Floats]:
    """Lower and upper bound (ns) at each exchange's destination; infinite where one side has no exchange.

    The arguments are those of `block_extremes`, one entry per exchange in the order of destinations.
    Assumption: that of `ClockLimits.wander`, for the tangent at each destination. Without tangents: infinite.
    """
    none = np.full(number.size, np.inf)
    if not number.size or not limits.tangents:
        return -none, none
    numbers, extremes = block_extremes(bounds, number, slope)
    reach = _reach(float((bounds.upper - bounds.lower).min()), limits.wander, block_s)
    row_block = np.searchsorted(numbers, number)
    drift = float(np.median(slope))
    above = _Ceiling(extremes.upper_at, extremes.upper, drift, limits.wander, reach)
    below = _Ceiling(extremes.lower_at, -extremes.lower, -drift, limits.wander, reach)
    boundaries = np.append(numbers, numbers[-1] + 1) * block_s
    at_s = bounds.lower_at
    return -below.at(at_s, row_block, boundaries), above.at(at_s, row_block, boundaries)


def _reach(least_ns: float, wander: float, block_s: float) -> int:
    spoiled_s = (max(least_ns, 1.0) / wander) ** (2 / 3)
    return int(np.clip(np.ceil(spoiled_s / _REACH / block_s), _LEAST_BLOCKS, _MOST_BLOCKS))


class _Ceiling:
    """The least upper bound between points (s, ns) that the offset lies below; negated the greatest lower."""

    def __init__(self, at_s: Floats, ns: Floats, drift: float, wander: float, reach: int) -> None:
        self._at_s, self._ns, self._wander = at_s, ns, wander
        self._drift, self._reach = drift, min(reach, at_s.size)

    def at(self, at_s: Floats, row_block: Integers, boundaries: Floats) -> Floats:
        """The bound (ns) at `at_s`, each instant in the block `row_block`, from the boundaries' pairs."""
        left, right = self._pairs(boundaries)
        found = np.full(at_s.size, np.inf)
        for begin in range(0, at_s.size, _CHUNK):
            here = slice(begin, begin + _CHUNK)
            for boundary in (row_block[here], row_block[here] + 1):
                proved = self._between(at_s[here], left[boundary], right[boundary])
                np.minimum(found[here], proved, out=found[here])
        return found

    def _between(self, at_s: Floats, left: Integers, right: Integers) -> Floats:
        """What two points prove about the instant between them; infinite where it is not between."""
        before_s, after_s = at_s - self._at_s[left], self._at_s[right] - at_s
        high, low = (
            self._ns[side] + self._wander * np.abs(away) ** 1.5
            for side, away in ((left, before_s), (right, after_s))
        )
        whole_s = before_s + after_s
        valid = (before_s >= 0) & (after_s >= 0) & (whole_s > 0)
        return np.where(valid, (high * after_s + low * before_s) / np.where(valid, whole_s, 1.0), np.inf)

    def _pairs(self, boundaries: Floats) -> tuple[Integers, Integers]:
        """For each boundary the two points, one before and one after it, that prove most there."""
        size, reach = self._at_s.size, self._reach
        offsets = np.arange(-reach, reach)
        places = np.arange(boundaries.size)
        left, right = np.clip(places - 1, 0, size - 1), np.clip(places, 0, size - 1)
        for begin in range(0, boundaries.size, 512):
            chunk = places[begin : begin + 512]
            near = np.clip(chunk[:, None] + offsets, 0, size - 1)
            away = boundaries[chunk, None] - self._at_s[near]
            raised = self._ns[near] + self._wander * np.abs(away) ** 1.5
            i, j = self._search(away, raised)
            each = np.arange(chunk.size)
            left[chunk], right[chunk] = near[each, i], near[each, j]
        return left, right

    def _search(self, away: Floats, raised: Floats) -> tuple[Integers, Integers]:
        """The pair whose tangents meet highest below all others: cutting planes in the drift.

        `away` (s, positive before the boundary) and `raised` (ns) have shape (boundaries, points). A search
        that is not finished leaves a pair that proves less.
        """
        each = np.arange(away.shape[0])
        line = raised + self._drift * away
        i = np.where(away > 0, line, np.inf).argmin(axis=1)
        j = np.where(away <= 0, line, np.inf).argmin(axis=1)
        for _ in range(_MOST_STEPS):
            rise, fall = away[each, i], away[each, j]
            with np.errstate(divide="ignore", invalid="ignore"):
                drift = (raised[each, j] - raised[each, i]) / (rise - fall)
            drift = np.where(np.isfinite(drift), drift, self._drift)
            line = raised + drift[:, None] * away
            lowest = line.argmin(axis=1)
            open_ = line[each, lowest] < line[each, i] - _CLOSE_NS
            if not open_.any():
                break
            before = away[each, lowest] > 0
            i, j = np.where(open_ & before, lowest, i), np.where(open_ & ~before, lowest, j)
        return i, j
