"""RBR's .rsk (SQLite): a table beside it with the time of each sample; the database is only read.

`tstamp` of its table `data`, ms since 1970 by the logger's clock, is the key by which Ruskin, RSKtools and
pyRSKtools find samples, events, regions and thumbnails: a copy with other times would have to change all of
them, and ms that come together would be lost. So the answers stand beside, by the same key.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.stamps.column import form_of_numbers
from tidesync.sessions.correction.stamps.numbers import UNIX
from tidesync.sessions.errors import NoTimestampError, UnusableFileError
from tidesync.sessions.messages.format import Block, Outcome
from tidesync.sessions.messages.read_only import read_only
from tidesync.sessions.messages.sidecar import foreign_sidecar, sidecar_output
from tidesync.sessions.messages.stamp_batches import batch_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tidesync.sessions.correction.table import Batch, Job, Measured
    from tidesync.sessions.correction.timeline import Timeline
    from tidesync.sessions.messages.format import Answer, Target, Write

_MS = replace(UNIX[1], local=True)
_TOGETHER, _SURVEYED = 50_000, 4_096
_MAGIC = b"SQLite format 3\x00"
_STEP_NS = 1_000
_COLUMNS = ("sample", "tstamp")


@contextmanager
def open_rsk(job: Job, measured: Measured) -> Iterator[RskFile]:
    """Open a logger's database; see `format.OpenMessages`."""
    with job.path.open("rb") as stream:
        begin = stream.read(len(_MAGIC))
    if begin != _MAGIC:
        received = f"it begins with {begin!r}" if begin else "it is empty"
        raise UnusableFileError(job.path, f"it is no .rsk: {received}")
    try:
        with read_only(job.path) as database:
            _check_form(job.path, database)
            yield RskFile(job, measured, database)
    except sqlite3.Error as error:
        raise UnusableFileError(job.path, f"its database cannot be read: {error}") from error


def _check_form(path: Path, database: sqlite3.Connection) -> None:
    """NoTimestampError unless it has samples by their times."""
    columns = {name for _, name, *_ in database.execute("PRAGMA table_info(data)")}
    if "tstamp" not in columns:
        reason = (
            "it has no table of samples (data, tstamp): Ruskin makes it of a file that was only downloaded"
        )
        raise NoTimestampError(path, reason)


class RskFile:
    """An open database; see `format.Messages`."""

    names = ("tstamp",)
    step_ns = _STEP_NS

    def __init__(self, job: Job, measured: Measured, database: sqlite3.Connection) -> None:
        self._database, self.outcome = database, Outcome()
        self._size = job.path.stat().st_size
        first, last = (self._some(order) for order in ("", " DESC"))
        times = np.array([at for at in (*first, *reversed(last)) if isinstance(at, int)], dtype=np.int64)
        self.forms = (form_of_numbers(replace(job, column="tstamp", unit=None), measured, times, _MS),)

    def scan(self) -> Iterator[Sequence[Batch]]:
        """All samples' times."""
        for block in self.read():
            yield block.columns

    def read(self) -> Iterator[Block]:
        """All samples' times, in the order in which the database has them."""
        rows, passed, left = self._database.execute("SELECT tstamp FROM data NOT INDEXED"), 0, self._size
        while some := rows.fetchmany(_TOGETHER):
            known = np.array([isinstance(at, int) for (at,) in some], dtype=bool)
            times = np.array([at if isinstance(at, int) else 0 for (at,) in some], dtype=np.int64)
            batch = batch_of(self.forms[0], times, known, size=left, before=passed)
            fronts = [
                f"{passed + place},{at if isinstance(at, int) else ''}" for place, (at,) in enumerate(some, 1)
            ]
            yield Block(fronts, (batch,))
            passed, left = passed + len(some), 0

    def timeline(self, vehicles: Timeline, answer: Answer) -> Timeline:  # noqa: ARG002 - it needs no other file
        """That of the clock."""
        return vehicles

    def foreign(self, target: Target) -> Iterator[Path]:
        """A table that is not that of a correction."""
        return foreign_sidecar(target)

    def output(self, target: Target) -> AbstractContextManager[Write]:
        """The table."""
        return sidecar_output(target, _COLUMNS, lambda block: block.records, _STEP_NS)

    def _some(self, order: str) -> list[object]:
        query = f"SELECT tstamp FROM data ORDER BY tstamp{order} LIMIT {_SURVEYED}"  # noqa: S608 - our own words
        return [at for (at,) in self._database.execute(query)]
