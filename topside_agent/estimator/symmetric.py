"""Estimates that also use longer delays than the shortest, as far as both directions are symmetric.

The edges of the bounds are made by the shortest delays alone. Where few delays come near the least, that is
little data. While both directions have one distribution, the k-th shortest delays of both say as much, for
every k. `middle` averages them; `KnownDriftFit` uses it along a known drift in the first minute and after a
step; `SubWindowMidpoints` fits a line through the middles of sub-windows (docs/mathematics.md §7 and §8).
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from topside_agent.estimator.window_errors import SHARPNESS, Line

if TYPE_CHECKING:
    from topside_agent.estimator.settings import EstimatorSettings

FEWEST = 16
"""With fewer exchanges only the shortest delays count: an asymmetry of the directions could go unnoticed."""
_SYMMETRIC = 1.5
"""Standard deviations by which the spreads of symmetric delays may differ: there the trust is one half."""
_CUTOFF = 4
"""How fast the trust falls beyond that: this power of the squared ratio."""
_LEAST_SPREAD = 4
"""A delay's uncertainty is estimated from at least this many delays; from two it would be chance."""
_FEWEST_MIDPOINTS = 4
_LONG = 0.5
"""Of the longest possible window. A shorter one is best where the clock wanders, not the delays: there a
line that is surer of the delays gains nothing (used regardless, it lost 24 % in a cold dunk).
"""


def middle(above: Sequence[float], below: Sequence[float]) -> float:
    """The likeliest offset (ns) from all bounds along a known drift.

    `above` are the upper bounds, `below` the negated lower ones, both sorted: their k-th entries belong to
    the k-th shortest delays out and back. The middle between the two shortest assumes no more than equal
    least delays. With one distribution in both directions the middle between the k-th shortest is as good,
    for every k; those are averaged and trusted as far as both directions spread equally, from the shortest
    to the 2k-th, up to half of all. Where one direction jitters more, the shortest alone count.
    """
    edges = (above[0] - below[0]) / 2
    if len(above) < FEWEST:
        return edges
    doubt, weights, moved = 0.0, 0.0, 0.0
    k = 1
    while 4 * k <= len(above):
        difference, squared = asymmetry(above, below, 2 * k)
        doubt = max(doubt, difference**2 / squared if squared else 0.0)
        variance = k * _spacing(above, below, max(2 * k, _LEAST_SPREAD))
        if not variance:
            return edges  # the resolution is too coarse
        weight = variance**-SHARPNESS
        weights += weight
        moved += weight * ((above[k - 1] - below[k - 1]) / 2 - edges)
        k *= 2
    return edges + moved / weights * symmetry_trust(doubt)


def symmetry_trust(doubt: float) -> float:
    """How far both directions count as symmetric, 1 to 0; `doubt` is their squared difference in σ²."""
    return 1.0 / (1.0 + (doubt / _SYMMETRIC**2) ** _CUTOFF)


def asymmetry(above: Sequence[float], below: Sequence[float], count: int) -> tuple[float, float]:
    """How much farther the shortest `count` delays out spread than those back (ns), and its variance (ns²).

    The variance is that of symmetric delays: a spread over `count` delays is a sum of count − 1 spacings,
    each as uncertain as it is long (Rényi).
    """
    out, back = above[count - 1] - above[0], below[count - 1] - below[0]
    return out - back, (out**2 + back**2) / (count - 1)


def _spacing(above: Sequence[float], below: Sequence[float], count: int) -> float:
    """The mean squared spacing (ns²) of the shortest `count` delays out and back."""
    out, back = above[count - 1] - above[0], below[count - 1] - below[0]
    return (out**2 + back**2) / (count - 1) ** 2


class KnownDriftFit:
    """The offset since a beginning, from all bounds along the known drift `slope` (ns/s).

    Until a window is long enough to find a drift of its own, that of the time before the step is better.
    """

    def __init__(self, slope: float, slope_variance: float) -> None:
        self._slope = slope
        self._slope_variance = slope_variance
        self._above: list[float] = []
        self._below: list[float] = []  # negated, so that both rise
        self._began_s: float | None = None
        self._middle: float | None = None

    def add(self, upper_at_s: float, upper: float, lower_at_s: float, lower: float) -> None:
        """Add an exchange's bounds."""
        if self._began_s is None:
            self._began_s = upper_at_s
        self._middle = None
        insort(self._above, upper - self._slope * upper_at_s)
        insort(self._below, self._slope * lower_at_s - lower)

    def line(self, at_s: float, noise: tuple[float, float] | None) -> Line:
        """The line at `at_s`; `noise` is the shortest window's (length s, squared error ns²).

        Along a known drift the error is a third of that of a window of the same length that must find its own
        (measured), and it falls as the time since the beginning grows.
        """
        span_s = max(at_s - (self._began_s or 0.0), 0.25)
        variance = ((self._above[0] + self._below[0]) / 4) ** 2 / len(self._above)
        if noise is not None:
            variance = min(variance, noise[1] / 9 * (noise[0] / span_s) ** 2)
        variance += self._slope_variance * (span_s / 2) ** 2
        if self._middle is None:
            self._middle = middle(self._above, self._below)
        offset = self._middle + self._slope * at_s
        return Line(at_s, offset, self._slope, variance, self._slope_variance, span_s)


