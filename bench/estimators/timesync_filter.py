"""PX4's and MAVROS' TIMESYNC filter: double exponential smoothing of the middles.

Sources: PX4/PX4-Autopilot `src/lib/timesync/Timesync.cpp` and `.hpp` (2018-2022); mavlink/mavros
`mavros/src/plugins/sys_time.cpp`. Both have the same gains; the largest deviation is PX4's 100 ms (MAVROS' is
10 ms). As in both, the skew is per accepted sample, not per second, so nothing advances while samples are
refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

import numpy as np

from bench.estimators.samples import PeerAnswers, Samples

GAIN_FIRST = 0.05
GAIN_FINAL = 0.003
CONVERGENCE_SAMPLES = 500
MAX_ROUND_TRIP_NS = 10e6
MAX_DEVIATION_NS = 100e6
MAX_DEVIATIONS_IN_A_ROW = 5


@dataclass
class TimesyncFilter:
    """Offset in ns, skew in ns a sample; alpha and beta are equal throughout."""

    offset_ns: float = 0.0
    skew_ns: float = 0.0
    accepted: int = 0
    deviations: int = 0

    def gain(self) -> float:
        """A sigmoid from the first gain to the final one over the convergence window."""
        progress = self.accepted / CONVERGENCE_SAMPLES
        if progress >= 1.0:
            return GAIN_FINAL
        weight = 1.0 - exp(0.5 * (1.0 - 1.0 / (1.0 - progress)))
        return weight * GAIN_FINAL + (1.0 - weight) * GAIN_FIRST

    def update(self, middle_ns: float, round_trip_ns: float) -> None:
        """Refuses long round trips; counts deviations, and starts again after the sixth in a row."""
        if round_trip_ns >= MAX_ROUND_TRIP_NS:
            return
        converged = self.accepted >= CONVERGENCE_SAMPLES
        if converged and abs(middle_ns - self.offset_ns) > MAX_DEVIATION_NS:
            self.deviations += 1
            if self.deviations > MAX_DEVIATIONS_IN_A_ROW:
                self.offset_ns = self.skew_ns = 0.0
                self.accepted = self.deviations = 0
            return
        self._smooth(middle_ns)
        self.accepted += 1
        self.deviations = 0

    def _smooth(self, middle_ns: float) -> None:
        if self.accepted == 0:
            self.offset_ns = middle_ns
            return
        gain = self.gain()
        before_ns = self.offset_ns
        self.offset_ns = gain * middle_ns + (1.0 - gain) * (before_ns + self.skew_ns)
        self.skew_ns = gain * (self.offset_ns - before_ns) + (1.0 - gain) * self.skew_ns


def px4(samples: Samples) -> PeerAnswers:
    """The filter's offset after each exchange; it states no error."""
    state = TimesyncFilter()
    offset = np.full(samples.delay_ns.size, np.nan)
    pairs = zip(samples.middle_ns.tolist(), samples.round_trip_ns.tolist(), strict=True)
    for index, (middle_ns, round_trip_ns) in enumerate(pairs):
        state.update(middle_ns, round_trip_ns)
        if state.accepted:
            offset[index] = state.offset_ns
    nothing = np.full(offset.size, np.nan)
    return PeerAnswers(offset, nothing, nothing)
