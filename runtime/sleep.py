"""Notices that the machine slept: RAW stood still meanwhile, so ages by RAW lack that time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.clock import SimulatedClock
from runtime.clock_sampler import MIN_SUSPEND_NS
from runtime.kernel_clock import suspended_at_most_ns, suspended_ns

if TYPE_CHECKING:
    from runtime.clock import Clock, Reading


class SleepCounter:
    """Counts the sleep of `clock`'s machine (BOOTTIME − MONOTONIC); a system without these never sleeps."""

    def __init__(self, clock: Clock) -> None:
        self._suspended_ns, self._at_most_ns = suspended_ns, suspended_at_most_ns
        if isinstance(clock, SimulatedClock):
            self._suspended_ns = self._at_most_ns = clock.suspended_ns
        self._counted_ns = self._suspended_ns()
        self._received: Reading | None = None

    def slept_ns(self, received: Reading | None = None) -> int:
        """How long the machine has slept since the last call that was not 0, ns of realtime.

        Of messages with one reading, which were read at once, only the first is asked for.
        """
        if received is not None and received is self._received:
            return 0
        self._received = received
        if self._at_most_ns() - self._counted_ns <= MIN_SUSPEND_NS:
            return 0  # as nearly always
        slept_ns = self._suspended_ns() - self._counted_ns
        if slept_ns <= MIN_SUSPEND_NS:
            return 0
        self._counted_ns += slept_ns
        return slept_ns
