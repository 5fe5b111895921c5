"""ROS 2 bags in SQLite (.db3): the time of each message; everything else stays, but for the bag's summary.

The database is copied and its times are set. Each message's error is in a table `tidesync_error` of it. A row
of the table `metadata` repeats the times of the bag's begin and end: it is left out, as tools make it again.

Assumption: messages are numbered in the order in which they were recorded, as rosbag2 does.
"""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.stamps.column import form_of_numbers
from tidesync.sessions.correction.stamps.numbers import UNIX
from tidesync.sessions.correction.stamps.options import StampOptions
from tidesync.sessions.correction.table import Batch
from tidesync.sessions.correction.timeline import NO_U95, STATES
from tidesync.sessions.errors import NoTimestampError, UnusableFileError
from tidesync.sessions.messages.built_file import built
from tidesync.sessions.messages.format import Block, Outcome
from tidesync.sessions.messages.read_only import read_only
from tidesync.sessions.messages.stamp_batches import batch_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tidesync.sessions.correction.table import Job, Measured
    from tidesync.sessions.correction.timeline import Corrections, Timeline
    from tidesync.sessions.messages.format import Answer, Target, Write
    from topside_agent.estimator.blocks import Integers

_NS = UNIX[-1]
_TOGETHER, _SURVEYED = 50_000, 16_384
_OURS = "tidesync_error"
_WRITER_AT, _WRITER_BYTES = 96, 4
"""Of a database file: the version of SQLite that wrote it last."""
_COLUMNS = "PRAGMA table_info(messages)"
_NEEDED = {"id", "topic_id", "timestamp", "data"}


@contextmanager
def open_rosbag2(job: Job, measured: Measured) -> Iterator[Rosbag2File]:
    """Open a bag's database; see `format.OpenMessages`."""
    try:
        with read_only(job.path) as database:
            _check_form(job.path, database)
            if database.execute(f"PRAGMA table_info({_OURS})").fetchone():
                raise UnusableFileError(
                    job.path, f"there is a table {_OURS} already: it has been corrected before"
                )
            yield Rosbag2File(job, measured, database)
    except sqlite3.Error as error:
        remedy = "the program sqlite3 writes what it can read of it: sqlite3 FILE .recover | sqlite3 NEW"
        reason = f"its database cannot be read: {error}; {remedy}"
        raise UnusableFileError(job.path, reason) from error


def _check_form(path: Path, database: sqlite3.Connection) -> None:
    """NoTimestampError unless its messages are a bag's; UnusableFileError where others would be changed."""
    columns = {name: (kind.upper(), key) for _, name, kind, _, _, key in database.execute(_COLUMNS)}
    if not columns.keys() >= _NEEDED:
        raise NoTimestampError(path, "it is no ROS 2 bag: it has no table of messages")
    if columns["id"] != ("INTEGER", 1):
        kind, key = columns["id"]
        received = f"{kind or 'no type'}, {'the' if key else 'no'} primary key"
        raise UnusableFileError(
            path, f"the numbers of its messages: expected INTEGER PRIMARY KEY, received {received}"
        )
    for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        raise UnusableFileError(path, f"it has a trigger, {name}, which might change what is written")


