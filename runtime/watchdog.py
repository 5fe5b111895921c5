"""Whether an agent is alive: each of its loops keeps iterating.

The watchdog reports it in a heartbeat file and to systemd, and ends a process that is stuck.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import socket
import sys
import threading
from typing import TYPE_CHECKING, Protocol

from runtime.heartbeat import HeartbeatFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_log = logging.getLogger(__name__)

STUCK_AFTER_S = 10.0
_BEAT_NS = 1_000_000_000
_MAX_COUNTED_NS = 500_000_000
_STOP_TIMEOUT_S = 5.0
_STDERR = 2


class Loop:
    """A loop that counts its iterations, without a clock.

    `limit_s` is how long one iteration may take; after that the loop is stuck.
    """

    def __init__(self, name: str, limit_s: float = STUCK_AFTER_S) -> None:
        self.name = name
        self.iterations = 0
        self.limit_s = limit_s

    @contextlib.contextmanager
    def allowing(self, limit_s: float) -> Iterator[None]:
        """Allow at least this long for the iteration in the block."""
        usual_s, self.limit_s = self.limit_s, max(self.limit_s, limit_s)
        try:
            yield
        finally:
            self.iterations += 1  # first, so that the long iteration is not measured against the short limit
            self.limit_s = usual_s


class Watched(Protocol):
    """What a watchdog asks an agent; called from the main thread."""

    @property
    def loops(self) -> Sequence[Loop]:
        """All of them must iterate while the agent is alive."""

    @property
    def status_text(self) -> str:
        """The state of the connection to the broker, in words."""


class Notifier:
    """Reports to systemd, where it started the process; never blocks, never fails.

    sd_notify(3), "Standalone Implementations".
    """

    def __init__(self, address: str | None = None) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "") if address is None else address
        self._address = "\0" + address[1:] if address.startswith("@") else address  # an abstract socket
        self.known = bool(self._address) and hasattr(socket, "AF_UNIX")
        """Whether systemd, or another manager, asked for reports."""
        self._status = ""

    def notify(self, *assignments: str, status: str | None = None) -> None:
        """Send assignments such as `READY=1`, and the status text if it has changed."""
        if status is not None and status != self._status:
            self._status = status
            assignments = (*assignments, f"STATUS={' '.join(status.split())}")
        if self.known and assignments:
            self._send("\n".join(assignments))

    def _send(self, text: str) -> None:
        if sys.platform != "win32":
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.setblocking(False)  # a manager that does not read must not block us
                manager.sendto(text.encode(), self._address)


class StallDetector:
    """Distinguishes a loop that is stuck from a machine that is busy, asleep or paused.

    A loop's time without an iteration counts only while `check` is called: at most half a second a call.
    So a process that was stopped, frozen or starved is not mistaken for one that is stuck.
    """

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self._iterations: dict[str, int] = {}
        self._stuck_ns: dict[str, int] = {}

    def check(self, loops: Sequence[Loop], now_ns: int) -> str | None:
        """A sentence about a loop whose iteration takes longer than its limit, or None."""
        last_ns, self._last_ns = self._last_ns, now_ns
        passed_ns = 0 if last_ns is None else min(now_ns - last_ns, _MAX_COUNTED_NS)
        for loop in loops:
            limit_s = loop.limit_s  # before its count: it may end a long iteration in between
            if self._iterations.get(loop.name) != loop.iterations:
                self._iterations[loop.name], self._stuck_ns[loop.name] = loop.iterations, 0
                continue
            self._stuck_ns[loop.name] += passed_ns
            if self._stuck_ns[loop.name] > limit_s * 1e9:
                return f"{loop.name} has been stuck for {self._stuck_ns[loop.name] / 1e9:.0f} s"
        return None


class Watchdog:
    """Watches one agent; every method is called in the main thread."""

    def __init__(self, agent: Watched, heartbeat_file: Path | None, notifier: Notifier | None = None) -> None:
        self._agent = agent
        self._file = HeartbeatFile(heartbeat_file) if heartbeat_file else None
        self._notifier = notifier or Notifier()
        self._detector = StallDetector()
        self._beat_due_ns = 0

    def started(self) -> None:
        """The agent works: report that it is ready."""
        self._notifier.notify("READY=1", status=self._agent.status_text)

    def check(self, now_ns: int) -> str | None:
        """A sentence about a stuck loop, or None; `now_ns` is CLOCK_MONOTONIC. Beats once a second."""
        stuck = self._detector.check(self._agent.loops, now_ns)
        if stuck is None and now_ns >= self._beat_due_ns:
            self._beat_due_ns = now_ns + _BEAT_NS
            self._beat(now_ns)
        return stuck

    def _beat(self, now_ns: int) -> None:
        if not self._notifier.known and self._file is None:
            return
        status_text = self._agent.status_text
        self._notifier.notify("WATCHDOG=1", status=status_text)
        if self._file:
            self._file.beat(now_ns, status_text)

    def stopping(self) -> None:
        """The agent is being stopped, or has failed."""
        self._notifier.notify("STOPPING=1", status="stopping")


def stop_stuck(stop: Callable[[], None], sentence: str) -> None:
    """Log the stack of every thread and stop what can be stopped, in bounded time.

    The stuck thread may hold the log's lock, or block `stop` or the interpreter's exit: then faulthandler,
    which needs neither, ends the process with exit code 1.
    """
    faulthandler.dump_traceback_later(_STOP_TIMEOUT_S, exit=True, file=_STDERR)
    _log.critical("%s; the stacks of all threads:", sentence)
    faulthandler.dump_traceback(file=_STDERR, all_threads=True)
    with contextlib.suppress(Exception):
        stopper = threading.Thread(target=stop, name="stop", daemon=True)
        stopper.start()
        stopper.join(_STOP_TIMEOUT_S / 2)
