"""The offset just after a beginning: the middle between the bounds along a drift that is known already."""

from __future__ import annotations

from math import inf

from topside_agent.estimator.window import Line


class Steady:
    """The least upper and the greatest lower bound along `slope` (ns/s), from one beginning on.

    Until a window is long enough to have a drift of its own, that of the time before the step serves better.
    """

    def __init__(self, slope: float, slope_variance: float) -> None:
        self._slope = slope
        self._slope_variance = slope_variance
        self._upper, self._lower = inf, -inf
        self._began_s: float | None = None
        self._count = 0

    def add(self, upper_at_s: float, upper: float, lower_at_s: float, lower: float) -> None:
        """Take an exchange's bounds."""
        self._count += 1
        if self._began_s is None:
            self._began_s = upper_at_s
        self._upper = min(self._upper, upper - self._slope * upper_at_s)
        self._lower = max(self._lower, lower - self._slope * lower_at_s)

    def line(self, at_s: float, noise: tuple[float, float] | None) -> Line:
        """The middle as a line at `at_s`; `noise` is the shortest window's (length s, squared error ns²).

        Along a known drift the error is a third of that of a window of the same length that must find its own
        (measured), and it falls as the span grows.
        """
        span_s = max(at_s - (self._began_s or 0.0), 0.25)
        variance = ((self._upper - self._lower) / 4) ** 2 / self._count
        if noise is not None:
            variance = min(variance, noise[1] / 9 * (noise[0] / span_s) ** 2)
        variance += self._slope_variance * (span_s / 2) ** 2
        middle = (self._upper + self._lower) / 2
        return Line(at_s, middle + self._slope * at_s, self._slope, variance, self._slope_variance, span_s)
