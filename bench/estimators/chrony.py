"""chrony's source statistics: a weighted regression whose length a runs test decides.

Sources: mlichvar/chrony `sourcestats.c` (weights, asymmetry, root distance) and `regress.c` (regression, runs
test, multiple regression). Every exchange is a sample here, which is generous: chrony polls a few times a minute.
"""

from __future__ import annotations

from functools import cache
from math import comb

import numpy as np

from bench.estimators.clocks import Floats
from bench.estimators.samples import Outcome, Samples

MAX_SAMPLES = 64
RUNS_RATIO = 2
"""So many times the regression's samples take part in the runs test."""
MIN_SAMPLES = 3
SD_TO_DISTANCE = 0.7
MAX_ASYMMETRY = 0.5
MIN_ASYMMETRY = 0.45
MIN_ASYMMETRY_RUN = 10
MAX_ASYMMETRY_RUN = 1000
PRECISION_NS = 100.0
RUNS_SIGNIFICANCE = 0.07
"""5 % as nearly as whole numbers of runs allow; below eight residuals nothing is dropped."""


@cache
def critical_runs(residuals: int) -> int:
    """The most runs of equal signs that are still too few: Wald and Wolfowitz' distribution, as many of each sign."""
    if residuals < 8:
        return 0
    above, below = residuals // 2, residuals - residuals // 2
    total, sum_so_far, runs = comb(residuals, above), 0, 1
    while True:
        half, odd = divmod(runs + 1, 2)
        if odd:
            ways = comb(above - 1, half) * comb(below - 1, half - 1)
            ways += comb(above - 1, half - 1) * comb(below - 1, half)
        else:
            ways = 2 * comb(above - 1, half - 1) * comb(below - 1, half - 1)
        sum_so_far += ways
        if sum_so_far / total > RUNS_SIGNIFICANCE:
            return runs
        runs += 1


def _weighted_line(x: Floats, y: Floats, w: Floats) -> tuple[float, float]:
    """Intercept at x = 0 and slope; a larger weight means a less reliable point, as in chrony."""
    inverse = 1.0 / w
    total = inverse.sum()
    middle = (x * inverse).sum() / total
    centred = x - middle
    slope = (y * centred * inverse).sum() / (centred * centred * inverse).sum()
    return float((y * inverse).sum() / total - slope * middle), float(slope)


class SourceStatistics:
    """A register of samples, pruned by the regression: times in s, offsets and delays in ns."""

    def __init__(self) -> None:
        self.first = 0
        """The oldest sample in the register; the runs test looks back to `first_for_runs`."""
        self.first_for_runs = 0
        self.asymmetry = 0.0
        self.asymmetry_run = 0
        self.slope = 0.0

    def update(self, at_s: Floats, offset_ns: Floats, delay_ns: Floats) -> float:
        """The offset now, from all samples so far (the arrays end with the newest)."""
        now = at_s.size
        self._prune(max(self.first, now - MAX_SAMPLES), now)
        back_s = at_s[self.first_for_runs :] - at_s[-1]
        extra = self.first - self.first_for_runs
        offsets = self._corrected(back_s, offset_ns[self.first_for_runs :], delay_ns[self.first_for_runs :])
        if now - self.first < MIN_SAMPLES:
            return float(offset_ns[-1])
        weights = _weights(delay_ns[self.first :] / 2)
        start, intercept_ns, self.slope = _best_regression(back_s, offsets, weights, extra)
        self._prune(self.first + start, now)
        return intercept_ns

    def _prune(self, first: int, now: int) -> None:
        kept = (now - first) * (RUNS_RATIO - 1)
        self.first = first
        self.first_for_runs = max(self.first_for_runs, first - kept)

    def _corrected(self, back_s: Floats, offset_ns: Floats, delay_ns: Floats) -> Floats:
        """Offsets at the least delay, where jitter has been on one side for long enough."""
        excess_ns = delay_ns - delay_ns.min()
        slope = _slope_on_delay(back_s, excess_ns, offset_ns)
        if slope is None or slope * self.asymmetry_run < 0.0:
            self.asymmetry, self.asymmetry_run = 0.0, 0
            return offset_ns
        if abs(slope) >= MIN_ASYMMETRY and abs(self.asymmetry_run) < MAX_ASYMMETRY_RUN:
            self.asymmetry_run += 1 if slope > 0 else -1
        if abs(self.asymmetry_run) < MIN_ASYMMETRY_RUN:
            return offset_ns
        self.asymmetry = min(max(slope, -MAX_ASYMMETRY), MAX_ASYMMETRY)
        return offset_ns - self.asymmetry * excess_ns


