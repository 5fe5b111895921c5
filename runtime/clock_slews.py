"""Recognises slews of a clock: when one begins and ends, its size and rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from runtime.clock_samples import Interval, Sample

MOVING_PPM = 150.0
"""A faster rate of realtime against RAW is a slew: no crystal needs it."""
REST_NS = 2_000_000_000
"""A slew has ended when the clock rests this long: the kernel's loop changes its rate once a second."""


@dataclass(frozen=True, slots=True)
class SlewChange:
    """A slew of realtime begins or ends; its numbers are positive when realtime moves forward."""

    kind: Literal["begin", "end"]
    at_raw_ns: int
    """RAW at its beginning, or at its end."""
    rate_ppm: float
    """At the beginning the rate just seen; at the end the mean rate."""
    moved_ns: int
    """The change of realtime − RAW since the beginning, steps meanwhile not counted."""
    lasted_ns: int
    """Since the beginning, on RAW."""

    def __str__(self) -> str:
        if self.kind == "begin":
            return f"it is slewed by {self.rate_ppm:+,.0f} ppm"
        size = f"{self.moved_ns / 1e6:+.3f} ms in {self.lasted_ns / 1e9:.1f} s"
        return f"a slew by {size} ({self.rate_ppm:+,.0f} ppm) has ended"


class SlewTracker:
    """Takes the intervals between samples; a slew ends when the clock rests."""

    def __init__(self) -> None:
        self._begun: Sample | None = None
        self._moving: Sample | None = None
        """The last sample that showed movement."""
        self._moved_ns = self._moved_then_ns = 0
        self._reported = False
        self.rests_since_ns: int | None = None
        """RAW since when the clock has rested; null before the first interval."""

    @property
    def is_moving(self) -> bool:
        """Whether the clock is slewed, or was less than `REST_NS` ago."""
        return self._begun is not None

    def observe(self, interval: Interval) -> list[SlewChange]:
        """What the interval shows to have begun or ended; the second interval of a slew reports it."""
        sample, moves = interval.end, self._moves(interval)
        moved_ns = sample.realtime_minus_raw_ns - interval.start.realtime_minus_raw_ns
        if moves or self.rests_since_ns is None:
            self.rests_since_ns = sample.raw_ns if moves else interval.start.raw_ns
        if self._begun is None:
            if moves:
                self._begun, self._moving = interval.start, sample
                self._moved_ns = self._moved_then_ns = moved_ns
                self._reported = False
            return []
        self._moved_ns += moved_ns
        if moves:
            self._moving, self._moved_then_ns = sample, self._moved_ns
            if not self._reported:
                self._reported = True
                return [self._change("begin", self._begun, interval.rate_ppm)]
            return []
        return self._rested(sample)

    def cut(self, sample: Sample) -> None:
        """The clock was set, or the machine slept, before this sample."""
        self.rests_since_ns = sample.raw_ns

    def _rested(self, sample: Sample) -> list[SlewChange]:
        assert self._begun is not None
        assert self._moving is not None
        if sample.raw_ns - self._moving.raw_ns < REST_NS:
            return []
        rate_ppm = self._moved_then_ns * 1e6 / (self._moving.raw_ns - self._begun.raw_ns)
        begin = [] if self._reported else [self._change("begin", self._begun, rate_ppm)]
        end = self._change("end", self._moving, rate_ppm)
        self._begun = None
        return [*begin, end]

    def _change(self, kind: Literal["begin", "end"], at: Sample, rate_ppm: float) -> SlewChange:
        assert self._begun is not None
        assert self._moving is not None
        lasted_ns = self._moving.raw_ns - self._begun.raw_ns
        return SlewChange(kind, at.raw_ns, rate_ppm, self._moved_then_ns, lasted_ns)

    @staticmethod
    def _moves(interval: Interval) -> bool:
        state = interval.end.state
        if abs(interval.rate_ppm) - interval.noise_ppm > MOVING_PPM:
            return True
        return state is not None and max(map(abs, state.rates_ppm)) > MOVING_PPM
