"""Where work that may take long is done: in threads beside the network thread, or at once in a simulation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from runtime.faults import FaultLog

_FAULT = "a fault of this program while it wrote, please report it; recording goes on"

Background = Callable[[Callable[[], None], str], None]
"""Runs work under a name."""


def at_once(work: Callable[[], None], _name: str) -> None:
    """In the thread that asks."""
    work()


def in_thread(work: Callable[[], None], name: str) -> None:
    """Run `work` in a thread of its own."""
    threading.Thread(target=work, name=name, daemon=True).start()


class DiskThread:
    """One thread that does what it is given in turn, until `stop`."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._faults = FaultLog()
        in_thread(self._run, "disk")

    def __call__(self, work: Callable[[], None], _name: str) -> None:
        """Have `work` done."""
        self._jobs.put(work)

    def stop(self) -> None:
        """End it when all is done."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (work := self._jobs.get()) is not None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - what comes after it is to be written, too
                self._faults.note(error, _FAULT, time.monotonic_ns())
