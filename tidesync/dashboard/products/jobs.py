"""Makes products one at a time, each in a process that takes only what others leave."""

from __future__ import annotations

import logging
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from tidesync.dashboard.products.folder import KINDS, PROGRESS, Kind, ProductFolder, make_room, size_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_log = logging.getLogger(__name__)

RESERVE_BYTES = 1_000_000_000
"""Free space that is left to the recorder."""
MOST_WAITING = 8
NICE = 10
"""A tenth of the processor time of a program that needs all of it; of an idle computer, all."""
_OWN_NAME = "tidesync: "
"""It begins the line of a command about what went wrong."""
_PROCESS = (sys.executable, "-m", "tidesync.dashboard.products.process")
_LONGEST_S = 3600.0
_LOOK_S = 0.25
_MOST_REMEMBERED = 100
_MOST_LINES = 12
Key = tuple["Path", Kind]


class QueueFullError(Exception):
    """So many products are being waited for already."""


@dataclass(slots=True)
class Job:
    """A product that is being made, or waited for."""

    folder: ProductFolder
    kind: Kind
    progress: float | None = None
    """The part that is done, 0 to 1; None while it waits."""


class ProductJobs:
    """A queue and the one thread that empties it. Any thread may call it."""

    def __init__(self, root: Path, *, nice: int = NICE) -> None:
        self.root, self.nice = root, nice
        self._lock = threading.Lock()
        self._jobs: dict[Key, Job] = {}
        self._problems: dict[Key, str] = {}
        self._queue: queue.Queue[Job | None] = queue.Queue()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def job(self, folder: ProductFolder, kind: Kind) -> Job | None:
        """The job that makes this, if there is one."""
        return self._jobs.get((folder.path, kind))

    def problem(self, folder: ProductFolder, kind: Kind) -> str | None:
        """Why it was not made, or not wholly, when it was last tried."""
        return self._problems.get((folder.path, kind))

    def ask(self, folder: ProductFolder, kind: Kind) -> None:
        """Have it made; nothing happens where it is being made. QueueFullError."""
        with self._lock:
            key = (folder.path, kind)
            if key in self._jobs:
                return
            if len(self._jobs) >= MOST_WAITING:
                raise QueueFullError(f"{MOST_WAITING} are being waited for already")
            self._problems.pop(key, None)
            self._jobs[key] = job = Job(folder, kind)
            self._queue.put(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="products", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End what is being made."""
        self._stopping.set()
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(5)

    def _work(self) -> None:
        while (job := self._queue.get()) is not None and not self._stopping.is_set():
            key = (job.folder.path, job.kind)
            try:
                problem = self._make(job)
            except Exception as error:  # noqa: BLE001 - the next one is made nevertheless
                _log.warning("the %s of %s was not made: %s", job.kind, job.folder.path, error)
                problem = str(error)
            with self._lock:
                if problem:
                    self._problems[key] = problem
                    while len(self._problems) > _MOST_REMEMBERED:
                        del self._problems[next(iter(self._problems))]
                del self._jobs[key]  # last: who sees no job asks what became of it

    def _make(self, job: Job) -> str | None:
        """Make it in a folder of its own, which takes the old one's place; a sentence where that failed."""
        folder, target = job.folder, job.folder.of(job.kind)
        partial = folder.made / f".{job.kind}"
        make_room(self.root, folder)
        room = shutil.disk_usage(folder.path).free - RESERVE_BYTES
        if room < 2 * size_of(folder.path):
            return "too little space is free on the disk: the recorder needs it"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            problem = self._run(job, partial, room)
            if not size_of(partial):
                return problem or "there is nothing to be made of this session"
            shutil.rmtree(target, ignore_errors=True)
            partial.replace(target)
            return problem
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _run(self, job: Job, partial: Path, room: int) -> str | None:
        """Run the command; what it complains of. Where it was ended, all that it wrote is deleted."""
        process = subprocess.Popen(  # noqa: S603 - our own program, no shell
            [*_PROCESS, str(self.nice), str(room), *_command(job, partial)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            start_new_session=True,
            creationflags=getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0),
        )
        complaints, began_s = deque[str](maxlen=_MOST_LINES), time.monotonic()
        readers = _read(process, job, complaints)
        why = None
        while process.poll() is None and why is None:
            why = self._why_ended(job, time.monotonic() - began_s)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_S)
        if process.poll() is None:
            process.kill()
            process.wait()
        for reader in readers:
            reader.join(5)
        if why is None and process.returncode not in {0, 1}:
            why = "; ".join(complaints) or f"the program ended with {process.returncode}"
        if why is not None:
            shutil.rmtree(partial, ignore_errors=True)
            return why
        return "; ".join(complaints) or None if process.returncode else None

    def _why_ended(self, job: Job, took_s: float) -> str | None:
        if self._stopping.is_set():
            return "the dashboard was stopped"
        if took_s > _LONGEST_S:
            return f"it was not finished within {_LONGEST_S / 60:.0f} min"
        if shutil.disk_usage(job.folder.path).free < RESERVE_BYTES:
            return "too little space is left on the disk: the recorder needs it"
        return None


def _command(job: Job, partial: Path) -> list[str]:
    session = str(job.folder.path)
    commands: dict[Kind, list[str]] = {
        "report": ["report", session, "--output", str(partial / "report.html")],
        "tables": ["correct", session, "--output", str(partial), "--jobs", "1", "--json"],
        "fused": ["fuse", session, "--out", str(partial / "fused.csv")],
    }
    assert tuple(commands) == KINDS
    return commands[job.kind]


def _read(process: subprocess.Popen[str], job: Job, complaints: deque[str]) -> list[threading.Thread]:
    """Threads that read what the process writes."""
    job.progress = 0.0

    def note(line: str) -> None:
        if line.startswith(PROGRESS):
            job.progress = min(max(float(line[1:]), 0.0), 1.0)

    assert process.stdout is not None
    assert process.stderr is not None
    sources: list[tuple[IO[str], Callable[[str], None]]] = [
        (process.stdout, note),
        (process.stderr, lambda line: complaints.append(line.removeprefix(_OWN_NAME))),
    ]
    readers = [threading.Thread(target=_each_line, args=source, daemon=True) for source in sources]
    for reader in readers:
        reader.start()
    return readers


def _each_line(stream: IO[str], take: Callable[[str], None]) -> None:
    with stream:
        for line in stream:
            if text := line.strip("\r\n"):
                take(text[:500])
