"""A table's corrected rows: those with an instant in the order of topside's time, and the unanswered ones.

The table is read twice: first its times, then its texts, which are kept in a file without a name as large as
they are. Memory does not grow with the table, but for 24 bytes a row where its rows are not in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tidesync.sessions.correction.driver import CorrectedTable, corrected, opened, scanned, stated_of
from tidesync.sessions.correction.timeline import UNREADABLE
from tidesync.sessions.errors import UnusableFileError
from tidesync.sessions.export.netcdf.records import RECORD, Records
from tidesync.sessions.fuse.columns import TextStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from tidesync.sessions.correction.driver import ProgressCallback
    from tidesync.sessions.correction.table import Batch, Job
    from tidesync.sessions.correction.timeline import Corrections, Timeline
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Floats, Integers

_BLOCK = 65_536


class Work(NamedTuple):
    """A table to read: how, and where its output will be."""

    job: Job
    timeline: Timeline
    output: Path
    epoch_ns: int
    """From which its times will be counted, Unix ns."""
    progress: ProgressCallback

    @property
    def folder(self) -> Path:
        """Of temporary files."""
        return self.output.parent


class Part:
    """Some rows of a table in an order of their own: their records and texts."""

    def __init__(self, folder: Path, columns: int) -> None:
        self.records, self.texts = Records(folder), TextStore(columns, folder)
        self.widths = [0] * columns
        """Of each column the length of the longest text, bytes."""
        self.absent = [False] * columns
        """Whether some text of the column is empty."""

    def add(self, ranks: Integers, records: NDArray[Any], texts: Sequence[Sequence[bytes]]) -> None:
        """Add rows by their places in the order."""
        if not ranks.size:
            return
        written = [_utf8(column) for column in texts]
        for number, column in enumerate(written):
            lengths = [*map(len, column)]
            self.widths[number] = max(self.widths[number], *lengths)
            self.absent[number] |= min(lengths) == 0
        self.records.put(ranks, records)
        self.texts.add(ranks, written)


@dataclass
class CorrectedRows:
    """The rows of a table."""

    columns: Sequence[str]
    counts: CorrectedTable
    known: Part
    """Those with an instant, in the order of time."""
    unanswered: Part
    """The others, in the table's order; without those of which no text can be read."""
    strict: bool
    """Whether no two of the known ones have the same instant."""
    span_ns: tuple[int, int]
    """The first and the last instant of the known ones, Unix ns; 0 where there is none."""
    first_recorded_ns: int
    """The first row's own time, Unix ns; 0 where none is readable."""
    step_ns: int = 1
    """How far a double of seconds since the epoch may be from an instant: it is in each error."""


def seconds_since(epoch_ns: int, unix_ns: Integers) -> Floats:
    """The instants as doubles."""
    found: Floats = (unix_ns - epoch_ns) / 1e9
    return found


@dataclass
class _Order:
    """Whether instants come in the order of time."""

    epoch_ns: int
    sorted: bool = True
    strict: bool = True
    size: int = 0
    first_ns: int = 0
    last_ns: int = 0
    _last: Floats = field(default_factory=lambda: np.full(1, -np.inf))

    def note(self, instants_ns: Integers) -> None:
        """Take the next instants."""
        if not instants_ns.size:
            return
        seconds = np.concatenate([self._last, seconds_since(self.epoch_ns, instants_ns)])
        steps = np.diff(seconds)
        self.sorted &= bool((steps >= 0).all())
        self.strict &= bool((steps > 0).all())
        least, most = int(instants_ns.min()), int(instants_ns.max())
        self.first_ns = min(self.first_ns, least) if self.size else least
        self.last_ns = max(self.last_ns, most) if self.size else most
        self.size, self._last = self.size + instants_ns.size, seconds[-1:]

    @property
    def step_ns(self) -> int:
        """How far a double may be from an instant, ns."""
        far = seconds_since(self.epoch_ns, np.array([self.first_ns, self.last_ns], dtype=np.int64))
        return max(1, int(np.ceil(np.spacing(np.abs(far)).max() * 1e9)))


def read_rows(work: Work) -> CorrectedRows:
    """The rows of a table; SessionError as `driver.correct`."""
    try:
        return _read_rows(work)
    except OSError as error:
        raise UnusableFileError(work.job.path, f"{error.strerror or error}; nothing was written") from error


