"""Corrects one file: the same in this process, in another one and on another computer.

Whatever happens to it is its own affair, and is reported.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tidesync.sessions.archive.evidence import Seen, evidence_of, is_settled
from tidesync.sessions.correction.formats import companions_of, format_of
from tidesync.sessions.correction.one_job import correct_job
from tidesync.sessions.errors import ForeignFileError, GrowingFileError, NoTimestampError, UnusableFileError
from tidesync.sessions.isolation import complaint_of
from tidesync.sessions.messages.read_only import logs_of
from tidesync.sessions.messages.since_file import divided, since_file

if TYPE_CHECKING:
    from tidesync.sessions.correction.driver import CorrectedTable, ProgressCallback
    from tidesync.sessions.correction.table import Job
    from tidesync.sessions.correction.timeline import Timeline

Action = Literal["corrected", "unchanged", "planned", "left", "failed"]
"""`unchanged`: it was corrected before, from what is there and as it would be now; `planned`: it would be."""

_GROWS = "it changed while it was read: is it still being recorded? It is left as it is"
_OF_ERRORS: Mapping[type[Exception], str] = {ForeignFileError: "foreign", UnusableFileError: "unusable"}


@dataclass(frozen=True, slots=True)
class FileTask:
    """A file to correct."""

    job: Job
    output: Path
    session: str
    """The session's name, for files of messages."""
    seen: Seen
    """What it is made of, as it was when that was decided."""
    named: bool = False
    """Whether it was asked for by name."""
    dry: bool = False
    """Whether nothing is written."""

    @property
    def size(self) -> int:
        """Bytes to read, at least."""
        return self.seen[self.job.path].size or 0


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of a file; plain values, for other processes and for the record."""

    path: Path
    output: Path
    vehicle: str
    sensor: str | None
    action: Action
    why: str = ""
    """For programs, where it was left or failed."""
    reason: str = ""
    """The same as a sentence, which names the file."""
    format: str = ""
    columns: tuple[str, ...] = ()
    document: Mapping[str, Any] = field(default_factory=dict)
    """The counts of a corrected file, as JSON has them."""
    of_what: str = "row"
    place: str = "line"
    remarks: tuple[str, ...] = ()
    written: Seen = field(default_factory=dict)
    """Its outputs."""
    named: bool = False
    """Whether it was asked for by name."""
    proven: bool = False
    """Whether a later change of what it was made of would show."""

    @property
    def answered(self) -> int:
        """Rows with a topside instant."""
        return int(self.document.get("ok") or 0) + int(self.document.get("holdover") or 0)


def inputs_of(job: Job) -> list[Path]:
    """The files that its output is made of: itself, what is read with it, and what its settings name."""
    since = divided(job.stamps.since).path
    stated = [] if since is None else [since_file(job.path, since)]
    known = [path for path in stated if path.is_file()]
    return [job.path, *companions_of(job.path), *known, *logs_of(job.path)]


def report_of(task: FileTask, action: Action, why: str = "", reason: str = "") -> FileReport:
    """A report on a file of which nothing else is known; the sentence `reason` names it."""
    unknown = unknown_report(task.job, task.output, named=task.named)
    return replace(unknown, action=action, why=why, reason=reason)


def unknown_report(job: Job, output: Path, *, named: bool) -> FileReport:
    """The same, where it is not known what became of it either."""
    whose = job.path, output, job.vehicle, job.sensor
    return FileReport(*whose, "failed", format=format_of(job.path), named=named)


def correct_file(task: FileTask, timelines: Mapping[str, Timeline], progress: ProgressCallback) -> FileReport:
    """Correct it; errors are in the report, but for wrong usage (TidesyncError).

    `timelines` are those of the session's vehicles.
    """
    job = task.job
    proven = is_settled(task.seen, time.time_ns())
    report = replace(report_of(task, "failed"), proven=proven)

    def confirm() -> None:
        if evidence_of(task.seen) != task.seen:
            raise GrowingFileError(job.path, _GROWS)

    try:
        confirm()
        made = correct_job(job, timelines, task.output, task.session, progress, confirm=confirm, dry=task.dry)
    except (NoTimestampError, GrowingFileError) as error:
        why = "growing" if isinstance(error, GrowingFileError) else "no_timestamp"
        action: Action = "failed" if task.named else "left"
        return replace(report, action=action, why=why, reason=str(error) + _earlier(task))
    except Exception as error:  # noqa: BLE001 - the other files are corrected
        why = _OF_ERRORS.get(type(error), "error")
        earlier = "" if isinstance(error, ForeignFileError) else _earlier(task)
        return replace(report, why=why, reason=complaint_of(str(job.path), error) + earlier)
    if task.dry:
        columns, remarks = tuple(made.columns), tuple(made.remarks)
        return replace(report, action="planned", columns=columns, document=_planned(made), remarks=remarks)
    return corrected_report(report, made)


def _earlier(task: FileTask) -> str:
    """What else there is to say of a file that is not corrected now, but was."""
    return f"; {task.output.name} is of an earlier correction" if task.output.is_file() else ""


def corrected_report(report: FileReport, made: CorrectedTable) -> FileReport:
    """The report on a file of which this was made."""
    document = made.document()
    outputs = [made.output, *(Path(each) for each in document.get("also_written", ()))]
    return replace(
        report,
        action="corrected",
        columns=tuple(made.columns),
        document=document,
        of_what=made.of_what,
        place=made.place,
        remarks=tuple(made.remarks),
        written=evidence_of(outputs),
    )


def _planned(made: CorrectedTable) -> dict[str, Any]:
    """What is known of a file that was not corrected; its counts are null."""
    unknown = {"rows", "malformed", "max_error_ms", "by_order", "missing", *made.counts}
    return {
        name: None if name in unknown or name == "also_written" else value
        for name, value in made.document().items()
    }
