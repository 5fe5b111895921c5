"""How wrong each window's line is, as the data show it, and the line that carries that error along.

A short window is noisy, a long one is bent by wander. By time reversal the line over the window before an
instant and the line over the window after it have equal and independent errors there, so half the square of
their difference measures a window's own squared error (docs/mathematics.md §6).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from topside_agent.estimator.blocks import Floats, Integers

if TYPE_CHECKING:
    from topside_agent.estimator.settings import EstimatorSettings

Number = TypeVar("Number", float, Floats)

SHARPNESS = 3
"""Estimates are averaged with the weight (squared error)^-3: the best window and its near rivals."""

LEAST_SQUARED = 1 / 12
"""ns²: no error is less, as timestamps are whole ns. Weights by errors of 0 would be undefined."""
DRIFT_95 = 2.0
"""Standard deviations in the drift's 95 % error."""
_MOST_WARMUP = 10.0
CURVATURE = 1 / 8
"""A steady change of drift bends past and future equally, so their disagreement G does not show it. A line
through a parabola is off by (its slope's change from one window to the next)·W/12 (least squares) to W/16
(greatest margin) at its end; a little more than either is charged.
"""


_CHUNK = 2048
BEND_OF_NOISE = 6.0
"""By noise alone (bend·W)² is this times G²/2: the slope of a least-squares line has the variance 12σ²/(nW²),
its end 4σ²/n. A line of greatest margin is alike.
"""


def most_certain(values: Floats, squared: Floats, sharpness: int) -> tuple[Floats, Floats, Integers]:
    """Of estimates by several windows, shape (windows, instants), their average at each instant.

    Weights are (squared error)^-`sharpness`. With it the least of the squared errors, and which window's.
    """
    average, least = np.empty(values.shape[1]), np.empty(values.shape[1])
    best = np.empty(values.shape[1], dtype=np.int64)
    for begin in range(0, values.shape[1], _CHUNK):  # the weights of all instants would fill the memory
        here = slice(begin, begin + _CHUNK)
        errors = squared[:, here]
        least[here], best[here] = errors.min(axis=0), errors.argmin(axis=0)
        weights = (least[here] / errors) ** sharpness
        average[here] = (weights * values[:, here]).sum(axis=0) / weights.sum(axis=0)
    return average, least, best


class Line(NamedTuple):
    """A line for the offset: `offset` ns at `at_s`, `slope` ns/s, expected squared errors (ns², ns²/s²)."""

    at_s: float
    offset: float
    slope: float
    variance: float
    slope_variance: float
    window_s: float

    def at(self, at_s: float) -> float:
        """The offset extrapolated to `at_s`, in ns."""
        return self.offset + self.slope * (at_s - self.at_s)

    def variance_at(self, at_s: float, wander: float) -> float:
        """The expected squared error (ns²) there: the drift's error and the wander (ns/s^1.5) add to it."""
        span_s = max(at_s - self.at_s, 0.0)
        return self.variance + self.slope_variance * span_s**2 + wander**2 * span_s**3 / 3


def averaged(lines: list[Line], at_s: float, wander: float) -> Line:
    """The lines extrapolated to `at_s` and averaged by their errors; drift and errors are the best one's."""
    if len(lines) == 1:
        (line,) = lines
        variance = line.variance_at(at_s, wander)
        return Line(at_s, line.at(at_s), line.slope, variance, line.slope_variance, line.window_s)
    errors = [max(line.variance_at(at_s, wander), LEAST_SQUARED) for line in lines]
    least = min(errors)
    best = lines[errors.index(least)]
    weights = [(least / error) ** SHARPNESS for error in errors]
    offset = sum([w * line.at(at_s) for w, line in zip(weights, lines, strict=True)]) / sum(weights)
    return Line(at_s, offset, best.slope, least, best.slope_variance, best.window_s)


def disagreement(past: Number, future: Number, bend: Number, window_s: Number | float) -> Number:
    """G²/2 plus the charge for what bends both sides equally, ns².

    `past` and `future` are two adjacent windows' values (ns) where they meet, `bend` is the change of slope
    from the one to the other in ns/s.
    """
    return (past - future) ** 2 / 2 + (bend * (window_s * CURVATURE)) ** 2