class _Midpoint(NamedTuple):
    """The middle (ns) of one sub-window at its own centre (s), and how asymmetric its delays are."""

    at_s: float
    middle: float
    difference: tuple[float, float]
    """Spread out less spread back (ns), over a quarter and over half of the delays."""
    squared: tuple[float, float]
    """The variances (ns²) of both."""


class SubWindowMidpoints:
    """The midpoints of one timebase's sub-windows, each as long as the shortest window.

    A sub-window with fewer than `FEWEST` exchanges has none.
    """

    def __init__(self, settings: EstimatorSettings) -> None:
        self._sub_window_s = settings.windows_s[0]
        self._longest_s = settings.windows_s[-1]
        self._wander = settings.wander_typical * 1e9
        self._midpoints: deque[_Midpoint] = deque(maxlen=round(self._longest_s / self._sub_window_s))
        self._bounds: list[tuple[float, float, float, float]] = []
        self._number = 0
        self.line: Line | None = None

    def add(self, bounds: tuple[float, float, float, float], best: Line | None) -> None:
        """Add an exchange's bounds (times in s, bounds in ns); `best` is the window set's present line."""
        number = int(bounds[2] // self._sub_window_s)
        if number > self._number:
            self._close(best)
            self._number = number
        self._bounds.append(bounds)

    def _close(self, best: Line | None) -> None:
        if len(self._bounds) >= FEWEST and best is not None:
            self._midpoints.append(
                _midpoint(self._bounds, (self._number + 0.5) * self._sub_window_s, best.slope)
            )
        self._bounds.clear()
        end_s = (self._number + 1) * self._sub_window_s
        longest_s = min(end_s, self._longest_s)
        noisy = best is not None and best.window_s >= longest_s * _LONG
        self.line = self._through(end_s, best.window_s) if noisy and best is not None else None

    def _through(self, end_s: float, window_s: float) -> Line | None:
        """The least-squares line through the window's midpoints, its error from their scatter around it."""
        points = [point for point in self._midpoints if point.at_s > end_s - window_s]
        count = len(points)
        if count < _FEWEST_MIDPOINTS or count * self._sub_window_s < window_s / 2:
            return None
        trust = symmetry_trust(max(_pooled_doubt(points, rank) for rank in (0, 1)))
        mean_s = sum(point.at_s for point in points) / count
        mean = sum(point.middle for point in points) / count
        spread = sum((point.at_s - mean_s) ** 2 for point in points)
        slope = sum((point.at_s - mean_s) * (point.middle - mean) for point in points) / spread
        rest = sum((point.middle - mean - slope * (point.at_s - mean_s)) ** 2 for point in points)
        squared = rest / (count - 2) / max(trust, 1e-9)
        variance = squared * (1 / count + (end_s - mean_s) ** 2 / spread)
        variance += _bend(points, mean_s, mean, slope) + self._wander**2 * 0.01 * window_s**3
        offset = mean + slope * (end_s - mean_s)
        return Line(end_s, offset, slope, variance, squared / spread, window_s)


def _bend(points: list[_Midpoint], mean_s: float, mean: float, slope: float) -> float:
    """The square (ns²) of what a parabola through the midpoints adds to the line at its end."""
    steps = [point.at_s - mean_s for point in points]
    squares = sum(step**2 for step in steps) / len(steps)
    cubes = sum(step**3 for step in steps) / len(steps)
    curves = [step**2 - squares - cubes / squares * step for step in steps]
    rest = [point.middle - mean - slope * step for point, step in zip(points, steps, strict=True)]
    curvature = sum(c * r for c, r in zip(curves, rest, strict=True)) / sum(c**2 for c in curves)
    return (curvature * curves[-1]) ** 2


def _midpoint(bounds: list[tuple[float, float, float, float]], at_s: float, slope: float) -> _Midpoint:
    above = sorted(upper - slope * (upper_at_s - at_s) for upper_at_s, upper, _, _ in bounds)
    below = sorted(slope * (lower_at_s - at_s) - lower for _, _, lower_at_s, lower in bounds)
    difference, squared = zip(*(asymmetry(above, below, len(above) // part) for part in (4, 2)), strict=True)
    return _Midpoint(at_s, middle(above, below), difference, squared)


def _pooled_doubt(points: list[_Midpoint], rank: int) -> float:
    """The squared sum of the midpoints' asymmetries in its own variances."""
    squared = sum(point.squared[rank] for point in points)
    return sum(point.difference[rank] for point in points) ** 2 / squared if squared else 0.0
