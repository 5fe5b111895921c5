"""Corrects a table of any format: the passes over it, the counts of its rows, and its output file.

A format is a module that opens its files as a `table.Table`, and an entry of FORMATS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.files import replacing
from tidesync.sessions.correction.csv.table import open_csv
from tidesync.sessions.correction.order import RowCorrector
from tidesync.sessions.correction.parquet_table import open_parquet
from tidesync.sessions.correction.table import COLUMNS, NO_TIMESTAMP
from tidesync.sessions.correction.timeline import STATES
from tidesync.sessions.errors import UnusableFileError

if TYPE_CHECKING:
    from pathlib import Path

    from tidesync.sessions.correction.table import Job, Malformed, OpenTable, Table
    from tidesync.sessions.correction.timeline import Corrections, Timeline

FORMATS: Mapping[str, OpenTable] = {
    ".csv": open_csv,
    ".parquet": open_parquet,
    ".tsv": open_csv,
    ".txt": open_csv,
}
"""What opens the tables with a suffix."""

ProgressCallback = Callable[[int], None]
"""Called with the number of bytes read since the last call."""

_OUTPUT = ".topside"
_MOST_SHOWN = 5
_LONGEST_SHOWN = 80


@dataclass(slots=True)
class CorrectedTable:
    """The counts of a table's rows by their `time_state`, and of those whose timestamp cannot be read."""

    path: Path
    output: Path
    vehicle: str
    place: str
    """What `shown` counts: `line` or `row`."""
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATES, 0))
    malformed: int = 0
    shown: list[Malformed] = field(default_factory=list)
    """The first malformed rows."""
    max_error_ns: int = 0
    """The greatest that was written."""

    @property
    def corrected(self) -> int:
        """Rows with a topside instant."""
        return self.counts["ok"] + self.counts["holdover"]

    @property
    def rows(self) -> int:
        """All rows."""
        return sum(self.counts.values()) + self.malformed

    def count(self, corrections: Corrections, malformed: Sequence[Malformed]) -> None:
        """Count a batch of rows."""
        for state, number in zip(STATES, np.bincount(corrections.state, minlength=len(STATES)), strict=True):
            self.counts[state] += int(number)
        errors = corrections.max_error_ns[corrections.answered]
        self.max_error_ns = max(self.max_error_ns, int(errors.max(initial=0)))
        self.malformed += len(malformed)
        for each in malformed[: _MOST_SHOWN - len(self.shown)]:
            long = len(each.value) > _LONGEST_SHOWN
            self.shown.append(each._replace(value=each.value[: _LONGEST_SHOWN - 3] + "…") if long else each)

    def document(self) -> dict[str, Any]:
        """The counts as JSON; `max_error_ms` is null where no row was corrected."""
        return {
            "file": str(self.path),
            "output": str(self.output),
            "vehicle": self.vehicle,
            "rows": self.rows,
            **self.counts,
            "malformed": self.malformed,
            "malformed_rows": [
                {"line": each.place, "value": each.value, "reason": each.reason or NO_TIMESTAMP}
                for each in self.shown
            ],
            "max_error_ms": self.max_error_ns / 1e6 if self.corrected else None,
        }


def output_of(path: Path) -> Path:
    """`NAME.topside.csv` for `NAME.csv`."""
    return path.with_name(f"{path.stem}{_OUTPUT}{path.suffix}")


def is_output(path: Path) -> bool:
    """Whether `path` has the name of an output: never an input."""
    return path.stem.endswith(_OUTPUT)


def total_bytes(jobs: Iterable[Job], timelines: Mapping[str, Timeline]) -> int:
    """How many bytes will be read by the corrections of all jobs."""
    return sum(_size(job.path) * RowCorrector(timelines[job.vehicle]).passes for job in jobs)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def correct(job: Job, timeline: Timeline, progress: ProgressCallback) -> CorrectedTable:
    """Write `NAME.topside.csv` beside `job.path`; UnusableFileError, and nothing is written."""
    suffix = job.path.suffix.lower()
    if suffix not in FORMATS:
        known = ", ".join(FORMATS)
        raise UnusableFileError(job.path, f"no format is known for the suffix {suffix!r} (known: {known})")
    try:
        with FORMATS[suffix](job, timeline.middle_ns) as table:
            _refuse_output(job, table)
            result = CorrectedTable(job.path, output_of(job.path), job.vehicle, table.place)
            _correct(table, RowCorrector(timeline.coarse(table.resolution_ns)), result, progress)
    except OSError as error:
        raise UnusableFileError(job.path, f"{error.strerror or error}; its output was not written") from error
    return result


def _refuse_output(job: Job, table: Table) -> None:
    taken = [name for name in COLUMNS if name in table.columns]
    if taken:
        reason = f"there is a column {taken[0]} already: it has been corrected before"
        raise UnusableFileError(job.path, reason)


def _correct(
    table: Table, corrector: RowCorrector, result: CorrectedTable, progress: ProgressCallback
) -> None:
    if corrector.passes > 1:
        for batch in table.scan():
            corrector.note(batch.unix_ns[batch.readable])
            progress(batch.size)
    with replacing(result.output) as stream, table.output(stream) as write:
        for batch in table.read():
            corrections = corrector.correct(batch.unix_ns[batch.readable])
            result.count(corrections, batch.malformed)
            write(batch.rows, corrections.spread(batch.readable))
            progress(batch.size)
    if result.corrected:
        result.max_error_ns += table.step_ns
