"""The lines through a series of intervals, against a polygon that is clipped as a whole at each of them."""

import random

import pytest

from runtime.feasible_lines import FeasibleLines
from tests.effort import tries


class Polygon:
    """All lines within all intervals so far, as the corners of a polygon in any order of the intervals."""

    def __init__(self, low, high, slopes):
        least, greatest = slopes
        self.corners = [(low, least), (low, greatest), (high, greatest), (high, least)]

    def range_at(self, at):
        values = [level + slope * at for level, slope in self.corners]
        return min(values), max(values)

    def cut(self, at, low, high):
        corners = clipped(clipped(self.corners, at, low, 1), at, high, -1)
        self.corners = corners or self.corners
        return self.range_at(at) if corners else None


def clipped(corners, at, limit, sign):
    kept = []
    for before, corner in zip(corners[-1:] + corners[:-1], corners, strict=True):
        over_before, over = ((level + slope * at - limit) * sign for level, slope in (before, corner))
        if (over > 0) != (over_before > 0):
            share = over_before / (over_before - over)
            (level, slope), (its_level, its_slope) = before, corner
            kept.append((level + (its_level - level) * share, slope + (its_slope - slope) * share))
        if over > 0:
            kept.append(corner)
    return kept


@pytest.mark.parametrize("seed", range(tries(8)))
def test_the_lines_through_all_intervals_are_those_of_a_polygon_that_is_clipped(seed):
    chance = random.Random(seed)
    half, steepest = chance.choice([1.0, 60.5, 1000.0]), chance.choice([20e-6, 0.1])
    lines, polygon = (made(-half, half, (-steepest, steepest)) for made in (FeasibleLines, Polygon))
    slope, off, at = chance.uniform(-steepest, steepest), chance.uniform(-half, half), 0.0
    for _ in range(200):
        at += chance.choice([0, 3e5, 1e7, 4e7, 1e8]) * chance.random()
        half = chance.choice([half, 60.5, 61.0, 300.0])
        middle = off + slope * at + chance.uniform(-1, 1) * half * chance.choice([1, 1, 1, 1.05])
        found, expected = (each.cut(at, middle - half, middle + half) for each in (lines, polygon))
        close = {"rel": 1e-9, "abs": 1e-6}
        assert found == (expected and pytest.approx(expected, **close))
        for earlier in (at, 0.9 * at, 0.3 * at, 0):
            assert lines.range_at(earlier) == pytest.approx(polygon.range_at(earlier), **close)
        slopes = [slope for _, slope in polygon.corners]
        assert lines.spread == pytest.approx(
            max(lines.slope - min(slopes), max(slopes) - lines.slope), rel=1e-9, abs=1e-15
        )
        least, greatest = polygon.range_at(at)
        assert least - 1e-6 <= lines.level + lines.slope * at <= greatest + 1e-6


def test_the_same_interval_again_and_again_changes_nothing():
    lines = FeasibleLines(-10.5, 10.5, (-2e-5, 2e-5))
    expected = lines.cut(756.3, -10.3, 9.7)
    for _ in range(50):
        assert lines.cut(756.3, -10.3, 9.7) == pytest.approx(expected)
    assert lines.range_at(1e6) == pytest.approx((-30.2, 30.1), abs=0.5)
