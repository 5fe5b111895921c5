"""A sensor's tables: their rows' times as arrays, and the texts of the rows that are wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tidesync.figures import text_of
from tidesync.sessions.correction.driver import CorrectedTable, corrected, opened, scanned
from tidesync.sessions.correction.own_clock import TOPSIDE_CLOCK
from tidesync.sessions.correction.timeline import UNREADABLE
from tidesync.sessions.errors import UnusableFileError
from tidesync.sessions.fuse.columns import TextStore
from tidesync.sessions.fuse.pairing import NONE, SensorTimes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from tidesync.sessions.correction.driver import ProgressCallback
    from tidesync.sessions.correction.table import Job
    from tidesync.sessions.correction.timeline import Timeline
    from tidesync.sessions.correction.unexplained import Flags
    from tidesync.sessions.fuse.columns import Kind
    from topside_agent.estimator.blocks import Floats, Integers

BLANK = UNREADABLE - 1
"""The state of an entry that is no row: a blank line, a comment."""


@dataclass(frozen=True, slots=True)
class CorrectedArrays:
    """A corrected table without its texts."""

    job: Job
    timeline: Timeline
    columns: tuple[str, ...]
    counts: CorrectedTable
    unix_ns: Integers
    """As stamped; by it a table that is replaced meanwhile is noticed."""
    times: SensorTimes


def corrected_arrays(job: Job, timeline: Timeline, progress: ProgressCallback) -> CorrectedArrays:
    """The corrections of a job's table; SessionError as `driver.correct`."""
    stamps = Growing(np.int64)
    parts = [Growing(kind) for kind in (np.int64, np.int64, np.int8, np.bool_)]
    try:
        with opened(job, timeline) as table:
            counts = CorrectedTable(job.path, job.path, job.vehicle, table.place, job.sensor)
            corrector = scanned(table, timeline, progress)
            columns = tuple(table.columns)
            for batch in table.read():
                found = corrected(batch, table, timeline, corrector)
                counts.count(found, batch.malformed)
                if not batch.malformed:
                    found.state[~batch.readable] = BLANK
                for part, values in zip(parts, SensorTimes.of(found), strict=True):
                    part.append(np.asarray(values))
                stamps.append(batch.unix_ns)
                progress(batch.size)
    except OSError as error:
        raise UnusableFileError(job.path, error.strerror or str(error)) from error
    times = SensorTimes(*(part.values for part in parts))
    return CorrectedArrays(job, timeline, columns, counts, stamps.values, times)


class Growing:
    """An array to which values are appended, in little more memory than they take."""

    def __init__(self, kind: type) -> None:
        self._kind = np.dtype(kind)
        self._bytes = bytearray()

    def append(self, values: NDArray[Any]) -> None:
        """Append values."""
        self._bytes += np.ascontiguousarray(values, dtype=self._kind).data.cast("B")

    @property
    def values(self) -> NDArray[Any]:
        """All of them; nothing can be appended afterwards."""
        return np.frombuffer(self._bytes, dtype=self._kind)


class Column(NamedTuple):
    """A column of a sensor; rows are given by their `places`."""

    store: TextStore
    number: int

    @property
    def kind(self) -> Kind:
        """What all its texts are."""
        return self.store.kind(self.number)

    @property
    def measures(self) -> bool:
        """Whether there are numbers between two of them; not between integers of 16 digits and more."""
        return self.store.measures(self.number)

    def texts(self, places: Integers) -> list[bytes]:
        """The texts; empty for −1."""
        return self.store.texts(self.number, places)

    def numbers(self, places: Integers) -> Floats:
        """The numbers; NaN where there is none."""
        return self.store.numbers(self.number, places)


