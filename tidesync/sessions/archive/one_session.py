"""Corrects one session: what was done before is kept, the rest is divided among workers."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tidesync.errors import SettingsError
from tidesync.sessions.archive.evidence import evidence_of
from tidesync.sessions.archive.one_file import FileTask, correct_file, inputs_of, report_of
from tidesync.sessions.archive.record import CorrectionRecord, basis_of, session_of
from tidesync.sessions.archive.record_lines import Beginning
from tidesync.sessions.archive.results import CorrectionResults
from tidesync.sessions.archive.workers import Lost
from tidesync.sessions.correction.driver import total_bytes
from tidesync.sessions.correction.outputs import outputs_of, shared_of
from tidesync.sessions.correction.prepared import prepare, uncorrected_metadata
from tidesync.sessions.correction.record import add_run, corrected_in, forget_lost
from tidesync.sessions.correction.session import plan
from tidesync.sessions.correction.walk import is_session
from tidesync.sessions.errors import SessionError, UnusableFileError
from tidesync.sessions.folder import SessionFolder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tidesync.sessions.archive.one_file import FileReport
    from tidesync.sessions.archive.workers import Workers
    from tidesync.sessions.correction.prepared import Prepared
    from tidesync.sessions.correction.session import Options, Plan
    from tidesync.sessions.correction.table import Job


class Meter(Protocol):
    """Shows how far the work is."""

    length: int
    """How much there is to do, set once it is known."""

    def update(self, more: int) -> None:
        """So much more is done."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a command is asked for."""

    options: Options
    output: Path | None = None
    """The folder that takes all outputs, laid out as the session; None: the session's."""
    dry: bool = False
    """Whether all is decided, and nothing written."""
    again: bool = False
    """Whether also what was done before is done."""


def correct_session(session: Path, request: Request, workers: Workers, meter: Meter) -> CorrectionResults:
    """Correct all that can be in the folder `session`; of a file's error only that file is concerned.

    UnknownVehicleError where it is not known whose clock stamped a table, SessionError or OSError where
    nothing was measured or a file of the session's own cannot be read or written.
    """
    made = _Session(session, request)
    if kept := made.kept():
        return kept
    return made.corrected(workers, meter)


