"""Which window to trust: the ladder of windows, and each window's error as measured by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from topside_agent.estimator.settings import EstimatorSettings

Floats = NDArray[np.float64]
Number = TypeVar("Number", float, Floats)

SHARPNESS = 3
"""Estimates are averaged with the weight (squared error)^-3: the best window and its near rivals."""

DRIFT_95 = 2.0
"""Standard deviations in the drift's 95 % error."""
_MOST_UNSEASONED = 10.0
_CURVATURE = 1 / 8
"""A steady change of drift bends past and future alike, so that their disagreement G does not show it. A line
through a parabola is off by (its slope's change from one window to the next)·W/12 (least squares) to W/16
(greatest margin) at its end; a little more than either is charged.
"""


class Line(NamedTuple):
    """A straight piece of the offset: `offset` ns at `at_s`, `slope` ns/s, expected squared errors (ns²)."""

    at_s: float
    offset: float
    slope: float
    variance: float
    slope_variance: float
    window_s: float

    def at(self, at_s: float) -> float:
        """The offset carried on to `at_s`, in ns."""
        return self.offset + self.slope * (at_s - self.at_s)

    def variance_at(self, at_s: float, wander: float) -> float:
        """The expected squared error there: the drift's error and the wander (ns/s^1.5) grow with time."""
        span_s = max(at_s - self.at_s, 0.0)
        return self.variance + self.slope_variance * span_s**2 + wander**2 * span_s**3 / 3


def disagreement(past: Number, future: Number, bend: Number, window_s: Number | float) -> Number:
    """G²/2 plus what bends both sides alike, ns².

    `past` and `future` are two lines' values where they meet; by time reversal their errors are equal and
    independent, so half the square of the difference is what either may expect. `bend` is the change of slope
    from the one to the other in ns/s.
    """
    return (past - future) ** 2 / 2 + (bend * (window_s * _CURVATURE)) ** 2


def expected(
    measured: Sequence[Number],
    evidence: Sequence[Number],
    windows_s: Sequence[float],
    start: Number,
    wander: float,
) -> list[Number]:
    """Each window's expected squared error (ns²), shortest first.

    `measured` is the mean disagreement and `evidence` its weight in independent windows. Where that is
    little, what the next shorter window suggests counts: the noise falls with the length, the wander
    (ns/s^1.5) grows with its cube. `start` stands for the shortest.
    """
    errors: list[Number] = []
    prior = start
    for index, (mean, weight, window_s) in enumerate(zip(measured, evidence, windows_s, strict=True)):
        if index:
            shorter_s = windows_s[index - 1]
            prior = errors[-1] * (shorter_s / window_s) + wander**2 * 0.01 * (window_s**3 - shorter_s**3)
        errors.append((mean * weight + prior) / (weight + 1.0))
    return errors


class WindowErrors:
    """The windows' measured errors, exponentially forgotten. It outlives segments: the network stays."""

    def __init__(self, settings: EstimatorSettings) -> None:
        self.windows_s = settings.ladder_s
        self._block_s = settings.block_s
        self._keep = float(np.exp(-settings.block_s / settings.forget_s))
        self.sums = [0.0] * len(self.windows_s)
        self.bends = [0.0] * len(self.windows_s)
        self.counts = [0.0] * len(self.windows_s)

    def forget(self, blocks: int) -> None:
        """Let `blocks` blocks of time pass."""
        keep = self._keep**blocks
        self.sums = [value * keep for value in self.sums]
        self.bends = [value * keep for value in self.bends]
        self.counts = [value * keep for value in self.counts]

    def take(self, rung: int, squared: float, bend: float) -> None:
        """Count a disagreement (ns²) of window `rung`, and the change of slope (ns/s) that came with it."""
        self.sums[rung] += squared
        self.bends[rung] += bend**2 / 2
        self.counts[rung] += 1.0

    def means(self) -> list[float]:
        """The mean disagreement of each window, 0 where none was seen."""
        return [s / n if n else 0.0 for s, n in zip(self.sums, self.counts, strict=True)]

    def slope_variance(self, rung: int, squared: float) -> float:
        """The squared error (ns²/s²) of that window's slope as the drift now.

        Two windows' slopes differ by both their errors, and by as much wander as lies between a window's
        middle and its end, twice. Where that was seen little, 3·`squared`/W² stands for it: what a line's
        error at its end says of its slope.
        """
        weight = self.counts[rung] * self._block_s / self.windows_s[rung]
        mean = self.bends[rung] / self.counts[rung] if self.counts[rung] else 0.0
        return (mean * weight + 3 * squared / self.windows_s[rung] ** 2) / (weight + 1.0)

    def evidence(self) -> list[float]:
        """How many independent windows each mean stands for."""
        return [n * self._block_s / w for n, w in zip(self.counts, self.windows_s, strict=True)]

    def unseasoned(self, warmup_s: float) -> float:
        """How much larger u95² must be while the clocks have not been watched for `warmup_s` yet."""
        watched_s = self.counts[0] * self._block_s
        return 1.0 + min((warmup_s / max(watched_s, 1.0)) ** 2, _MOST_UNSEASONED)

    def shortest(self) -> tuple[float, float] | None:
        """The shortest window's length (s) and mean squared error (ns²), once that has been measured."""
        return (self.windows_s[0], self.sums[0] / self.counts[0]) if self.counts[0] else None
