"""Corrects a table of any format: the passes over it, the counts of its rows, and its output file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from runtime.files import replacing
from tidesync.sessions.correction.formats import open_table, output_of
from tidesync.sessions.correction.local_time import certain_rows, corrected_stamps, timeline_for
from tidesync.sessions.correction.order import RowCorrector
from tidesync.sessions.correction.own_clock import TOPSIDE_CLOCK
from tidesync.sessions.correction.table import COLUMNS
from tidesync.sessions.correction.timeline import STATES
from tidesync.sessions.correction.too_coarse import TooCoarse
from tidesync.sessions.errors import ForeignFileError, SessionError, UnusableFileError

if TYPE_CHECKING:
    from pathlib import Path

    from tidesync.sessions.correction.stamps.form import StampForm
    from tidesync.sessions.correction.table import Batch, Job, Malformed, Stamped, Table
    from tidesync.sessions.correction.timeline import Corrections, Timeline

ProgressCallback = Callable[[int], None]
"""Called with the number of bytes read since the last call."""
Confirm = Callable[[], None]
"""Called when all was read, before the outputs take their places; an exception leaves what was there."""

_ADDED = (COLUMNS, ("timestamp_topside", "time_max_error_ms", "time_state"))
"""The columns that this version adds, and those that earlier ones did."""
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
    sensor: str | None = None
    """Whose folder it was found in."""
    form: StampForm | None = None
    """How its timestamps are written."""
    columns: Sequence[str] = ()
    """Those that were corrected."""
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATES, 0))
    malformed: int = 0
    shown: list[Malformed] = field(default_factory=list)
    """The first malformed rows."""
    max_error_ns: int = 0
    """The greatest that was written."""
    stated: str = ""
    """What is stated of the clock that stamped it."""
    by_order: bool = False
    """Whether the order of rows decided which of several instants a repeated time is."""
    too_coarse: TooCoarse = field(default_factory=TooCoarse)
    """The rows that are `outside` for what their stamps resolve."""

    @property
    def of_what(self) -> str:
        """What is counted, one of them."""
        return "row"

    @property
    def remarks(self) -> Sequence[str]:
        """What a summary says besides."""
        stated = (self.stated,) if self.stated else ()
        coarse = (self.too_coarse.sentence(self.of_what),) if self.too_coarse.rows else ()
        return (*stated, *(self.form.described if self.form else ()), *coarse)

    @property
    def hint(self) -> str:
        """Why rows are outside, and what to state; empty: nothing is known."""
        if self.too_coarse.rows:
            return self.too_coarse.sentence(self.of_what)
        return self.form.hint if self.form else ""

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
        for place, state in enumerate(STATES):
            self.counts[state] += int((corrections.state == place).sum())
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
            "vehicle": None if self.vehicle == TOPSIDE_CLOCK else self.vehicle,
            "rows": self.rows,
            **self.counts,
            "malformed": self.malformed,
            "malformed_rows": [
                {"line": each.place, "value": each.value, "reason": each.reason} for each in self.shown
            ],
            **dict(self.form.summary if self.form else ()),
            "hint": self.hint or None,
            "instrument_clock": self.stated or None,
            "by_order": self.by_order,
            "max_error_ms": self.max_error_ns / 1e6 if self.corrected else None,
        }


def total_bytes(jobs: Iterable[Job], timelines: Mapping[str, Timeline]) -> int:
    """How many bytes will be read by the corrections of all jobs."""
    return sum(_size(job.path) * RowCorrector(timelines[job.vehicle]).passes for job in jobs)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


@contextmanager
def opened(job: Job, timeline: Timeline) -> Iterator[Table]:
    """The job's table; UnusableFileError also where it ceases to be readable."""
    with open_table(job, timeline.measured) as table:
        taken = [name for name in COLUMNS if name in table.columns]
        if taken:
            reason = f"there is a column {taken[0]} already: it has been corrected before"
            raise UnusableFileError(job.path, reason)
        yield table


def scanned(table: Stamped, timeline: Timeline, progress: ProgressCallback) -> RowCorrector:
    """What corrects the table's rows; after a first pass over them, where it takes one."""
    corrector = RowCorrector(timeline_for(timeline, table.form))
    if corrector.passes > 1:
        for batch in table.scan():
            corrector.note(certain_rows(batch, timeline, table.form)[1])
            progress(batch.size)
    return corrector


def corrected(batch: Batch, table: Stamped, timeline: Timeline, corrector: RowCorrector) -> Corrections:
    """The corrections of all rows of a batch."""
    return corrected_stamps(batch, table.form, timeline, corrector)


def unconfirmed() -> None:
    """See Confirm."""


def correct(
    job: Job,
    timeline: Timeline,
    progress: ProgressCallback,
    output: Path | None = None,
    *,
    confirm: Confirm = unconfirmed,
    dry: bool = False,
) -> CorrectedTable:
    """Write the corrected table to `output`, or beside its original; UnusableFileError, and none is written.

    An existing output is replaced only if it was written by this function. `dry`: nothing is written.
    """
    output = output or output_of(job.path)
    try:
        with opened(job, timeline) as table:
            _refuse_foreign(job, timeline, table, output)
            form = table.form
            result = CorrectedTable(job.path, output, job.vehicle, table.place, job.sensor, form, job.columns)
            result.stated = stated_of(job)
            if dry:
                return result
            corrector = scanned(table, timeline, progress)
            output.parent.mkdir(parents=True, exist_ok=True)
            with replacing(output) as stream, table.output(stream) as write:
                for batch in table.read():
                    corrections = corrected(batch, table, timeline, corrector)
                    result.count(corrections, batch.malformed)
                    result.too_coarse.count(batch, corrections, form, timeline.max_error_ns)
                    write(batch.rows, corrections)
                    progress(batch.size)
                confirm()
            result.by_order = corrector.decided
            if result.corrected:
                result.max_error_ns += table.step_ns
    except OSError as error:
        raise UnusableFileError(job.path, f"{error.strerror or error}; its output was not written") from error
    return result


def stated_of(job: Job) -> str:
    """What is stated of the clock that stamped a job's file."""
    return "" if job.clock is None else job.clock.described


def _refuse_foreign(job: Job, timeline: Timeline, table: Table, output: Path) -> None:
    """ForeignFileError where `output` is a file that was not written for such a table."""
    if output.is_symlink():
        raise ForeignFileError(output, "it is a link, which is not ours to replace: remove it")
    if not output.exists():
        return
    try:
        with open_table(replace(job, path=output), timeline.measured) as existing:
            ours = _ends_with_ours(list(existing.columns), len(table.columns))
    except (SessionError, OSError):
        ours = False
    if not ours:
        raise ForeignFileError(
            output, "it is there already, and was not written by tidesync correct: move it, or use --output"
        )


def _ends_with_ours(columns: Sequence[str], before: int) -> bool:
    """Whether the last columns are ours; those without names count."""
    if all(name.isdecimal() for name in columns):
        return len(columns) - before in {len(added) for added in _ADDED}
    return any(tuple(columns[-len(added) :]) == added for added in _ADDED)
