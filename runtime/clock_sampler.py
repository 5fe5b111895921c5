"""Reads a clock, and what the kernel reports of it, as one sample: the state is the one at the reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.clock_samples import STARVED_NS, Sample, half_width_ns, read_middle

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.clock import Clock
    from runtime.kernel_clock import KernelState

MIN_SUSPEND_NS = 10_000_000
"""BOOTTIME and MONOTONIC are read one after the other: a smaller difference may be a busy processor's."""
_ATTEMPTS = 4


class ClockSampler:
    """Takes samples of one clock, of one thread.

    The state is asked for after the reading, and the program may get no processor between them: what another
    program, or the kernel's loop at a full second, changed meanwhile would seem to be so before the reading.
    So the state counts only if it was the same when it was asked for last, at most `STARVED_NS` before; else
    the clock is read again.
    """

    def __init__(
        self,
        clock: Clock,
        state: Callable[[], KernelState | None],
        suspended_ns: Callable[[], int] = lambda: 0,
        was_set: Callable[[], bool] = lambda: False,
    ) -> None:
        """`was_set` tells whether the kernel reported since its last call that realtime was set."""
        self._clock = clock
        self._ask, self._suspended_ns, self._was_set = state, suspended_ns, was_set
        self._state: KernelState | None = None
        self._asked_ns: int | None = None
        """RAW after the state was asked for last."""
        self._notified = False

    def acknowledge(self) -> None:
        """Mark the next sample if realtime was set."""
        self._notified = self._was_set() or self._notified

    def sample(self) -> Sample | None:
        """The clock now; None: the machine slept meanwhile, or the state did not stay the same."""
        for _ in range(_ATTEMPTS):
            suspended_ns = self._suspended_ns()
            reading = read_middle(self._clock)
            if not self._is_settled(self._ask(), self._clock.raw_ns()):
                self.acknowledge()
                continue
            if self._suspended_ns() - suspended_ns > MIN_SUSPEND_NS:
                return None  # suspended between the two readings: they do not belong together
            half_ns = half_width_ns(reading.width_ns, self._clock.resolution_ns)
            notified, self._notified = self._notified, False
            return Sample(*reading[:2], half_ns, self._state, suspended_ns, notified)
        return None

    def _is_settled(self, state: KernelState | None, asked_ns: int) -> bool:
        """Whether the state was this all the time since it was asked for last."""
        before, before_ns = self._state, self._asked_ns
        self._state, self._asked_ns = state, asked_ns
        return before_ns is not None and state == before and asked_ns - before_ns <= STARVED_NS