def expected(
    measured: Sequence[Number],
    evidence: Sequence[Number],
    windows_s: Sequence[float],
    start: Number,
    wander: float,
    *,
    bends: Sequence[Number | None] = (),
) -> list[Number]:
    """Each window's expected squared error (ns²), shortest first.

    `measured` is the mean disagreement (ns²) and `evidence` its weight in independent windows. Where that is
    small, the prior counts: what the next shorter window suggests, whose noise falls with the length, plus
    the wander (ns/s^1.5), which grows with its cube. `start` is the shortest window's prior. `bends` is what
    of `measured` a change of drift accounts for, None where nothing was measured: a steady one bends a longer
    window by as much more as the fourth power of its length.
    """
    errors: list[Number] = []
    prior, bent = start, start * 0.0
    for index, (mean, weight, window_s) in enumerate(zip(measured, evidence, windows_s, strict=True)):
        if index:
            longer = window_s / windows_s[index - 1]
            prior = errors[-1] / longer + wander**2 * 0.01 * (window_s**3 - windows_s[index - 1] ** 3)
            shown = bends[index - 1] if bends else None
            bent = (bent if shown is None else shown) * longer**4
            prior = prior + bent
        errors.append((mean * weight + prior) / (weight + 1.0))
    return errors


class WindowErrors:
    """The windows' measured errors, exponentially forgotten. They survive cuts: the network is the same."""

    def __init__(self, settings: EstimatorSettings) -> None:
        self.windows_s = settings.windows_s
        self._block_s = settings.block_s
        self._keep = float(np.exp(-settings.block_s / settings.forget_s))
        self.sums = [0.0] * len(self.windows_s)
        self.bends = [0.0] * len(self.windows_s)
        self.counts = [0.0] * len(self.windows_s)
        self._least: float | None = None

    def forget(self, blocks: int) -> None:
        """Let `blocks` blocks of time pass."""
        keep, self._least = self._keep**blocks, None
        self.sums = [value * keep for value in self.sums]
        self.bends = [value * keep for value in self.bends]
        self.counts = [value * keep for value in self.counts]

    def add(self, index: int, squared: float, bend: float, blocks: int = 1) -> None:
        """Count a disagreement (ns²) of the window with this index, and the change of slope (ns/s) in it.

        They stand for `blocks` blocks of time.
        """
        self._least = None
        self.sums[index] += squared * blocks
        self.bends[index] += bend**2 / 2 * blocks
        self.counts[index] += blocks

    def means(self) -> list[float]:
        """The mean disagreement (ns²) of each window, 0 where none was measured."""
        return [s / n if n else 0.0 for s, n in zip(self.sums, self.counts, strict=True)]

    def least(self) -> float:
        """The least mean disagreement (ns²) of any window length, infinite where none was measured."""
        if self._least is None:
            means = [s / n for s, n in zip(self.sums, self.counts, strict=True) if n]
            self._least = min(means, default=inf)
        return self._least

    def slope_variance(self, index: int, squared: float) -> float:
        """The squared error (ns²/s²) of that window's slope as the present drift.

        Two windows' slopes differ by both their errors, and by as much wander as lies between a window's
        middle and its end, twice. Where that was measured little, 3·`squared`/W² replaces it: what a line's
        error at its end says about its slope.
        """
        weight = self.counts[index] * self._block_s / self.windows_s[index]
        mean = self.bends[index] / self.counts[index] if self.counts[index] else 0.0
        return (mean * weight + 3 * squared / self.windows_s[index] ** 2) / (weight + 1.0)

    def evidence(self) -> list[float]:
        """The number of independent windows behind each mean."""
        return [n * self._block_s / w for n, w in zip(self.counts, self.windows_s, strict=True)]

    def warmup_factor(self, warmup_s: float) -> float:
        """The factor on u95² (1 to 11) while the clocks have been watched for less than `warmup_s`."""
        watched_s = self.counts[0] * self._block_s
        return 1.0 + min((warmup_s / max(watched_s, 1.0)) ** 2, _MOST_WARMUP)

    def shortest(self) -> tuple[float, float] | None:
        """The shortest window's length (s) and mean squared error (ns²), once that has been measured."""
        return (self.windows_s[0], self.sums[0] / self.counts[0]) if self.counts[0] else None