class Rosbag2File:
    """An open bag; see `format.Messages`."""

    names = ("timestamp",)
    step_ns = 0

    def __init__(self, job: Job, measured: Measured, database: sqlite3.Connection) -> None:
        stated = StampOptions(resolution_ms=job.stamps.resolution_ms)
        self._path, self._database = job.path, database
        self.outcome = Outcome()
        self._last = database.execute("SELECT max(id) FROM messages").fetchone()[0] or 0
        self._bytes = job.path.stat().st_size / max(self._last, 1)
        step = max(self._last // _SURVEYED, 1)
        surveyed = database.execute("SELECT timestamp FROM messages WHERE id % ? = 0 ORDER BY id", (step,))
        times = np.array([at for (at,) in surveyed if isinstance(at, int)], dtype=np.int64)
        own = replace(job, stamps=stated, unit=None)
        form = form_of_numbers(own, measured, times, _NS, fixed=True)
        self.forms = (form,)

    def scan(self) -> Iterator[Sequence[Batch]]:
        """All messages' times."""
        for block in self.read():
            yield block.columns

    def read(self) -> Iterator[Block]:
        """All messages' numbers and times; their data are not read."""
        rows = self._database.execute(
            "SELECT id, timestamp FROM messages WHERE id <= ? ORDER BY id", (self._last,)
        )
        passed = 0
        while some := rows.fetchmany(_TOGETHER):
            numbers = np.array([number for number, _ in some], dtype=np.int64)
            known = np.array([isinstance(at, int) for _, at in some], dtype=bool)
            times = np.array([at if isinstance(at, int) else 0 for _, at in some], dtype=np.int64)
            size = round(len(some) * self._bytes)
            batch = batch_of(self.forms[0], times, known, size=size, before=passed)
            shown = [each._replace(value=repr(some[each.place - passed - 1][1])) for each in batch.malformed]
            yield Block(numbers, (batch._replace(malformed=shown),))
            passed += len(some)

    def timeline(self, vehicles: Timeline, answer: Answer) -> Timeline:  # noqa: ARG002 - it needs no other file
        """That of the vehicle's clock."""
        return vehicles

    def foreign(self, target: Target) -> Iterator[Path]:
        """Databases without our table."""
        yield from (
            path for path in (target.output, target.unanswered) if path.exists() and not _is_ours(path)
        )

    @contextmanager
    def output(self, target: Target) -> Iterator[Write]:
        """Two copies: one of the answered messages, one of the others."""
        left = 0
        with ExitStack() as stack:
            main = stack.enter_context(_copied(self._database, self._path, target.output))
            others = stack.enter_context(_copied(self._database, self._path, target.unanswered))

            def write(block: Block, columns: Sequence[Corrections]) -> None:
                nonlocal left
                kept = columns[0].answered
                left += int((~kept).sum())
                _set(main, block.records, columns[0])
                _remove(main, block.records[~kept])
                _remove(others, block.records[kept])

            yield write
            for database, summary in ((main, target.summary()), (others, {"times": "as they were recorded"})):
                database.execute("CREATE TABLE tidesync (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
                pairs = {**target.about, **summary}.items()
                database.executemany("INSERT INTO tidesync VALUES (?, ?)", pairs)
        if left:
            self.outcome.beside.append(target.unanswered)
        else:
            target.unanswered.unlink(missing_ok=True)


def _is_ours(path: Path) -> bool:
    try:
        with read_only(path) as database:
            return database.execute(f"PRAGMA table_info({_OURS})").fetchone() is not None
    except sqlite3.Error:
        return False


@contextmanager
def _copied(source: sqlite3.Connection, original: Path, output: Path) -> Iterator[sqlite3.Connection]:
    """A copy of the database that is being changed, and replaces `output` in the end."""
    with built(output) as path:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            source.backup(database, pages=4096)
            database.execute("PRAGMA journal_mode = DELETE")
            database.execute("PRAGMA synchronous = OFF")  # it is synchronised when it is whole
            database.execute("BEGIN")
            if database.execute("PRAGMA table_info(metadata)").fetchone():
                database.execute("DELETE FROM metadata")
            database.execute(
                f"CREATE TABLE {_OURS} (message_id INTEGER PRIMARY KEY, max_error_ns INTEGER NOT NULL, "
                "u95_ns INTEGER, state TEXT NOT NULL)"
            )
            yield database
            database.execute("COMMIT")
            database.execute("VACUUM")
        _keep_writer(original, path)


def _keep_writer(original: Path, copy: Path) -> None:
    """State in the copy which SQLite wrote the original: that of this system would make it another one."""
    with original.open("rb") as source, copy.open("r+b") as target:
        for stream in (source, target):
            stream.seek(_WRITER_AT)
        target.write(source.read(_WRITER_BYTES))


def _set(database: sqlite3.Connection, numbers: Integers, found: Corrections) -> None:
    """Set the answered messages' times, and keep their errors."""
    kept = found.answered
    columns = (found.topside_ns, found.max_error_ns, found.u95_ns, found.state, numbers)
    rows = [*zip(*(column[kept].tolist() for column in columns), strict=True)]
    database.executemany(
        "UPDATE messages SET timestamp = ? WHERE id = ?", [(at, number) for at, *_, number in rows]
    )
    errors = (
        (number, error, None if u95 == NO_U95 else u95, STATES[state])
        for _, error, u95, state, number in rows
    )
    database.executemany(f"INSERT INTO {_OURS} VALUES (?, ?, ?, ?)", errors)  # noqa: S608 - our own name


def _remove(database: sqlite3.Connection, numbers: Integers) -> None:
    database.executemany("DELETE FROM messages WHERE id = ?", ((number,) for number in numbers.tolist()))
