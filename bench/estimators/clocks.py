"""The Pi's simulated clock against the topside's: drift, wander, temperature, steps, reboots and suspends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

GRID_S = 0.25
"""The frequency walks at these instants; between them the phase is a straight line, by definition."""

BEYOND_S = 3600.0
"""The truth extends so far beyond the last exchange, for holdover."""

StepKind = Literal["unreported", "reported", "reboot", "suspend"]


@dataclass(frozen=True)
class Step:
    """A break in the Pi's clock.

    unreported  RAW itself jumps by `size_ns`; neither realtime_minus_raw nor boot_id shows it
    reported    realtime jumps by `size_ns`, RAW does not: realtime_minus_raw changes by as much
    reboot      RAW starts again near 0, boot_id is new, realtime is off by `size_ns`, the drift by 3 ppm
    suspend     RAW stops for `dead_s`; realtime is off by `size_ns` afterwards
    """

    at_s: float
    size_ns: int
    kind: StepKind
    dead_s: float = 0.0

    @property
    def reported(self) -> bool:
        return self.kind != "unreported"

    @property
    def back_s(self) -> float:
        """When the Pi answers again."""
        return self.at_s + self.dead_s


@dataclass(frozen=True)
class ClockLaw:
    """How the Pi's RAW clock runs: frequencies as fractions (1e-6 is 1 ppm)."""

    drift: float = 18e-6
    wander_per_sqrt_s: float = 1e-9
    ramp: float = 0.0
    """Added linearly over the whole trace, then kept."""
    dunk: float = 0.0
    """Added as 1 − exp(−t/300 s) from a quarter of the trace on: a housing put into cold water."""
    offset_ns: int = 123_456_789
    """Realtime offset at the start, Pi − topside."""
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class PiClock:
    """Offsets as integer ns at instants in seconds since the start; RAW's own offset is relative, near 0."""

    grid_s: Floats
    phase_ns: Floats
    steps: tuple[Step, ...]
    offset_ns: int

    def smooth_ns(self, at_s: Floats) -> Floats:
        """What drift, wander and temperature made of the offset since the start, without any step."""
        return np.interp(at_s, self.grid_s, self.phase_ns)

    def _stepped_ns(self, at_s: Floats, kinds: tuple[StepKind, ...]) -> Integers:
        total = np.zeros(np.shape(at_s), dtype=np.int64)
        for step in self.steps:
            if step.kind in kinds:
                total += np.where(at_s >= step.back_s, step.size_ns, 0)
        return total

    def realtime_offset_ns(self, at_s: Floats) -> Integers:
        """The truth: Pi realtime − topside realtime, rounded to the nearest ns."""
        smooth = np.rint(self.smooth_ns(at_s)).astype(np.int64)
        every: tuple[StepKind, ...] = ("unreported", "reported", "reboot", "suspend")
        return self.offset_ns + smooth + self._stepped_ns(at_s, every)

    def realtime_minus_raw_ns(self, at_s: Floats, start_ns: int) -> Integers:
        """What the Pi reports: constant but for the breaks that it can see itself."""
        shown = start_ns + self._stepped_ns(at_s, ("reported", "reboot", "suspend"))
        for step in self.steps:
            if step.kind == "suspend":
                shown += np.where(at_s >= step.back_s, round(step.dead_s * 1e9), 0)
            if step.kind == "reboot":  # RAW counts from the boot again, so realtime is further from it
                shown += np.where(at_s >= step.back_s, round((step.back_s + 1e5) * 1e9), 0)
        return shown

    def boot(self, at_s: Floats) -> Integers:
        """How often the Pi has been booted before."""
        total = np.zeros(np.shape(at_s), dtype=np.int64)
        for step in self.steps:
            if step.kind == "reboot":
                total += np.where(at_s >= step.back_s, 1, 0)
        return total


def make_clock(law: ClockLaw, *, duration_s: float, rng: np.random.Generator) -> PiClock:
    """Draws the wander and integrates the frequency once, as a trapezium between the grid's instants."""
    grid_s = np.arange(0.0, duration_s + BEYOND_S + GRID_S, GRID_S)
    frequency = law.drift + law.ramp * np.minimum(grid_s / duration_s, 1.0)
    since_dunk_s = np.maximum(grid_s - duration_s / 4, 0.0)
    frequency = frequency + law.dunk * -np.expm1(-since_dunk_s / 300.0)
    kicks = rng.normal(0.0, law.wander_per_sqrt_s * np.sqrt(GRID_S), grid_s.size - 1)
    frequency[1:] += np.cumsum(kicks)
    for step in law.steps:
        if step.kind == "reboot":
            frequency += np.where(grid_s >= step.back_s, 3e-6, 0.0)
    phase_s = np.concatenate([[0.0], np.cumsum((frequency[1:] + frequency[:-1]) * (GRID_S / 2))])
    return PiClock(grid_s, phase_s * 1e9, law.steps, law.offset_ns)