class _Session:
    def __init__(self, path: Path, request: Request) -> None:
        self._folder, self._target = SessionFolder(path), SessionFolder(request.output or path)
        self._request, self._options = request, request.options
        self._forgotten: list[str] = []
        self._named = frozenset(each.resolve() for each in self._options.files)
        if request.output is not None:
            _check_free(request.output, path)
        if not self._target.time_sync_path.resolve().is_relative_to(self._target.path.resolve()):
            reason = "it is a link out of the session; --output DIR writes elsewhere"
            raise UnusableFileError(self._target.time_sync_path, reason)
        self._record = CorrectionRecord.of(self._target, basis_of(self._folder, self._options))

    def kept(self) -> CorrectionResults | None:
        """What an earlier run has done; None where anything is to be done."""
        known = self._record.beginning
        offsets = self._target.offsets_path
        if known is None or self._request.again or evidence_of([offsets])[offsets] != known.offsets:
            return None
        metadata = uncorrected_metadata(self._folder)
        planned = plan(self._folder.path, metadata, self._options, known.vehicles, nested=True)
        timed = [job for job in planned.jobs if job.vehicle in known.timed]
        untimed = [job for job in planned.jobs if job.vehicle in known.untimed]
        if len(timed) + len(untimed) < len(planned.jobs) or {*known.untimed} - {
            job.vehicle for job in untimed
        }:
            return None
        shared = self._shared(planned.jobs)
        reports = [_refused(task, shared) or self._record.kept(task) for task in self._tasks(timed)]
        done = [each for each in reports if each is not None]
        if len(done) < len(reports):
            return None
        failed = [*planned.unreadable, *known.failed, *self._recorded(planned.jobs, done)]
        return self._results(planned, [*done, *self._untimed(untimed)], failed)

    def corrected(self, workers: Workers, meter: Meter) -> CorrectionResults:
        """What this run does, and what an earlier one has done."""
        prepared = prepare(self._folder, self._options, nested=True)
        tasks = self._tasks(prepared.jobs)
        if not self._request.dry:
            self._begin(prepared)
        shared = self._shared([*prepared.jobs, *prepared.untimed])
        reports: dict[int, FileReport] = {}
        for number, task in enumerate(tasks):
            known = _refused(task, shared) or (None if self._request.again else self._record.kept(task))
            if known is not None:
                reports[number] = known
        wanted = [number for number in range(len(tasks)) if number not in reports]
        wanted.sort(key=lambda number: -tasks[number].size)
        meter.length = total_bytes([tasks[number].job for number in wanted], prepared.timelines)
        asked = [tasks[number] for number in wanted]
        with closing(workers.each(correct_file, prepared.timelines, asked, meter.update)) as results:
            for place, result in results:
                number, task = wanted[place], asked[place]
                reports[number] = (
                    report_of(task, "failed", "lost", f"{task.job.path}: {result.reason}")
                    if isinstance(result, Lost)
                    else result
                )
                if not self._request.dry:
                    self._record.add(task, reports[number])
        done = [reports[number] for number in range(len(tasks))]
        failed = [*prepared.faults, *self._recorded(prepared.jobs, done)]
        return self._results(prepared, [*done, *self._untimed(prepared.untimed)], failed)

    def _recorded(self, jobs: Sequence[Job], done: Sequence[FileReport]) -> list[str]:
        """Record which settings the files were corrected with, and forget lost files; why that failed."""
        paths = {each.path for each in done if each.action in {"corrected", "unchanged"}}
        corrected = [] if self._request.dry else [job for job in jobs if job.path in paths]
        try:
            add_run(self._target, self._folder.path, self._options, corrected)
            if not self._request.dry and not self._named:
                self._forgotten = forget_lost(self._target, self._folder.path)
        except SessionError as error:
            return [str(error)]
        return []

    def _begin(self, prepared: Prepared) -> None:
        """Write the track, and note what was known."""
        self._target.write_offsets((stream, each.track.rows) for stream, each in prepared.measured.items())
        offsets = self._target.offsets_path
        beginning = Beginning(
            vehicles=tuple(vehicle for vehicle, _ in prepared.measured),
            timed=tuple(prepared.timelines),
            untimed=tuple(dict.fromkeys(job.vehicle for job in prepared.untimed)),
            failed=tuple(prepared.failed),
            offsets=evidence_of([offsets])[offsets],
            of=str(self._folder.path.resolve()),
        )
        self._record.begin(beginning)

    def _tasks(self, jobs: Sequence[Job]) -> list[FileTask]:
        outputs = self._outputs(jobs)
        name = self._folder.path.resolve().name
        return [
            FileTask(
                job,
                outputs[job.path],
                name,
                evidence_of(inputs_of(job)),
                named=job.path.resolve() in self._named,
                dry=self._request.dry,
            )
            for job in jobs
        ]

    def _outputs(self, jobs: Sequence[Job]) -> dict[Path, Path]:
        return outputs_of([job.path for job in jobs], self._folder.path, self._request.output)

    def _shared(self, jobs: Sequence[Job]) -> dict[Path, str]:
        """Which files would be written over another one's output; a sentence for each."""
        outputs, session = self._outputs(jobs), self._folder.path
        taken = {path.resolve() for path in outputs}
        earlier = [path for path in corrected_in(self._target, session) if path.resolve() not in taken]
        others = [outputs_of([path], session, self._request.output) for path in earlier]
        found = shared_of(outputs | {path: each for of_one in others for path, each in of_one.items()})
        return {path: found[path] for path in outputs if path in found}

    def _untimed(self, jobs: Sequence[Job]) -> list[FileReport]:
        """Files of vehicles without a track; the vehicle's own sentence says why."""
        return [
            report_of(task, "failed", "no_track", f"{task.job.path}: {task.job.vehicle} has no track")
            for task in self._tasks(jobs)
        ]

    def _results(
        self, planned: Plan | Prepared, files: Sequence[FileReport], failed: Sequence[str]
    ) -> CorrectionResults:
        return CorrectionResults(
            self._folder.path,
            self._target.offsets_path,
            planned.skipped,
            files=files,
            left=planned.left,
            failed=failed,
            unused=planned.unused,
            forgotten=self._forgotten,
            dry=self._request.dry,
        )


def _check_free(output: Path, session: Path) -> None:
    """SettingsError where `output` is another session's folder, or has the outputs of another one."""
    other = session_of(SessionFolder(output))
    if is_session(output) and output.resolve() != session.resolve():
        raise SettingsError(f"--output {output}: it is a session's folder itself: name another one")
    if other is not None and other != session.resolve() and is_session(other):
        raise SettingsError(
            f"--output {output}: it has the corrected files of another session, {other}: name another folder"
        )


def _refused(task: FileTask, shared: Mapping[Path, str]) -> FileReport | None:
    """The report on a file whose output another one shares; None: none does."""
    reason = shared.get(task.job.path)
    return None if reason is None else report_of(task, "failed", "same_output", reason)
