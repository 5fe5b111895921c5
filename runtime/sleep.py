"""Notices that the machine slept: RAW stood still meanwhile, so ages by RAW lack that time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.clock import SimulatedClock
from runtime.clock_watch import MIN_SUSPEND_NS
from runtime.kernel_clock import suspended_at_most_ns, suspended_ns

if TYPE_CHECKING:
    from runtime.clock import Clock


class SleepCounter:
    """Counts the sleep of `clock`'s machine (BOOTTIME − MONOTONIC); a system without these never sleeps."""

    def __init__(self, clock: Clock) -> None:
        self._suspended_ns, self._at_most_ns = suspended_ns, suspended_at_most_ns
        if isinstance(clock, SimulatedClock):
            self._suspended_ns = self._at_most_ns = clock.suspended_ns
        self._counted_ns = self._suspended_ns()

    def slept_ns(self) -> int:
        """How long the machine has slept since the last call that was not 0, ns of realtime."""
        if self._at_most_ns() - self._counted_ns <= MIN_SUSPEND_NS:
            return 0  # as nearly always
        slept_ns = self._suspended_ns() - self._counted_ns
        if slept_ns <= MIN_SUSPEND_NS:
            return 0
        self._counted_ns += slept_ns
        return slept_ns
