"""All straight lines through a series of intervals: what is known of a value that changes evenly.

A line is (level at the origin, slope); the feasible ones form a convex polygon, which each interval cuts
along two edges. Intervals come in the order of time: of the lines through one end of an earlier interval, the
steeper one is the higher one later on. So the polygon's greatest value is at its steepest corner, its least
one at the least steep, and a cut takes corners away from there alone, each corner once. Levels are in ns,
slopes fractions, both relative to what the caller keeps as integers.
"""

from __future__ import annotations

from collections import deque
from itertools import chain

_OFF_CENTRE = 1.5
"""The line that is held is given up for the middle of all when it is so much less certain than that."""

_Line = tuple[float, float]


class FeasibleLines:
    """The lines within all intervals so far, and the one of them that is held."""

    __slots__ = ("_above", "_below", "level", "slope", "spread")

    def __init__(self, low: float, high: float, slopes: tuple[float, float]) -> None:
        """Through `low` to `high` at the origin, with slopes from the one to the other."""
        least, greatest = slopes
        self._below = deque([(low, least), (low, greatest)])
        """The polygon's corners at the intervals' lower ends, by slope."""
        self._above = deque([(high, least), (high, greatest)])
        """At the upper ends."""
        self.hold((low + high) / 2, (least + greatest) / 2)

    def hold(self, level: float, slope: float) -> None:
        """Hold this line, which is within all intervals."""
        self.level, self.slope = level, slope
        below, above = self._below, self._above
        self.spread = max(
            slope - below[0][1], slope - above[0][1], below[-1][1] - slope, above[-1][1] - slope
        )
        """How far any feasible line's slope is from the held one's."""

    def range_at(self, at: float) -> tuple[float, float]:
        """The least and the greatest value of all feasible lines at `at`."""
        values = [level + slope * at for level, slope in chain(self._below, self._above)]
        return min(values), max(values)

    def off_at(self, at: float) -> float:
        """How far any feasible line is from the held one at `at`."""
        low, high = self.range_at(at)
        held = self.level + self.slope * at
        return max(high - held, held - low)

    def cut(self, at: float, low: float, high: float) -> tuple[float, float] | None:
        """Keep those within `low` to `high` at `at`, which is not before that of any earlier interval.

        Their range there; None, unchanged: none is.
        """
        below, above = self._below, self._above
        level, slope = below[0]
        if above[0][1] < slope or (above[0][1] == slope and above[0][0] < level):
            level, slope = above[0]
        least = level + slope * at
        level, slope = below[-1]
        if above[-1][1] > slope or (above[-1][1] == slope and above[-1][0] > level):
            level, slope = above[-1]
        greatest = level + slope * at
        if low <= least and greatest <= high:
            return least, greatest
        if greatest <= low or high <= least:
            return None
        if least < low:
            self._trim(0, at, low)
            least = low
        if greatest > high:
            self._trim(-1, at, high)
            greatest = high
        self._choose(at, least, greatest)
        return least, greatest

    def _trim(self, end: int, at: float, limit: float) -> None:
        """Take the corners beyond `limit` at `at` from this end (0: the least steep); make two there."""
        below, above = self._below, self._above
        sign = -1.0 if end else 1.0
        for corners, others, beyond in ((below, above, above[end]), (above, below, below[end])):
            while corners and (corners[end][0] + corners[end][1] * at - limit) * sign <= 0:
                beyond = corners.pop() if end else corners.popleft()  # noqa: PLW2901 - the last one
            level, slope = corners[end] if corners else others[-1 - end]
            over = level + slope * at - limit
            share = over / (over - (beyond[0] + beyond[1] * at - limit))
            corner = level + (beyond[0] - level) * share, slope + (beyond[1] - slope) * share
            corners.append(corner) if end else corners.appendleft(corner)

    def _choose(self, at: float, least: float, greatest: float) -> None:
        """Hold the same line if it is still feasible and not much worse than the middle one."""
        held = self.level + self.slope * at
        off = max(greatest - held, held - least)
        if least <= held <= greatest and off <= _OFF_CENTRE * (greatest - least) / 2:
            self.hold(self.level, self.slope)
            return
        corners = [*self._below, *self._above]
        self.hold(
            sum([level for level, _ in corners]) / len(corners),
            sum([slope for _, slope in corners]) / len(corners),
        )
