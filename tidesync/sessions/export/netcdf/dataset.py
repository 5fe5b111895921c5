"""A session as netCDF: a file for each track, and one or two for each table, in a folder of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from tidesync.sessions.archive.one_file import FileReport, corrected_report, unknown_report
from tidesync.sessions.archive.results import CorrectionResults
from tidesync.sessions.correction.formats import is_netcdf
from tidesync.sessions.correction.outputs import outputs_of
from tidesync.sessions.correction.recorded_settings import RecordedRun
from tidesync.sessions.document import NotMetadataError
from tidesync.sessions.errors import NoTimestampError, UnusableFileError
from tidesync.sessions.export.netcdf.attributes import Dataset, midnight
from tidesync.sessions.export.netcdf.file import is_ours, write
from tidesync.sessions.export.netcdf.results import ExportResults
from tidesync.sessions.export.netcdf.rows import Work, read_rows
from tidesync.sessions.export.netcdf.settings import STATED, attributes_of, place_of, quantities_of
from tidesync.sessions.export.netcdf.tables import contents_of
from tidesync.sessions.export.netcdf.tracks import track_content
from tidesync.sessions.isolation import complaint_of
from topside_agent.estimator import Rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from tidesync.sessions.correction.driver import CorrectedTable, ProgressCallback
    from tidesync.sessions.correction.prepared import Prepared
    from tidesync.sessions.correction.session import Options
    from tidesync.sessions.correction.table import Job
    from tidesync.sessions.export.netcdf.file import Content
    from tidesync.sessions.export.netcdf.settings import ExportSettings, Place, Quantity
    from tidesync.sessions.folder import SessionFolder

FOLDER = "netcdf"
"""In `time_sync/`, where no other folder is given."""
_SUFFIX, _UNANSWERED = ".nc", ".unanswered.nc"


class Stated(NamedTuple):
    """What is asked for."""

    options: Options
    place: Place | None
    attributes: Mapping[str, str]
    quantities: Mapping[str, Quantity]
    made_at: datetime

    @classmethod
    def of(cls, options: Options, settings: ExportSettings, made_at: datetime) -> Stated:
        """SettingsError where it cannot be."""
        described = place_of(settings), attributes_of(settings), quantities_of(settings)
        return cls(options, *described, made_at)


class NetcdfExport:
    """Writes a session's files into `output`."""

    def __init__(self, folder: SessionFolder, prepared: Prepared, stated: Stated, output: Path) -> None:
        """SettingsError where two tables would have the same file."""
        self._session, self._prepared, self._stated = folder.path.resolve(), prepared, stated
        self._dataset = _dataset(folder, prepared, stated)
        self._outputs = outputs_of([job.path for job in prepared.jobs], folder.path, output, _output_of)
        self._columns: set[str] = set()
        self._named = frozenset(path.resolve() for path in stated.options.files)
        self._folder, self._failed = folder.path, [*prepared.faults, *prepared.unmeasured]
        self._reports: list[FileReport] = []
        self.results = ExportResults(self._tables(output), output, has_place=stated.place is not None)
        self.results.not_stated = [name for name in STATED if name not in stated.attributes]

    def write(self, progress: ProgressCallback) -> ExportResults:
        """Write all files; what cannot be is in the results. OSError where the folder cannot be made."""
        self.results.output.mkdir(parents=True, exist_ok=True)
        for stream in self._prepared.measured:
            try:
                self._write_track(*stream)
            except Exception as error:  # noqa: BLE001 - the other files are written
                self._failed.append(complaint_of(f"the track of {stream[0]}", error))
        for job in self._prepared.jobs:
            named = job.path.resolve() in self._named
            report = unknown_report(job, self._outputs[job.path], named=named)
            try:
                made = self._write_table(job, progress)
                report = replace(corrected_report(report, made), output=made.output)
            except NoTimestampError as error:
                report = replace(report, action="failed" if named else "left", reason=str(error))
            except Exception as error:  # noqa: BLE001 - the other tables are written
                report = replace(report, reason=complaint_of(str(job.path), error))
            self._reports.append(report)
        self.results.tables = self._tables(self.results.output)
        self.results.unused = sorted({*self._stated.quantities} - self._columns)
        return self.results

    def _tables(self, output: Path) -> CorrectionResults:
        prepared = self._prepared
        return CorrectionResults(
            self._folder,
            output,
            prepared.skipped,
            files=self._reports,
            left=prepared.left,
            failed=self._failed,
            unused=prepared.unused,
        )

    def _write_track(self, vehicle: str, topside: str) -> None:
        path = self.results.output / f"track.{vehicle}.{topside}{_SUFFIX}"
        rows = Rows.of(self._prepared.measured[vehicle, topside].track.rows)
        content = track_content(rows, self._dataset, path.name, self._settings())
        self._replace(path, content)
        self.results.tracks[path] = len(rows)

    def _write_table(self, job: Job, progress: ProgressCallback) -> CorrectedTable:
        if is_netcdf(job.path):
            raise NoTimestampError(job.path, "it is netCDF already, which `tidesync correct` corrects")
        path = self._outputs[job.path]
        unanswered = path.with_name(path.name.removesuffix(_SUFFIX) + _UNANSWERED)
        for each in (path, unanswered):
            _refuse_foreign(each)
        path.parent.mkdir(parents=True, exist_ok=True)
        timeline = self._prepared.timeline_of(job)
        rows = read_rows(Work(job, timeline, path, self._dataset.epoch_ns, progress))
        name = path.relative_to(self.results.output).as_posix()
        contents = contents_of(rows, self._dataset, name, self._settings(job), self._stated.quantities)
        for place, content in ((path, contents.known), (unanswered, contents.unanswered)):
            self._replace(place, content)
        if contents.known is None and contents.unanswered is None:
            raise NoTimestampError(job.path, "there is no row")
        if contents.known is None:
            rows.counts.output = unanswered
        elif contents.unanswered:
            self.results.unanswered[unanswered] = contents.unanswered.rows
        self._columns |= contents.described
        return rows.counts

    def _replace(self, path: Path, content: Content | None) -> None:
        """Write the file, or remove the one of an earlier run."""
        _refuse_foreign(path)
        try:
            if content is None:
                path.unlink(missing_ok=True)
                return
            write(path, content)
        except OSError as error:
            raise UnusableFileError(path, f"{error.strerror or error}; it was not written") from error
        if content.dimensions[-1] == "obs":
            self.results.repeated.append(path)

    def _settings(self, *jobs: Job) -> str:
        """The settings of a correction as JSON, without paths out of the session."""
        run = RecordedRun.of(self._stated.options, [*jobs], self._place_of)
        return run.model_dump_json(exclude_defaults=True)

    def _place_of(self, path: Path) -> str:
        placed = path.resolve()
        inside = placed.is_relative_to(self._session)
        return placed.relative_to(self._session).as_posix() if inside else placed.name


def _output_of(path: Path) -> Path:
    return path.with_name(path.name + _SUFFIX)


def _dataset(folder: SessionFolder, prepared: Prepared, stated: Stated) -> Dataset:
    try:
        mission = (folder.read_metadata() or {}).get("mission")
    except (OSError, NotMetadataError):
        mission = None
    first_ns = [
        int(Rows.of(each.track.rows).column("topside_unix_ns").min()) for each in prepared.measured.values()
    ]
    return Dataset(
        session=folder.path.resolve().name,
        mission=mission if isinstance(mission, str) else None,
        made_at=stated.made_at,
        epoch_ns=midnight(min(first_ns)),
        place=stated.place,
        stated=stated.attributes,
    )


def _refuse_foreign(path: Path) -> None:
    """UnusableFileError where `path` is a file that no export wrote."""
    if path.is_symlink():
        raise UnusableFileError(path, "it is a link, which is not ours to replace: remove it")
    if path.exists() and not is_ours(path):
        reason = "it is there already, and was not written by tidesync export: move it, or use --output"
        raise UnusableFileError(path, reason)
