"""A table with topside's time in its first column; rows without an answer go to a list of their own."""

from __future__ import annotations

import csv
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from tidesync.figures import text_of
from tidesync.sessions.correction.csv.table import CsvTable
from tidesync.sessions.correction.driver import CorrectedTable, corrected, opened, scanned
from tidesync.sessions.correction.own_clock import TOPSIDE_CLOCK, is_topsides_own
from tidesync.sessions.correction.timeline import STATES
from tidesync.sessions.errors import UnusableFileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tidesync.sessions.correction.csv.layout import Layout
    from tidesync.sessions.correction.csv.time_first import TimeFirst
    from tidesync.sessions.correction.driver import ProgressCallback
    from tidesync.sessions.correction.table import Batch, Job
    from tidesync.sessions.correction.timeline import Corrections, Timeline
    from topside_agent.estimator.blocks import Integers

COLUMNS = ("file", "line", "timestamp", "reason")
MARKER, MALFORMED = "marker", "malformed"
_MODES = {b"SYNC_START", b"SYNC_STOP"}
"""Rows with this mode make the consumer's fusion take another offset than the metadata's."""


@dataclass(slots=True)
class CockpitTable:
    """What became of a table's rows."""

    counts: CorrectedTable
    markers: int = 0
    copied: bool = False
    """Whether it is a copy of a table that topside's own clock stamped."""

    @property
    def left_out(self) -> int:
        """Rows that are listed and not written."""
        return self.counts.rows - self.counts.corrected + self.markers

    def document(self) -> dict[str, Any]:
        """The counts as JSON."""
        found = self.counts.document()
        vehicle = None if self.counts.vehicle == TOPSIDE_CLOCK else self.counts.vehicle
        return found | {"vehicle": vehicle, "markers": self.markers, "copied": self.copied}


class Unanswered:
    """The list of rows that are left out."""

    def __init__(self, stream: TextIO) -> None:
        self._writer = csv.writer(stream, lineterminator="\n")
        self._writer.writerow(COLUMNS)
        self.rows = 0

    def add(self, file: str, rows: Iterable[tuple[int, str, str]]) -> None:
        """List rows by their lines, each with its line, its timestamp and the reason."""
        for row in sorted(rows):
            self.rows += 1
            self._writer.writerow([text_of(file), *row])


def write_table(
    job: Job,
    timeline: Timeline,
    output: Path,
    *,
    name: str,
    unanswered: Unanswered,
    progress: ProgressCallback,
) -> CockpitTable:
    """Write the job's table to `output`, as `name` in the list; SessionError as `driver.correct`."""
    try:
        with opened(job, timeline) as table:
            if not isinstance(table, CsvTable):
                raise UnusableFileError(job.path, "Cockpit reads tables of text only: it was left out")
            counts = CorrectedTable(job.path, output, job.vehicle, table.place, job.sensor, table.form)
            made = CockpitTable(counts)
            corrector = scanned(table, timeline, progress)
            writer = table.time_first()
            own = is_topsides_own(job) and writer.in_place
            output.parent.mkdir(parents=True, exist_ok=True)
            with output.open("wb") as stream:
                stream.write(writer.header())
                for batch in table.read():
                    found = corrected(batch, table, timeline, corrector)
                    counts.count(found, batch.malformed)
                    markers = _markers(table, batch, found)
                    made.markers += markers.size
                    written = np.setdiff1d(np.flatnonzero(found.answered), markers)
                    if not own:
                        rows = _left_out(batch, found, markers, writer)
                        unanswered.add(name, rows)
                    stream.write(writer.rows(batch.rows, written, _iso(found.topside_ns[written])))
                    progress(batch.size)
            if own:
                shutil.copyfile(job.path, output)
                made.copied, made.markers = True, 0
    except OSError as error:
        raise UnusableFileError(job.path, f"{error.strerror or error}; it was not copied") from error
    return made


def _left_out(
    batch: Batch, found: Corrections, markers: Integers, writer: TimeFirst
) -> Iterator[tuple[int, str, str]]:
    """Line, timestamp and reason of what is not written: rows without an answer, and markers."""
    layout: Layout = batch.rows
    without = np.flatnonzero(~found.answered & (found.state >= 0))
    rows = np.concatenate([without, markers])
    reasons = [*(STATES[state] for state in found.state[without].tolist()), *[MARKER] * markers.size]
    for row, line, reason in zip(rows.tolist(), writer.lines(layout, rows), reasons, strict=True):
        text = layout.data[int(layout.first[0][row]) : int(layout.last[-1][row])]
        yield line, text.decode("utf-8", "backslashreplace"), reason
    for place, value, _ in batch.malformed:
        yield place, value, MALFORMED


def _markers(table: CsvTable, batch: Batch, found: Corrections) -> Integers:
    """The answered rows that are sync markers."""
    none = np.zeros(0, dtype=np.int64)
    if "mode" not in table.columns or b"SYNC_ST" not in batch.rows.data:
        return none
    rows = np.flatnonzero(found.answered)
    modes = table.texts(batch.rows, rows.tolist())[list(table.columns).index("mode")]
    marked: Integers = rows[np.array([mode.strip() in _MODES for mode in modes], dtype=bool)]
    return marked


def _iso(instants_ns: Integers) -> list[bytes]:
    """ISO 8601 in UTC with microseconds, as the consumer's tables have it."""
    rounded = ((instants_ns + 500) // 1000).astype("datetime64[us]")
    return [f"{text}Z".encode() for text in np.datetime_as_string(rounded, unit="us").tolist()]