def _read_rows(work: Work) -> CorrectedRows:
    every, order = Records(work.folder), _Order(work.epoch_ns)
    first_recorded_ns = 0
    with opened(work.job, work.timeline) as table:
        counts = CorrectedTable(
            work.job.path, work.output, work.job.vehicle, table.place, work.job.sensor, table.form
        )
        counts.stated = stated_of(work.job)
        corrector = scanned(table, work.timeline, work.progress)
        columns = [*table.columns]
        for batch in table.read():
            found = corrected(batch, table, work.timeline, corrector)
            counts.count(found, batch.malformed)
            every.append(_records_of(batch, found))
            order.note(found.topside_ns[found.known])
            if not first_recorded_ns and batch.readable.any():
                first_recorded_ns = int(batch.unix_ns[batch.readable][0])
            work.progress(batch.size)
        counts.by_order = corrector.decided
    made = CorrectedRows(
        columns=columns,
        counts=counts,
        known=Part(work.folder, len(columns)),
        unanswered=Part(work.folder, len(columns)),
        strict=order.strict,
        span_ns=(order.first_ns, order.last_ns),
        first_recorded_ns=first_recorded_ns,
        step_ns=order.step_ns,
    )
    counts.max_error_ns += made.step_ns if counts.corrected else 0
    ranks = None if order.sorted else _ranks(every, order.size)
    if ranks is not None:
        times, places = ranks
        made.strict = bool((np.diff(seconds_since(work.epoch_ns, times)) > 0).all())
        _read_texts(work, every, made, places)
    else:
        _read_texts(work, every, made, None)
    return made


def _records_of(batch: Batch, found: Corrections) -> NDArray[Any]:
    records = np.zeros(batch.unix_ns.size, dtype=RECORD)
    records["topside_ns"], records["max_error_ns"] = found.topside_ns, found.max_error_ns
    records["u95_ns"], records["state"] = found.u95_ns, found.state
    records["recorded_ns"], records["readable"] = batch.unix_ns, batch.readable
    return records


def _known(records: NDArray[Any]) -> Flags:
    known: Flags = records["max_error_ns"] > 0  # as Corrections.known
    return known


def _blocks(records: Records) -> Iterator[NDArray[Any]]:
    for begin in range(0, records.size, _BLOCK):
        yield records.read(begin, min(begin + _BLOCK, records.size))


def _ranks(every: Records, size: int) -> tuple[Integers, Integers]:
    """The instants in order, and of each known row its place among them."""
    times, begin = np.empty(size, dtype=np.int64), 0
    for block in _blocks(every):
        found = block["topside_ns"][_known(block)]
        times[begin : begin + found.size] = found
        begin += found.size
    order = np.argsort(times, kind="stable")
    ranks = np.empty(size, dtype=np.int64)
    ranks[order] = np.arange(size)
    return times[order], ranks


def _read_texts(work: Work, every: Records, made: CorrectedRows, ranks: Integers | None) -> None:
    """Read the table again, and add each row with its texts to its part."""
    begin, answered, others = 0, 0, 0
    with opened(work.job, work.timeline) as table:
        for batch in table.read():
            end = min(begin + batch.unix_ns.size, every.size)
            records = every.read(begin, end)
            stamps = np.where(records["readable"], records["recorded_ns"], 0)
            again = np.where(batch.readable, batch.unix_ns, 0)[: end - begin]
            if not np.array_equal(stamps, again):
                raise UnusableFileError(work.job.path, "it was changed while it was read")
            here = np.flatnonzero(_known(records))
            number = np.arange(answered, answered + here.size)
            placed = number if ranks is None else ranks[number]
            made.known.add(placed, records[here], table.texts(batch.rows, here.tolist()))
            answered += here.size
            others += _add_unanswered(made.unanswered, records, others, table, batch)
            begin = end
            work.progress(batch.size)
            if begin == every.size:
                return
    if begin < every.size:
        raise UnusableFileError(work.job.path, "it was cut off while it was read")


def _add_unanswered(part: Part, records: NDArray[Any], rank: int, table: Any, batch: Batch) -> int:
    """Add the rows without an instant, and return how many; blank lines and comments are none."""
    rows = np.flatnonzero(~_known(records))
    if not rows.size:
        return 0
    texts = table.texts(batch.rows, rows.tolist())
    filled = np.zeros(rows.size, dtype=bool)
    for column in texts:
        filled |= np.array([bool(text) for text in column], dtype=bool)
    filled |= records["state"][rows] != UNREADABLE
    chosen = np.flatnonzero(filled)
    kept = [[column[row] for row in chosen.tolist()] for column in texts]
    part.add(np.arange(rank, rank + chosen.size), records[rows[chosen]], kept)
    return int(chosen.size)


def _utf8(texts: Sequence[bytes]) -> Sequence[bytes]:
    """The texts in UTF-8; bytes that are none are written as their numbers, with a backslash and x."""
    if b"".join(texts).isascii():
        return texts
    return [text.decode("utf-8", "backslashreplace").encode() for text in texts]
