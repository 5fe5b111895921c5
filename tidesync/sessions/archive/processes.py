"""Processes of this computer that do tasks, each one at a time; one that dies takes no other with it."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import signal
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from tidesync.sessions.archive.child import serve
from tidesync.sessions.archive.workers import Lost

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.process import BaseProcess

    from tidesync.sessions.archive.workers import Progress, Results, Work

_PATIENCE_S = 5.0
"""After a request to end."""


@dataclass(eq=False, slots=True)
class _Child:
    process: BaseProcess
    connection: Any
    """A Connection; on Windows a PipeConnection."""
    number: int | None = None
    """Of its task."""


def usable_cores() -> int:
    """How many processes can run at once here."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Processes:
    """At most `most` at a time; see `workers.Workers`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._context = multiprocessing.get_context("spawn")

    def each(self, work: Work, shared: Any, tasks: Sequence[Any], progress: Progress) -> Results:
        """As `workers.Workers`; a task whose process died is not tried again."""
        given = pickle.dumps((work, shared), pickle.HIGHEST_PROTOCOL)
        waiting, children = deque(enumerate(tasks)), list[_Child]()
        try:
            while waiting or children:
                while waiting and len(children) < self._most:
                    children.append(self._started(given))
                    _give(children[-1], waiting)
                for child in self._ready(children):
                    yield from _heard(child, waiting, progress)
                    if not child.process.is_alive() and child.number is None:
                        children.remove(child)
                        _ended(child)
        finally:
            _end(children)

    def _started(self, given: bytes) -> _Child:
        ours, theirs = self._context.Pipe()
        level = logging.getLogger().level
        process = self._context.Process(target=serve, args=(theirs, given, level), daemon=True)
        process.start()
        theirs.close()
        return _Child(process, ours)

    @staticmethod
    def _ready(children: Sequence[_Child]) -> list[_Child]:
        by_handle: dict[Any, _Child] = {}
        for child in children:
            by_handle[child.connection] = by_handle[child.process.sentinel] = child
        ready = wait([*by_handle])
        return [*dict.fromkeys(by_handle[each] for each in ready)]


def _give(child: _Child, waiting: deque[tuple[int, Any]]) -> None:
    """Give it the next task, or let it end."""
    child.number = None
    task = waiting.popleft() if waiting else None
    try:
        child.connection.send(task and (task[1],))
    except OSError:  # it has died meanwhile
        if task:
            waiting.appendleft(task)
    else:
        child.number = task[0] if task else None


def _heard(child: _Child, waiting: deque[tuple[int, Any]], progress: Progress) -> Iterator[tuple[int, Any]]:
    """What it has to say; the result of its task, if that is done or it has died."""
    try:
        while child.connection.poll():
            kind, value = child.connection.recv()
            if kind == "progress":
                progress(value)
            elif kind == "raised":
                raise value
            elif child.number is not None:
                number = child.number
                _give(child, waiting)
                yield number, value
    except (EOFError, OSError, pickle.UnpicklingError):
        child.process.join(_PATIENCE_S)
        if child.number is not None:
            yield child.number, Lost(_why_ended(child.process.exitcode))
        child.number = None


def _why_ended(code: int | None) -> str:
    if code is None or code >= 0:
        return f"the process that worked on it ended with {code}"
    name = signal.Signals(-code).name if -code in {*signal.Signals} else "unknown"
    short = (
        "; the system ends processes so when memory is short: try fewer --jobs" if name == "SIGKILL" else ""
    )
    return f"the process that worked on it was ended by signal {-code} ({name}){short}"


def _ended(child: _Child) -> None:
    child.process.join(_PATIENCE_S)
    child.connection.close()


def _end(children: Sequence[_Child]) -> None:
    """End all, by force where they do not."""
    for child in children:
        child.process.terminate()
    for child in children:
        child.process.join(_PATIENCE_S)
        if child.process.is_alive():
            child.process.kill()
        with contextlib.suppress(OSError):
            _ended(child)
