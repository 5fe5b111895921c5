"""What chance alone does to a figure: bootstrap intervals, and whether two figures can be distinguished."""

from __future__ import annotations

from math import ceil, exp, hypot, isnan, log, nan
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Statistic = Callable[[Floats], Floats]
    """Of each row of a table."""

_RESAMPLES = 2000
_SHARE = 0.95
_SEED = 1


class Between(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


NOT_KNOWN = Between(nan, nan)


class Figure(NamedTuple):
    """A measured figure, and between what chance could have put it."""

    value: float
    between: Between = NOT_KNOWN

    def times(self, factor: float) -> Figure:
        return Figure(self.value * factor, Between(*(end * factor for end in self.between)))


def medians(table: Floats) -> Floats:
    """The statistic that most figures are."""
    found: Floats = np.median(table, axis=1)
    return found


def quantiles(share: float) -> Statistic:
    """The smallest value that `share` of a row do not exceed, as `score.quantile`."""

    def of(table: Floats) -> Floats:
        place = max(0, ceil(share * table.shape[1]) - 1)
        found: Floats = np.partition(table, place, axis=1)[:, place]
        return found

    return of


def between(values: Sequence[float], statistic: Statistic = medians, memory: int = 1) -> Between:
    """The statistic's interval over resamples of runs of `memory` values (circular block bootstrap).

    Estimates that remember their predecessors are nearly one and the same: resampled one by one they would
    seem surer than they are. With few runs the interval is still too narrow.
    """
    known = np.asarray(values, dtype=np.float64)
    if known.size < 2:
        return NOT_KNOWN
    run = min(max(memory, 1), max(known.size // 2, 1))
    rng = np.random.default_rng(_SEED)
    begins = rng.integers(0, known.size, (_RESAMPLES, ceil(known.size / run)))
    places = (begins[:, :, None] + np.arange(run)).reshape(_RESAMPLES, -1)[:, : known.size] % known.size
    low, high = np.quantile(statistic(known[places]), [(1 - _SHARE) / 2, (1 + _SHARE) / 2])
    return Between(float(low), float(high))


def difference(one: Figure, other: Figure) -> Between:
    """The interval of one − other, from both intervals (Zou and Donner 2008, "MOVER")."""
    apart = one.value - other.value
    below = hypot(one.value - one.between.low, other.between.high - other.value)
    above = hypot(one.between.high - one.value, other.value - other.between.low)
    return Between(apart - below, apart + above)


def indistinguishable(one: Figure, other: Figure) -> bool:
    """Whether chance alone can have put them apart; a figure without an interval is taken as certain."""
    certain = [
        figure if not isnan(figure.between.low) else Figure(figure.value, Between(figure.value, figure.value))
        for figure in (one, other)
    ]
    low, high = difference(*certain)
    return low <= 0.0 <= high and low < high


def ratio(one: Figure, other: Figure) -> Figure:
    """one / other with its interval; both are above 0."""
    logs = [
        Figure(log(figure.value), Between(*(log(end) for end in figure.between))) for figure in (one, other)
    ]
    low, high = difference(*logs)
    return Figure(one.value / other.value, Between(exp(low), exp(high)))
