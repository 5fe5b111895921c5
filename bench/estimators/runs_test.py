"""chrony's regression: samples leave it, oldest first, until the residuals' signs change often enough.

Sources: mlichvar/chrony `regress.c`; Wald and Wolfowitz 1940 for the distribution of runs.
"""

from __future__ import annotations

from functools import cache
from math import comb, sqrt
from typing import NamedTuple

import numpy as np

from bench.estimators.clocks import Floats

MIN_SAMPLES = 3
RUNS_SIGNIFICANCE = 0.07
"""5 % as nearly as whole numbers of runs allow; below eight residuals nothing is dropped."""
STUDENT = ((1, 636.6), (2, 31.6), (3, 12.9), (5, 6.9), (10, 4.6), (20, 3.85), (40, 3.55))
"""Two-sided 99.9 % quantiles of Student's t by degrees of freedom."""


class Regression(NamedTuple):
    """Offset at the newest sample; slope and its 99.9 % error per s; the samples' deviation; all in ns."""

    intercept_ns: float
    slope_ns: float
    slope_error_ns: float
    deviation_ns: float
    dropped: int


@cache
def critical_runs(residuals: int) -> int:
    """The most runs of equal signs that are still too few, as many residuals above as below."""
    if residuals < 8:
        return 0
    above = residuals // 2
    below = residuals - above
    total, so_far, runs = comb(residuals, above), 0, 1
    while True:
        half, odd = divmod(runs + 1, 2)
        if odd:
            so_far += comb(above - 1, half) * comb(below - 1, half - 1)
            so_far += comb(above - 1, half - 1) * comb(below - 1, half)
        else:
            so_far += 2 * comb(above - 1, half - 1) * comb(below - 1, half - 1)
        if so_far / total > RUNS_SIGNIFICANCE:
            return runs
        runs += 1


def best_regression(back_s: Floats, offset_ns: Floats, weights: Floats, extra: int) -> Regression:
    """`extra` older samples take part in the runs test alone; as many as there are in the regression."""
    size = weights.size
    dropped = 0
    while True:
        begin = extra + dropped
        x, y, w = back_s[begin:], offset_ns[begin:], 1.0 / weights[dropped:]
        total = w.sum()
        middle = (x * w).sum() / total
        moment = ((x - middle) ** 2 * w).sum()
        slope = (y * (x - middle) * w).sum() / moment
        intercept = (y * w).sum() / total - slope * middle
        tested = min((size - dropped) * 2, back_s.size)
        residuals = offset_ns[-tested:] - intercept - slope * back_s[-tested:]
        runs = 1 + np.count_nonzero(residuals[1:] * residuals[:-1] <= 0.0)
        if runs > critical_runs(tested) or size - dropped <= MIN_SAMPLES:
            break
        dropped += 1
    left = size - dropped
    variance = float((residuals[-left:] ** 2 * w).sum()) / (left - 2)
    error = student(left - 2) * sqrt(variance / moment)
    return Regression(float(intercept), float(slope), error, sqrt(variance * left / total), dropped)


@cache
def student(freedom: int) -> float:
    """Interpolated in 1/freedom, between which the quantile is smooth."""
    inverse = [1.0 / n for n, _ in reversed(STUDENT)]
    return float(np.interp(1.0 / freedom, inverse, [q for _, q in reversed(STUDENT)]))
