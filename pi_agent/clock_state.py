"""Who disciplines the vehicle's clock, and what its kernel says of it: looked at now and then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.clock import SimulatedClock, SystemClock
from runtime.kernel_clock import clock_synchronized

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.clock import Clock
    from runtime.clock_watch import ClockWatcher

_SYNC_CHECK_NS = 5_000_000_000
_DISCIPLINE_CHECK_NS = 30_000_000_000
"""Between two looks at the processes that run: each takes some milliseconds."""


class ClockState:
    """`synchronized` and `discipline` as they were when last looked at; instants are the Pi's RAW, in ns."""

    def __init__(
        self, clock: Clock, watcher: ClockWatcher, ask: Callable[[], bool] | None, now_ns: int
    ) -> None:
        """`ask` says whether the kernel calls the clock synchronized, by default this machine's."""
        self._clock, self._watcher = clock, watcher
        real = isinstance(clock, SystemClock)
        self._ask = ask or (clock_synchronized if real else self._simulated_flag)
        self.synchronized = self._ask()
        self.discipline = watcher.discipline()
        self._sync_checked_ns = self._discipline_checked_ns = now_ns

    def changed(self, now_ns: int) -> bool:
        """Look at what is due; whether it is not as it was."""
        if now_ns - self._sync_checked_ns < _SYNC_CHECK_NS:
            return False
        self._sync_checked_ns = now_ns
        before = self.synchronized, self.discipline
        self.synchronized = self._ask()
        if now_ns - self._discipline_checked_ns >= _DISCIPLINE_CHECK_NS:
            self._discipline_checked_ns, self.discipline = now_ns, self._watcher.discipline()
        return (self.synchronized, self.discipline) != before

    def _simulated_flag(self) -> bool:
        return isinstance(self._clock, SimulatedClock) and self._clock.kernel_flag == "synchronized"
