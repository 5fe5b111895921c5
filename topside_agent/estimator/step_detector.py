"""Small steps that contradict nothing: both edges of the delays move the same way at the same time."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from topside_agent.estimator.lines import Floats

_BLOCKS = (4, 8, 16)
"""Blocks on either side of the moment that is tested."""
_SPREADS = 3.0
_FLOOR_NS = 50_000.0
"""A step is believed when it is so many times the greatest shift of quiet times, and so much beyond it."""
_SEASONED = 20
"""Shifts seen of each length before any is believed."""
_KEEP = 0.999
_ALIKE = 0.5
"""A step moves both edges by as much; a burst moves one by far more than noise moves the other."""


class ShiftWatch:
    """Compares the edges (least upper, greatest lower bound) before and after a moment.

    A longer or shorter route moves one edge, or both apart or together; queueing only thins an edge out. A
    step of the offset moves both by as much in the same direction, which collapses the margin of every
    window across it. How far noise alone does that is learnt on the way.
    """

    def __init__(self, block_s: float) -> None:
        self._block_s = block_s
        self._quiet = dict.fromkeys(_BLOCKS, 0.0)
        self._seen = dict.fromkeys(_BLOCKS, 0)

    def stepped(self, columns: Floats, slope: float, slope_error: float) -> int | None:
        """How many blocks back the edges began to differ, if they did; None in quiet times.

        `columns` are the closed blocks of one run, `slope` its drift and `slope_error` by how much that
        can be wrong, in ns/s: an unknown drift moves both edges too.
        """
        spans = [blocks for blocks in _BLOCKS if 2 * blocks <= columns.shape[1]]
        if not spans:
            return None
        shifts = _common_shifts(columns[:, -2 * spans[-1] :], slope, spans)
        for blocks, shift in zip(spans, shifts, strict=True):
            limit = _SPREADS * self._quiet[blocks] + _FLOOR_NS + slope_error * blocks * self._block_s
            if shift > limit and self._seen[blocks] >= _SEASONED:
                return 2 * blocks
        for blocks, shift in zip(spans, shifts, strict=True):
            self._quiet[blocks] = max(self._quiet[blocks] * _KEEP, shift)
            self._seen[blocks] += 1
        return None


def _common_shifts(columns: Floats, slope: float, spans: list[int]) -> list[float]:
    """For each span the lesser of both edges' moves (ns), 0 where they went different ways or are unknown."""
    upper_at, upper, lower_at, lower = columns.tolist()  # so few are quicker done in Python than in numpy
    high = [ns - slope * at for at, ns in zip(upper_at, upper, strict=True)]
    low = [ns - slope * at for at, ns in zip(lower_at, lower, strict=True)]
    shifts = []
    newer_high, newer_low = min(high[-spans[0] :]), max(low[-spans[0] :])
    for blocks in spans:
        before = slice(-2 * blocks, -blocks)
        older_high, older_low = min(high[before]), max(low[before])
        up, down = newer_high - older_high, newer_low - older_low
        less, more = sorted((abs(up), abs(down)))
        alike = up * down > 0 and more < inf and less >= more * _ALIKE
        shifts.append(less if alike else 0.0)
        newer_high, newer_low = min(newer_high, older_high), max(newer_low, older_low)
    return shifts