def _slope_on_delay(back_s: Floats, excess_ns: Floats, offset_ns: Floats) -> float | None:
    """The delay's coefficient in offset = a + b t + c delay, or None where it cannot be told."""
    if back_s.size < 4:
        return None
    columns = np.stack([back_s - back_s.mean(), excess_ns - excess_ns.mean()])
    products = columns @ columns.T
    determinant = products[0, 0] * products[1, 1] - products[0, 1] ** 2
    if determinant <= 1e-9 * products[0, 0] * products[1, 1]:
        return None
    right = columns @ offset_ns
    return float((products[0, 0] * right[1] - products[0, 1] * right[0]) / determinant)


def _weights(distance_ns: Floats) -> Floats:
    least_ns = float(distance_ns.min())
    deviation_ns = (float(np.median(distance_ns)) - least_ns) / SD_TO_DISTANCE
    deviation_ns = min(max(deviation_ns, PRECISION_NS), max(least_ns, PRECISION_NS))
    return np.square(1.0 + np.maximum(distance_ns - least_ns - PRECISION_NS, 0.0) / deviation_ns)


def _best_regression(back_s: Floats, offsets: Floats, weights: Floats, extra: int) -> tuple[int, float, float]:
    """Drops the oldest sample until the residuals' signs change often enough: (dropped, intercept, slope)."""
    x, y = back_s[extra:], offsets[extra:]
    size = y.size
    start = 0
    while True:
        intercept, slope = _weighted_line(x[start:], y[start:], weights[start:])
        tested = min((size - start) * RUNS_RATIO, size + extra)
        residuals = offsets[-tested:] - intercept - slope * back_s[-tested:]
        runs = 1 + np.count_nonzero(residuals[1:] * residuals[:-1] <= 0.0)
        if runs > critical_runs(tested) or size - start <= MIN_SAMPLES:
            return start, intercept, slope
        start += 1


def chrony(samples: Samples) -> Outcome:
    """The regression's offset after each exchange; the stated error is half the best single delay, with 15 ppm of age."""
    at_s = samples.destination_ns / 1e9
    middle_ns, delay_ns = samples.middle_ns, samples.delay_ns
    statistics = SourceStatistics()
    size = at_s.size
    offset, lower, upper = (np.full(size, np.nan) for _ in range(3))
    for now in range(size):
        begin = max(0, now + 1 - MAX_SAMPLES * RUNS_RATIO)
        statistics.first = max(statistics.first - begin, 0)
        statistics.first_for_runs = max(statistics.first_for_runs - begin, 0)
        window = slice(begin, now + 1)
        offset[now] = statistics.update(at_s[window], middle_ns[window], delay_ns[window])
        best = begin + statistics.first + int(np.argmin(delay_ns[begin + statistics.first : now + 1]))
        statistics.first += begin
        statistics.first_for_runs += begin
        age_s = at_s[now] - at_s[best]
        at_best = middle_ns[best] + statistics.slope * age_s
        distance = delay_ns[best] / 2 + 15e3 * age_s
        lower[now], upper[now] = at_best - distance, at_best + distance
    return Outcome(offset, lower, upper)
