"""A sensor's tables: their rows' times as arrays, and the texts of the rows that are wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.driver import CorrectedTable, corrected, opened, scanned
from tidesync.sessions.correction.own_clock import TOPSIDE_CLOCK
from tidesync.sessions.correction.timeline import UNREADABLE
from tidesync.sessions.errors import UnusableFileError
from tidesync.sessions.fuse.columns import TextColumn
from tidesync.sessions.fuse.pairing import SensorTimes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidesync.sessions.correction.driver import ProgressCallback
    from tidesync.sessions.correction.table import Job
    from tidesync.sessions.correction.timeline import Timeline
    from topside_agent.estimator.blocks import Integers

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
    parts: list[SensorTimes] = []
    stamps = [np.zeros(0, dtype=np.int64)]
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
                parts.append(SensorTimes.of(found))
                stamps.append(batch.unix_ns)
                progress(batch.size)
    except OSError as error:
        raise UnusableFileError(job.path, error.strerror or str(error)) from error
    return CorrectedArrays(job, timeline, columns, counts, np.concatenate(stamps), SensorTimes.joined(parts))


class Sensor:
    """One or several tables with the same columns; rows are counted through all of them."""

    def __init__(self, name: str, tables: Sequence[CorrectedArrays]) -> None:
        self.name, self.tables = name, tables
        self.columns = tables[0].columns
        self.times = SensorTimes.joined([table.times for table in tables])
        self._texts: list[TextColumn] = []
        self._read = np.zeros(0, dtype=np.int64)

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

    def read_texts(self, wanted: Integers, progress: ProgressCallback) -> None:
        """Read the texts of the rows `wanted`, each once and rising."""
        self._texts, self._read = [TextColumn() for _ in self.columns], wanted
        begin = 0
        for table in self.tables:
            rows = wanted[(wanted >= begin) & (wanted < begin + table.unix_ns.size)] - begin
            self._append_texts(table, rows, progress)
            begin += table.unix_ns.size

    def column(self, place: int) -> TextColumn:
        """The texts of a column; `texts` and `numbers` of it take `places` of rows."""
        return self._texts[place]

    def places(self, rows: Integers) -> Integers:
        """Where the texts of `rows` are in the columns; −1 for −1."""
        found = np.searchsorted(self._read, np.maximum(rows, 0))
        return np.where(rows < 0, -1, found)

    def _append_texts(self, table: CorrectedArrays, rows: Integers, progress: ProgressCallback) -> None:
        if not rows.size:
            return
        begin = 0
        try:
            with opened(table.job, table.timeline) as reopened:
                for batch in reopened.read():
                    end = begin + batch.unix_ns.size
                    here = rows[slice(*np.searchsorted(rows, [begin, end]))]
                    if not np.array_equal(batch.unix_ns[here - begin], table.unix_ns[here]):
                        raise UnusableFileError(table.job.path, "it was changed while it was read")
                    texts = reopened.texts(batch.rows, (here - begin).tolist())
                    for column, more in zip(self._texts, texts, strict=True):
                        column.append(more)
                    begin = end
                    progress(batch.size)
                    if begin > rows[-1]:
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
    return job.path.name.partition(".")[0]
