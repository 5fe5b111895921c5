"""Whether an agent is alive: its loops come round. Says so in a file and to systemd; ends what is wedged."""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import threading
from typing import TYPE_CHECKING, Protocol

from runtime.heartbeat import HeartbeatFile
from runtime.notify import Notifier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from runtime.loop import Loop

_log = logging.getLogger(__name__)

_BEAT_NS = 1_000_000_000
_MOST_COUNTED_NS = 500_000_000
_LAST_WORDS_S = 5.0
_STDERR = 2


class Watched(Protocol):
    """What a watchdog asks an agent; called from the main thread."""

    @property
    def loops(self) -> Sequence[Loop]:
        """What must come round for it to be alive."""

    @property
    def status_text(self) -> str:
        """The state of the connection to the broker, in words."""


class Patience:
    """Tells a loop that is stuck from a machine that is busy, asleep or paused.

    A loop's time without a turn counts only while the one who looks gets its own turns: at most half a second
    for each look. So a process that was stopped, frozen or starved is not taken for one that is wedged.
    """

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self._turns: dict[str, int] = {}
        self._stuck_ns: dict[str, int] = {}

    def look(self, loops: Sequence[Loop], now_ns: int) -> str | None:
        """A sentence about a loop that has not come round within its patience, or None."""
        last_ns, self._last_ns = self._last_ns, now_ns
        passed_ns = 0 if last_ns is None else min(now_ns - last_ns, _MOST_COUNTED_NS)
        for loop in loops:
            patience_s = loop.patience_s  # before its turns: it may end a long turn in between
            if self._turns.get(loop.name) != loop.turns:
                self._turns[loop.name], self._stuck_ns[loop.name] = loop.turns, 0
                continue
            self._stuck_ns[loop.name] += passed_ns
            if self._stuck_ns[loop.name] > patience_s * 1e9:
                return f"{loop.name} has been stuck for {self._stuck_ns[loop.name] / 1e9:.0f} s"
        return None


class Watchdog:
    """Watches one agent; every method is called in the main thread."""

    def __init__(self, agent: Watched, heartbeat_file: Path | None, notifier: Notifier | None = None) -> None:
        self._agent = agent
        self._file = HeartbeatFile(heartbeat_file) if heartbeat_file else None
        self._notifier = notifier or Notifier()
        self._patience = Patience()
        self._beat_due_ns = 0

    def started(self) -> None:
        """The agent works: whoever waits for it may go on."""
        self._notifier.tell("READY=1", status=self._agent.status_text)

    def look(self, now_ns: int) -> str | None:
        """What is stuck, in a sentence, or None; `now_ns` is of CLOCK_MONOTONIC. Beats once a second."""
        stuck = self._patience.look(self._agent.loops, now_ns)
        if stuck is None and now_ns >= self._beat_due_ns:
            self._beat_due_ns = now_ns + _BEAT_NS
            self._notifier.tell("WATCHDOG=1", status=self._agent.status_text)
            if self._file:
                self._file.beat(now_ns, self._agent.status_text)
        return stuck

    def stopping(self) -> None:
        """The agent ends because it was told to, or has failed."""
        self._notifier.tell("STOPPING=1", status="stopping")


def end_wedged(stop: Callable[[], None], sentence: str) -> None:
    """Log where every thread stands and stop what can be stopped, in bounded time.

    Whoever is stuck may hold the log's lock, or keep `stop` or the interpreter's end waiting: then
    faulthandler, which needs neither lock nor interpreter, ends the process with exit code 1.
    """
    faulthandler.dump_traceback_later(_LAST_WORDS_S, exit=True, file=_STDERR)
    _log.critical("%s; where the threads stand:", sentence)
    faulthandler.dump_traceback(file=_STDERR, all_threads=True)
    with contextlib.suppress(Exception):
        stopper = threading.Thread(target=stop, name="stop", daemon=True)
        stopper.start()
        stopper.join(_LAST_WORDS_S / 2)
