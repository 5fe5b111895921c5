"""chrony's source statistics: a weighted regression whose length a runs test decides.

Sources: mlichvar/chrony `sourcestats.c` (weights, asymmetry, root distance), `regress.c` (regression, runs
test) and `ntp_core.c` (the test of a sample's delay against the deviation). Every exchange is a sample here,
which is generous: chrony polls a few times a minute.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.estimators.clocks import Floats
from bench.estimators.runs_test import MIN_SAMPLES, Regression, best_regression
from bench.estimators.samples import PeerAnswers, Samples

MAX_SAMPLES = 64
RUNS_RATIO = 2
"""So many times the regression's samples are kept for the runs test."""
SD_TO_DISTANCE = 0.7
PRECISION_NS = 100.0
MAX_ASYMMETRY = 0.5
MIN_ASYMMETRY = 0.45
MIN_ASYMMETRY_RUN = 10
MAX_ASYMMETRY_RUN = 1000
MIN_SAMPLES_FOR_DELAY_TEST = 6
MAX_DELAY_DEVIATIONS = 10.0
"""The default of maxdelaydevratio."""
MAX_CLOCK_ERROR = 1e-6


@dataclass
class Register:
    """The samples kept, oldest first, in s and ns; the first `extra` serve the runs test alone."""

    at_s: Floats
    offset_ns: Floats
    delay_ns: Floats
    extra: int = 0

    def push(self, at_s: float, offset_ns: float, delay_ns: float) -> None:
        self.at_s = np.append(self.at_s, at_s)
        self.offset_ns = np.append(self.offset_ns, offset_ns)
        self.delay_ns = np.append(self.delay_ns, delay_ns)

    @property
    def size(self) -> int:
        return self.at_s.size - self.extra

    def prune(self, dropped: int) -> None:
        """The `dropped` oldest leave the regression; as many as remain in it are kept for the runs test."""
        size = self.size - dropped
        self.extra = min(self.extra + dropped, size * (RUNS_RATIO - 1))
        kept = size + self.extra
        self.at_s, self.offset_ns, self.delay_ns = (
            column[-kept:] for column in (self.at_s, self.offset_ns, self.delay_ns)
        )


class SourceStatistics:
    """What chrony knows of one source after each sample."""

    def __init__(self) -> None:
        nothing = np.empty(0)
        self.register = Register(nothing, nothing, nothing)
        self.line = Regression(0.0, 0.0, np.inf, np.inf, 0)
        self.asymmetry_run = 0

    def accepts(self, at_s: float, offset_ns: float, delay_ns: float) -> bool:
        """Refuses a delay far above the least, unless the offset is further off than that delay explains."""
        register = self.register
        if register.size < MIN_SAMPLES_FOR_DELAY_TEST:
            return True
        ago_s = at_s - register.at_s[-1]
        allowed_ns = MAX_DELAY_DEVIATIONS * self.line.deviation_ns
        allowed_ns += ago_s * (self.line.slope_error_ns + MAX_CLOCK_ERROR * 1e9)
        excess_ns = (delay_ns - register.delay_ns.min()) / 2
        error_ns = offset_ns - self.line.intercept_ns - self.line.slope_ns * ago_s
        return bool(excess_ns <= allowed_ns or abs(error_ns) - excess_ns > allowed_ns)

    def update(self, at_s: float, offset_ns: float, delay_ns: float) -> None:
        """Accumulates the sample and fits again."""
        register = self.register
        if register.size == MAX_SAMPLES:
            register.prune(1)
        register.push(at_s, offset_ns, delay_ns)
        if register.size < MIN_SAMPLES:
            self.line = Regression(offset_ns, 0.0, np.inf, np.inf, 0)
            return
        back_s = register.at_s - at_s
        weights = _weights(register.delay_ns[register.extra :] / 2)
        self.line = best_regression(back_s, self._corrected(back_s), weights, register.extra)
        register.prune(self.line.dropped)

    def _corrected(self, back_s: Floats) -> Floats:
        """Offsets at the least delay, once jitter has been on one side for ten samples."""
        register = self.register
        excess_ns = register.delay_ns - register.delay_ns.min()
        slope = _slope_on_delay(back_s, excess_ns, register.offset_ns)
        if slope is None or slope * self.asymmetry_run < 0.0:
            self.asymmetry_run = 0
            return register.offset_ns
        if abs(slope) >= MIN_ASYMMETRY and abs(self.asymmetry_run) < MAX_ASYMMETRY_RUN:
            self.asymmetry_run += 1 if slope > 0 else -1
        if abs(self.asymmetry_run) < MIN_ASYMMETRY_RUN:
            return register.offset_ns
        corrected: Floats = register.offset_ns - min(max(slope, -MAX_ASYMMETRY), MAX_ASYMMETRY) * excess_ns
        return corrected

    def best_single(self) -> tuple[float, float]:
        """The offset of the sample with the least root distance, brought to now, and that distance, in ns."""
        register = self.register
        age_s = register.at_s[-1] - register.at_s[register.extra :]
        skew_ns = min(self.line.slope_error_ns, 2e6)
        distance_ns = register.delay_ns[register.extra :] / 2 + skew_ns * age_s
        best = int(np.argmin(distance_ns))
        offset_ns = register.offset_ns[register.extra + best] + self.line.slope_ns * age_s[best]
        return float(offset_ns), float(distance_ns[best])


def _slope_on_delay(back_s: Floats, excess_ns: Floats, offset_ns: Floats) -> float | None:
    """The delay's coefficient in offset = a + b t + c delay, or None where it cannot be determined."""
    if back_s.size < 4:
        return None
    columns = np.stack([back_s - back_s.mean(), excess_ns - excess_ns.mean()])
    (tt, td), (_, dd) = columns @ columns.T
    determinant = tt * dd - td * td
    if determinant <= 1e-9 * tt * dd:
        return None
    on_time, on_delay = columns @ offset_ns
    return float((tt * on_delay - td * on_time) / determinant)


def _weights(distance_ns: Floats) -> Floats:
    """Greater means less reliable, as in chrony: the squared distance above the least, in deviations."""
    least_ns = float(distance_ns.min())
    deviation_ns = (float(np.median(distance_ns)) - least_ns) / SD_TO_DISTANCE
    deviation_ns = min(max(deviation_ns, PRECISION_NS), max(least_ns, PRECISION_NS))
    weights: Floats = np.square(1.0 + np.maximum(distance_ns - least_ns - PRECISION_NS, 0.0) / deviation_ns)
    return weights


def chrony(samples: Samples) -> PeerAnswers:
    """The regression's offset at each exchange; the stated error is chrony's selection interval."""
    statistics = SourceStatistics()
    rows: list[tuple[float, float, float]] = []
    columns = (samples.destination_ns / 1e9, samples.middle_ns, samples.delay_ns)
    for at_s, offset_ns, delay_ns in zip(*(column.tolist() for column in columns), strict=True):
        if statistics.accepts(at_s, offset_ns, delay_ns):
            statistics.update(at_s, offset_ns, delay_ns)
        line, ago_s = statistics.line, at_s - statistics.register.at_s[-1]
        best_ns, distance_ns = statistics.best_single()
        best_ns += line.slope_ns * ago_s
        distance_ns += min(line.slope_error_ns, 2e6) * ago_s
        rows.append((line.intercept_ns + line.slope_ns * ago_s, best_ns - distance_ns, best_ns + distance_ns))
    offset, lower, upper = np.array(rows).T
    return PeerAnswers(offset, lower, upper)
