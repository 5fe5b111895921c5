"""Watches a machine's own clock: steps of realtime and suspends, dated and measured without a network."""

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
"""Between two readings. Slewing can move the clock by 0.1 ms in that time: smaller steps are not detected."""
MIN_SUSPEND_NS = 10_000_000
"""BOOTTIME and MONOTONIC are read one after the other: a smaller difference may be a busy processor's."""
MAX_WIDTH_NS = 50_000
"""A wider reading does not become the reference for the next one: it would hide a step."""


@dataclass(frozen=True, slots=True)
class ClockChange:
    """A step or a suspend, first visible in the reading `seen`."""

    kind: Literal["step", "suspend"]
    seen: Reading
    moved_ns: int
    """The change of realtime − RAW: positive when realtime moved forward."""


class ClockWatch:
    """Compares each reading with the one before.

    A suspend is recognised by BOOTTIME − MONOTONIC alone; a change of realtime during it belongs to it.
    Any other change that slewing cannot explain is a step, forward or back. On a system without BOOTTIME a
    suspend that stops RAW is therefore reported as a step forward, which ends the segment as well.
    """

    def __init__(self) -> None:
        self._last: Reading | None = None
        self._suspended_ns = 0

    def observe(self, reading: Reading, suspended_ns: int) -> ClockChange | None:
        """The change since the last reading; `suspended_ns` is the machine's time in suspend since boot."""
        last = self._last
        if last is None:
            self._last, self._suspended_ns = reading, suspended_ns
            return None
        moved_ns = reading.realtime_minus_raw_ns - last.realtime_minus_raw_ns
        if suspended_ns - self._suspended_ns > MIN_SUSPEND_NS:
            change = ClockChange("suspend", reading, moved_ns)
        elif reading.stepped_since(last):
            change = ClockChange("step", reading, moved_ns)
        else:
            if reading.width_ns <= max(MAX_WIDTH_NS, last.width_ns):
                self._last = reading
            return None
        self._last, self._suspended_ns = reading, suspended_ns
        return change


class SetNotice(Protocol):
    """A file descriptor that becomes readable when the clock is set."""

    def fileno(self) -> int:
        """For `select`."""

    def acknowledge(self) -> bool:
        """Whether the clock was set since the last call."""

    def close(self) -> None:
        """Release it."""


class ClockWatcher:
    """A thread that reads a clock every `POLL_S`, and immediately when the kernel reports that it was set."""

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
        self.loop = Loop("the clock watch")
        self._stopping = threading.Event()
        self._wake_read, self._wake_write = socket.socketpair()
        self._sources = [source.fileno() for source in (self._wake_read, notice) if source is not None]
        self._thread = threading.Thread(target=self._run, name="clock-watch", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._wake_write.close()
        if self._thread.is_alive():
            self._thread.join(POLL_S)

    def check(self) -> None:
        """Read the clock once, and report a change since the last reading."""
        suspended_ns = self._suspended_ns()
        reading = read(self._clock)
        if self._suspended_ns() - suspended_ns > MIN_SUSPEND_NS:
            return  # suspended between the two readings: they do not belong together
        change = self._watch.observe(reading, suspended_ns)
        if change is not None:
            self._report(change)

    def wait(self) -> None:
        """Wait until the next reading is due."""
        readable, _, _ = select.select(self._sources, [], [], POLL_S)
        if self._notice is not None and self._notice.fileno() in readable:
            self._notice.acknowledge()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.loop.iterations += 1
            self.check()
            self.wait()
        self._wake_read.close()
        if self._notice is not None:
            self._notice.close()


def watch_machine(clock: Clock, report: Callable[[ClockChange], None]) -> ClockWatcher:
    """A watcher of this machine's clock, with the notices that its system has."""
    notice = None
    with contextlib.suppress(OSError):  # no timerfd: polling detects steps within POLL_S
        notice = kernel_clock.ClockSetTimer()
    return ClockWatcher(clock, report, suspended_ns=kernel_clock.suspended_ns, notice=notice)
