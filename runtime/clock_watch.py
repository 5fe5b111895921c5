"""Watching the Pi's own clock: steps of realtime and suspends, dated and measured without any network."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from runtime import kernel_clock
from runtime.clock import read
from runtime.watchdog import Loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.clock import Clock, Reading

POLL_S = 0.2
"""Between two looks at the clock: slewing can move it by 0.1 ms meanwhile, so smaller steps stay unseen."""
SLEPT_LEAST_NS = 10_000_000
"""BOOTTIME and MONOTONIC are read one after the other; what they differ by less may be a busy processor."""
BLURRED_NS = 50_000
"""A reading this wide is no measure for the next one: the step that it hides would be lost."""


@dataclass(frozen=True, slots=True)
class ClockChange:
    """Something happened to the clock, seen first in the reading `seen`."""

    kind: Literal["step", "suspend"]
    seen: Reading
    moved_ns: int
    """By how much realtime − raw grew: positive when the wall clock went forward."""


class ClockWatch:
    """Compares each reading with the one before.

    A suspend is told by BOOTTIME − MONOTONIC alone, and takes along what the wall clock moved by meanwhile.
    Anything else that slewing cannot explain is a step, forward or back. Where a system has no BOOTTIME, a
    suspend that stops RAW is therefore reported as a step forward, which cuts the segment as well.
    """

    def __init__(self) -> None:
        self._last: Reading | None = None
        self._slept_ns = 0

    def observe(self, reading: Reading, suspended_ns: int) -> ClockChange | None:
        """What happened since the last reading; `suspended_ns` is the machine's time asleep since boot."""
        last = self._last
        if last is None:
            self._last, self._slept_ns = reading, suspended_ns
            return None
        moved_ns = reading.realtime_minus_raw_ns - last.realtime_minus_raw_ns
        if suspended_ns - self._slept_ns > SLEPT_LEAST_NS:
            change = ClockChange("suspend", reading, moved_ns)
        elif reading.stepped_since(last):
            change = ClockChange("step", reading, moved_ns)
        else:
            if reading.width_ns <= max(BLURRED_NS, last.width_ns):
                self._last = reading
            return None
        self._last, self._slept_ns = reading, suspended_ns
        return change


class SetNotice(Protocol):
    """Something to select on that wakes when the clock is set."""

    def fileno(self) -> int:
        """What to select on."""

    def acknowledge(self) -> bool:
        """Whether the clock was set since the last call."""

    def close(self) -> None:
        """Give it back."""


class ClockWatcher:
    """The thread that looks at a clock every `POLL_S`, and at once when the kernel says that it was set."""

    def __init__(
        self,
        clock: Clock,
        report: Callable[[ClockChange], None],
        *,
        suspended_ns: Callable[[], int] = lambda: 0,
        notice: SetNotice | None = None,
    ) -> None:
        self._clock = clock
        self._report = report
        self._suspended_ns = suspended_ns
        self._notice = notice
        self._watch = ClockWatch()
        self.loop = Loop("the clock's watch")
        self._stopping = threading.Event()
        self._wake_read, self._wake_write = socket.socketpair()
        self._sources = [source.fileno() for source in (self._wake_read, notice) if source is not None]
        self._thread = threading.Thread(target=self._run, name="clock-watch", daemon=True)

    def start(self) -> None:
        """Begin watching."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._wake_write.close()
        if self._thread.is_alive():
            self._thread.join(POLL_S)

    def look(self) -> None:
        """Read the clock once, and report what happened to it since the last look."""
        slept_ns = self._suspended_ns()
        reading = read(self._clock)
        if self._suspended_ns() - slept_ns > SLEPT_LEAST_NS:
            return  # a suspend fell between the two readings, which do not belong together: look again
        change = self._watch.observe(reading, slept_ns)
        if change is not None:
            self._report(change)

    def wait(self) -> None:
        """Wait until it is time for the next look."""
        readable, _, _ = select.select(self._sources, [], [], POLL_S)
        if self._notice is not None and self._notice.fileno() in readable:
            self._notice.acknowledge()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.loop.iterations += 1
            self.look()
            self.wait()
        self._wake_read.close()
        if self._notice is not None:
            self._notice.close()


def watch_machine(clock: Clock, report: Callable[[ClockChange], None]) -> ClockWatcher:
    """A watcher of this machine's own clock, with all that the system can tell of it."""
    notice = None
    with contextlib.suppress(OSError):  # no timerfd here: the poll finds steps within POLL_S
        notice = kernel_clock.ClockSetTimer()
    return ClockWatcher(clock, report, suspended_ns=kernel_clock.suspended_ns, notice=notice)
