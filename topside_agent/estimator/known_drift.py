"""The offset just after a beginning: the middle between the bounds along a drift that is known already."""

from __future__ import annotations

from bisect import insort

from topside_agent.estimator.symmetric import middle
from topside_agent.estimator.window import Line


class KnownDriftFit:
    """All upper and lower bounds along `slope` (ns/s), from one beginning on.

    Until a window is long enough to have a drift of its own, that of the time before the step serves better.
    """

    def __init__(self, slope: float, slope_variance: float) -> None:
        self._slope = slope
        self._slope_variance = slope_variance
        self._above: list[float] = []
        self._below: list[float] = []  # turned upside down: both rise
        self._began_s: float | None = None

    def add(self, upper_at_s: float, upper: float, lower_at_s: float, lower: float) -> None:
        """Take an exchange's bounds."""
        if self._began_s is None:
            self._began_s = upper_at_s
        insort(self._above, upper - self._slope * upper_at_s)
        insort(self._below, self._slope * lower_at_s - lower)

    def line(self, at_s: float, noise: tuple[float, float] | None) -> Line:
        """The middle as a line at `at_s`; `noise` is the shortest window's (length s, squared error ns²).

        Along a known drift the error is a third of that of a window of the same length that must find its own
        (measured), and it falls as the span grows.
        """
        span_s = max(at_s - (self._began_s or 0.0), 0.25)
        variance = ((self._above[0] + self._below[0]) / 4) ** 2 / len(self._above)
        if noise is not None:
            variance = min(variance, noise[1] / 9 * (noise[0] / span_s) ** 2)
        variance += self._slope_variance * (span_s / 2) ** 2
        offset = middle(self._above, self._below) + self._slope * at_s
        return Line(at_s, offset, self._slope, variance, self._slope_variance, span_s)