class Sensor:
    """One or several tables with the same columns; rows are counted through all of them."""

    def __init__(self, name: str, tables: Sequence[CorrectedArrays]) -> None:
        self.name, self.tables = name, tables
        self.columns = tables[0].columns
        self.times = SensorTimes.joined([table.times for table in tables])
        self._texts: TextStore | None = None
        self._rank = np.zeros(0, dtype=np.int32)
        """The place of each row that was read in the order of time; NONE for others, and at its end."""

    @property
    def vehicle(self) -> str | None:
        """Whose clock stamped it; None: topside's own."""
        vehicle = self.tables[0].job.vehicle
        return None if vehicle == TOPSIDE_CLOCK else vehicle

    @property
    def counts(self) -> Mapping[str, int]:
        """How many rows there are, by state."""
        totals = {"rows": sum(table.counts.rows for table in self.tables)}
        for state in self.tables[0].counts.counts:
            totals[state] = sum(table.counts.counts[state] for table in self.tables)
        return totals | {"malformed": sum(table.counts.malformed for table in self.tables)}

    def read_texts(
        self, used: Flags, folder: Path | None, progress: ProgressCallback, *, kinds: bool
    ) -> None:
        """Read the texts of the rows that are `used` into a file in `folder`; see `TextStore`."""
        self._texts = TextStore(len(self.columns), folder, kinds=kinds)
        rows = self.times.rows_in_time()
        rows = rows[used[rows]]
        self._rank = np.full(used.size + 1, NONE, dtype=np.int32)
        self._rank[rows] = np.arange(rows.size)
        begin = 0
        for table in self.tables:
            end = begin + table.unix_ns.size
            if used[begin:end].any():
                self._read_table(table, self._rank[begin:end], progress)
            begin = end

    def column(self, number: int) -> Column:
        """A column, the texts of which have been read."""
        assert self._texts is not None, "read_texts comes first"
        return Column(self._texts, number)

    def places(self, rows: Integers) -> Integers:
        """Where the texts of `rows` are in the columns; −1 for NONE."""
        return self._rank[rows].astype(np.int64)

    def _read_table(
        self, table: CorrectedArrays, rank: NDArray[np.int32], progress: ProgressCallback
    ) -> None:
        assert self._texts is not None
        begin, last = 0, int(np.flatnonzero(rank != NONE)[-1])
        try:
            with opened(table.job, table.timeline) as reopened:
                for batch in reopened.read():
                    end = begin + batch.unix_ns.size
                    here = np.flatnonzero(rank[begin:end] != NONE)
                    if not np.array_equal(batch.unix_ns[here], table.unix_ns[begin + here]):
                        raise UnusableFileError(table.job.path, "it was changed while it was read")
                    self._texts.add(
                        rank[begin + here].astype(np.int64), reopened.texts(batch.rows, here.tolist())
                    )
                    begin = end
                    progress(batch.size)
                    if begin > last:
                        return
        except OSError as error:
            raise UnusableFileError(table.job.path, error.strerror or str(error)) from error
        raise UnusableFileError(table.job.path, "it was cut off while it was read")


def sensors_of(tables: Sequence[CorrectedArrays]) -> list[Sensor]:
    """The tables by sensor, or by their names; where the columns differ it is another sensor."""
    groups: dict[tuple[str, tuple[str, ...]], list[CorrectedArrays]] = {}
    for table in sorted(tables, key=lambda each: _stem(each.job) != _USUAL_STEM):
        groups.setdefault((table.job.sensor or _stem(table.job), table.columns), []).append(table)
    found: dict[str, Sensor] = {}
    for (name, _), group in groups.items():
        stem = _stem(group[0].job)
        names = [name, f"{name}_{stem}", *(f"{name}_{stem}_{number}" for number in range(2, len(groups) + 2))]
        free = next(each for each in names if each not in found)
        found[free] = Sensor(free, group)
    order = [table.job.sensor for table in tables]
    return sorted(found.values(), key=lambda each: order.index(each.tables[0].job.sensor))


_USUAL_STEM = "session"
"""A sensor's main table in the consumer's folders."""


def _stem(job: Job) -> str:
    """A table's name up to its first dot."""
    return text_of(job.path.name.partition(".")[0])
