"""The other end of `processes.Processes`: a process that does the tasks it is given until there are no more.

It ends with the process that started it. It is imported before numpy, whose threads `memory.prepare` limits.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import threading
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime import memory
from runtime.errors import TidesyncError
from runtime.faults import place_of
from runtime.logs import configure_logging
from tidesync.sessions.archive.workers import Lost

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from types import FrameType

    from tidesync.sessions.archive.workers import Progress, Work

_FIRST_TO_END = "500"
"""Of those that the system ends where memory is short, before the process that started it."""


def serve(connection: Connection, given: bytes, level: int) -> None:
    """Do tasks; `given` is the pickled work with what all tasks share, `level` that of the log."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the process that started this one ends it
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_END, encoding="ascii")
    memory.prepare()
    configure_logging(verbose=level <= logging.DEBUG, quiet=level >= logging.WARNING)

    def progress(done: int) -> None:
        connection.send(("progress", done))

    with suppress(EOFError, OSError):  # nobody asks any more
        work, shared = pickle.loads(given)  # noqa: S301 - of the process that started this one
        while (task := connection.recv()) is not None:
            connection.send(_done(work, task[0], shared, progress))


def _done(work: Work, task: Any, shared: Any, progress: Progress) -> tuple[str, Any]:
    try:
        return "done", work(task, shared, progress)
    except TidesyncError as error:
        return "raised", error
    except MemoryError:
        return "done", Lost("too little memory for the process that worked on it: try fewer --jobs")
    except Exception as error:  # noqa: BLE001 - the other tasks are done
        return "done", Lost(f"internal fault: {place_of(error)}: {error}")


def _end(_number: int, _frame: FrameType | None) -> None:
    """Once: what is being written is taken back on the way."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(128 + signal.SIGTERM)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
