"""All straight lines that pass through a series of intervals: what is known of a value that changes evenly.

A line is (level at the origin, slope); the feasible ones form a convex polygon, which each interval
cuts along two edges. Levels are in ns, slopes fractions, both relative to what the caller keeps as integers.
"""

from __future__ import annotations

_OFF_CENTRE = 1.5
"""The line that is held is given up for the middle of all when it is so much less certain than that."""


class FeasibleLines:
    """The lines within all intervals so far, and the one of them that is held."""

    __slots__ = ("_polygon", "level", "slope", "spread")

    def __init__(self, low: float, high: float, slopes: tuple[float, float]) -> None:
        """Through `low` to `high` at the origin, with slopes from the one to the other."""
        least, greatest = slopes
        self._polygon = [(low, least), (low, greatest), (high, greatest), (high, least)]
        self.hold((low + high) / 2, (least + greatest) / 2)

    def hold(self, level: float, slope: float) -> None:
        """Hold this line, which is within all intervals."""
        self.level, self.slope = level, slope
        self.spread = max([abs(each - slope) for _, each in self._polygon])
        """How far any feasible line's slope is from the held one's."""

    def range_at(self, at: float) -> tuple[float, float]:
        """The least and the greatest value of all feasible lines at `at`."""
        values = [level + slope * at for level, slope in self._polygon]
        return min(values), max(values)

    def off_at(self, at: float) -> float:
        """How far any feasible line is from the held one at `at`."""
        low, high = self.range_at(at)
        held = self.level + self.slope * at
        return max(high - held, held - low)

    def cut(self, at: float, low: float, high: float) -> tuple[float, float] | None:
        """Keep those within `low` to `high` at `at`; their range there; None, unchanged: none is."""
        values = [level + slope * at for level, slope in self._polygon]
        least, greatest = min(values), max(values)
        if low <= least and greatest <= high:
            return least, greatest
        if greatest < low or high < least:
            return None
        polygon = self._polygon
        if least < low:
            polygon = _clipped(polygon, at, low, 1.0)
        if greatest > high:
            polygon = _clipped(polygon, at, high, -1.0)
        if not polygon:
            return None
        self._polygon = polygon
        least, greatest = max(least, low), min(greatest, high)
        self._choose(at, least, greatest)
        return least, greatest

    def _choose(self, at: float, least: float, greatest: float) -> None:
        """Hold the same line if it is still feasible and not much worse than the middle one."""
        held = self.level + self.slope * at
        off = max(greatest - held, held - least)
        if least <= held <= greatest and off <= _OFF_CENTRE * (greatest - least) / 2:
            self.hold(self.level, self.slope)
            return
        count = len(self._polygon)
        self.hold(
            sum([level for level, _ in self._polygon]) / count,
            sum([slope for _, slope in self._polygon]) / count,
        )


def _clipped(
    polygon: list[tuple[float, float]], at: float, limit: float, sign: float
) -> list[tuple[float, float]]:
    """The part of the polygon whose lines are above (`sign` 1) or below (−1) `limit` at `at`."""
    kept = []
    before = polygon[-1]
    over_before = (before[0] + before[1] * at - limit) * sign
    for point in polygon:
        over = (point[0] + point[1] * at - limit) * sign
        if (over > 0) != (over_before > 0):
            share = over_before / (over_before - over)
            kept.append(
                (before[0] + (point[0] - before[0]) * share, before[1] + (point[1] - before[1]) * share)
            )
        if over > 0:
            kept.append(point)
        before, over_before = point, over
    return kept
