"""`tidesync correct`: correct a session's own timestamps, in files beside the originals."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from schemas.metadata import CONSUMER_TOLERANCE_MS
from schemas.names import vehicle_name
from tidesync.errors import NotSoError, SettingsError
from tidesync.sessions.correction.clock_limits import limits_of
from tidesync.sessions.correction.driver import correct, total_bytes
from tidesync.sessions.correction.histories import read_histories
from tidesync.sessions.correction.session import Options, measured_of, plan, read_metadata, timeline_of
from tidesync.sessions.correction.stamps import UNITS
from tidesync.sessions.errors import NoTimestampError, SessionError, UnknownVehicleError
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.names import sensor_vehicles
from topside_agent.estimator import EstimatorSettings

if TYPE_CHECKING:
    from tidesync.sessions.correction.driver import CorrectedTable, ProgressCallback
    from tidesync.sessions.correction.table import Job
    from tidesync.sessions.correction.timeline import Timeline

_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("correct")
@click.argument("session", type=_FOLDER)
@click.option(
    "--sensor",
    "sensors",
    multiple=True,
    metavar="SENSOR=VEHICLE",
    help="Which vehicle's clock stamped a sensor, as inWater=rov1 (repeatable)  [default: the metadata's]",
)
@click.option(
    "--csv", "files", multiple=True, type=_FILE, metavar="FILE", help="A further CSV or Parquet table."
)
@click.option("--vehicle", metavar="VEHICLE", help="Whose clock stamped the tables given with --csv.")
@click.option("--column", default="timestamp", show_default=True, help="The column to correct.")
@click.option("--unit", type=click.Choice(UNITS), help="How it is written  [default: recognised]")
@click.option(
    "--max-error-ms",
    default=CONSUMER_TOLERANCE_MS,
    show_default=True,
    type=click.FloatRange(0, 1e6, min_open=True),
    help="Rows that may be wrong by more are marked `outside`.",
)
@click.option(
    "--slew-limit-ppm",
    type=click.FloatRange(0, 100_000),
    help="How fast the wall clocks may have been slewed between exchanges; 0: both ran free."
    "  [default: 500 for each that the log shows being slewed]",
)
@click.option(
    "--rate-limit-ppm",
    type=click.FloatRange(0, 100_000, min_open=True),
    default=EstimatorSettings().rate_limit_ppm,
    show_default=True,
    help="Promise that the RAW clocks run no faster apart: narrows the first seconds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    *,
    session: Path,
    sensors: Sequence[str],
    files: Sequence[Path],
    vehicle: str | None,
    column: str,
    unit: str | None,
    max_error_ms: float,
    slew_limit_ppm: float | None,
    rate_limit_ppm: float,
    as_json: bool,
) -> int:
    """Correct the timestamps of SESSION's tables from the vehicle's clock to topside's.

    Writes NAME.topside.csv beside each NAME.csv, with the columns timestamp_topside, time_max_error_ms and
    time_state, and time_sync/offsets.csv. Originals are never altered.
    """
    if not session.is_dir():
        raise SettingsError(f"SESSION: there is no folder {session}")
    folder, settings = SessionFolder(session), EstimatorSettings(rate_limit_ppm=rate_limit_ppm)
    metadata = read_metadata(folder)
    owner = None if vehicle is None else vehicle_name(vehicle)
    options = Options(sensor_vehicles(sensors), files, owner, column, unit)
    try:
        measured = folder.measure(settings)
        planned = plan(session, metadata, options, [name for name, _ in measured])
        folder.write_offsets({stream: each.track.rows for stream, each in measured.items()})
        results = CorrectionResults(session, folder.offsets_path, planned.skipped)
    except UnknownVehicleError as error:
        raise SettingsError(str(error)) from error
    except (SessionError, OSError) as error:
        raise NotSoError(str(error)) from error
    timelines = {}
    for name in dict.fromkeys(job.vehicle for job in planned.jobs):
        try:
            each = measured_of(measured, name, metadata)
            limits = limits_of(
                settings,
                each.exchanges,
                slew_ppm=slew_limit_ppm,
                max_error_ms=max_error_ms,
                rate_ppm=each.track.rate_ppm,
            )
            histories = read_histories(folder, name, each.topside)
            timelines[name] = timeline_of(each, limits, histories, settings)
        except (SessionError, OSError) as error:
            results.failed.append(str(error))
    _correct([job for job in planned.jobs if job.vehicle in timelines], timelines, results, named=files)
    results.show(as_json=as_json)
    return results.exit_code()


def _correct(
    jobs: Sequence[Job],
    timelines: Mapping[str, Timeline],
    results: CorrectionResults,
    *,
    named: Sequence[Path],
) -> None:
    """Correct every table, with a progress bar in a terminal."""
    with _progress(total_bytes(jobs, timelines)) as progress:
        for job in jobs:
            try:
                results.tables.append(correct(job, timelines[job.vehicle], progress))
            except NoTimestampError as error:
                (results.failed if job.path in named else results.left).append(str(error))
            except SessionError as error:
                results.failed.append(str(error))


@contextmanager
def _progress(length: int) -> Iterator[ProgressCallback]:
    if not sys.stderr.isatty():
        yield lambda _more: None
        return
    with click.progressbar(length=max(length, 1), label="Correcting", file=sys.stderr) as bar:
        yield bar.update


@dataclass
class CorrectionResults:
    """What was corrected and what was not, for people and for programs."""

    session: Path
    offsets: Path
    skipped: Mapping[str, str]
    tables: list[CorrectedTable] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Tables in sensors' folders that have no timestamp column."""
    failed: list[str] = field(default_factory=list)

    def exit_code(self) -> int:
        """0; NotSoError where a table failed or no row was corrected."""
        if self.failed:
            raise NotSoError("; ".join(self.failed))
        if not self.tables:
            raise NotSoError(
                f"{self.session}: there is no table to correct; those in the sensors' folders "
                "(in-water_…/, surface_…/) are found, others are named with --csv"
            )
        if not any(table.corrected for table in self.tables):
            malformed = sum(table.malformed for table in self.tables)
            why = f"{malformed} timestamps could not be read" if malformed else "none was taken in time"
            raise NotSoError(f"no row could be corrected while the clocks were measured: {why}")
        return 0

    def show(self, *, as_json: bool) -> None:
        """Print one JSON document, or a line for each table."""
        if as_json:
            click.echo(json.dumps(self.document()))
            return
        for table in self.tables:
            self._show(table)
        for sensor, reason in self.skipped.items():
            click.echo(f"{sensor}: left as it is: {reason}")
        for line in self.left:
            click.echo(f"{line}; left as it is")

    def document(self) -> dict[str, Any]:
        """All results; keys are those of the tables' columns where they mean the same."""
        return {
            "session": str(self.session),
            "offsets": str(self.offsets),
            "files": [table.document() for table in self.tables],
            "skipped": [{"sensor": sensor, "reason": reason} for sensor, reason in self.skipped.items()],
            "left": self.left,
            "failed": self.failed,
        }

    def _show(self, table: CorrectedTable) -> None:
        worst = f"; max error {ceil(table.max_error_ns / 1e3) / 1e3} ms" if table.corrected else ""
        counts = ", ".join(f"{number} {state}" for state, number in table.counts.items() if number)
        malformed = f", {table.malformed} malformed" if table.malformed else ""
        click.echo(
            f"{_short(table.output, self.session)}: {table.rows} rows of {table.vehicle}:"
            f" {counts or '0 ok'}{malformed}{worst}"
        )
        for place, value in table.shown:
            row = f"{table.path}, {table.place} {place}"
            click.echo(f"{row}: {value!r} is no timestamp; kept without a correction", err=True)


def _short(path: Path, session: Path) -> Path:
    return path.relative_to(session) if path.is_relative_to(session) else path
