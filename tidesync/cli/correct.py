"""`tidesync correct`: put a session's own timestamps right, in files beside the originals."""

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

from schemas.names import vehicle_name
from tidesync.errors import NotSoError, SettingsError
from tidesync.sessions.correction import session as sessions
from tidesync.sessions.correction.limits import MAX_ERROR_MS, limits_of
from tidesync.sessions.correction.plan import Asked, plan
from tidesync.sessions.correction.stamps import UNITS
from tidesync.sessions.errors import NoTimestampError, SessionError, UnknownVehicleError
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.names import sensor_vehicles
from topside_agent.estimator import EstimatorSettings

if TYPE_CHECKING:
    from tidesync.sessions.correction.outcome import Outcome
    from tidesync.sessions.correction.table import Job, Progress
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
    default=MAX_ERROR_MS,
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
    as_json: bool,
) -> int:
    """Correct the timestamps of SESSION's tables from the vehicle's clock to topside's.

    Writes NAME.topside.csv beside each NAME.csv, with the columns timestamp_topside, time_max_error_ms and
    time_state, and time_sync/offsets.csv. Originals are never altered.
    """
    if not session.is_dir():
        raise SettingsError(f"SESSION: there is no folder {session}")
    known = sessions.known_of(session)
    asked = Asked(
        sensor_vehicles(sensors), files, None if vehicle is None else vehicle_name(vehicle), column, unit
    )
    settings = EstimatorSettings()
    try:
        folder = SessionFolder(session)
        measured = folder.measure(settings)
        todo = plan(session, known, asked, [name for name, _ in measured])
        folder.write_offsets({stream: each.track.rows for stream, each in measured.items()})
        report = Report(session, folder.offsets_path, todo.skipped)
    except UnknownVehicleError as error:
        raise SettingsError(str(error)) from error
    except (SessionError, OSError) as error:
        raise NotSoError(str(error)) from error
    timelines = {}
    for name in dict.fromkeys(job.vehicle for job in todo.jobs):
        try:
            each = sessions.measured_of(measured, name, known)
            limits = limits_of(settings, each.exchanges, slew_ppm=slew_limit_ppm, max_error_ms=max_error_ms)
            timelines[name] = sessions.timeline_of(each, limits)
        except SessionError as error:
            report.failed.append(str(error))
    _correct([job for job in todo.jobs if job.vehicle in timelines], timelines, report, given=files)
    report.tell(as_json=as_json)
    return report.verdict()


def _correct(
    jobs: Sequence[Job], timelines: Mapping[str, Timeline], report: Report, *, given: Sequence[Path]
) -> None:
    """Correct every table, with a bar where a person watches."""
    with _progress(sessions.total_bytes(jobs, timelines)) as progress:
        for job in jobs:
            try:
                report.outcomes.append(sessions.correct(job, timelines[job.vehicle], progress))
            except NoTimestampError as error:
                (report.failed if job.path in given else report.left).append(str(error))
            except SessionError as error:
                report.failed.append(str(error))


@contextmanager
def _progress(length: int) -> Iterator[Progress]:
    if not sys.stderr.isatty():
        yield lambda _more: None
        return
    with click.progressbar(length=max(length, 1), label="Correcting", file=sys.stderr) as bar:
        yield bar.update


@dataclass
class Report:
    """What was done, for people and for programs."""

    session: Path
    offsets: Path
    skipped: Mapping[str, str]
    outcomes: list[Outcome] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Tables in sensors' folders that have no timestamp column."""
    failed: list[str] = field(default_factory=list)

    def verdict(self) -> int:
        """The exit code; NotSoError says what went wrong."""
        if self.failed:
            raise NotSoError("; ".join(self.failed))
        if not self.outcomes:
            raise NotSoError(
                f"{self.session}: there is no table to correct; those in the sensors' folders "
                "(in-water_…/, surface_…/) are found, others are named with --csv"
            )
        if not any(outcome.corrected for outcome in self.outcomes):
            malformed = sum(outcome.malformed for outcome in self.outcomes)
            why = f"{malformed} timestamps could not be read" if malformed else "none was taken in time"
            raise NotSoError(f"no row could be corrected while the clocks were measured: {why}")
        return 0

    def tell(self, *, as_json: bool) -> None:
        """Print one JSON document, or a line for each table."""
        if as_json:
            click.echo(json.dumps(self.document()))
            return
        for outcome in self.outcomes:
            self._tell(outcome)
        for sensor, reason in self.skipped.items():
            click.echo(f"{sensor}: left as it is: {reason}")
        for line in self.left:
            click.echo(f"{line}; left as it is")

    def document(self) -> dict[str, Any]:
        """Everything, with the keys of the tables' own columns where they mean the same."""
        return {
            "session": str(self.session),
            "offsets": str(self.offsets),
            "files": [outcome.document() for outcome in self.outcomes],
            "skipped": [{"sensor": sensor, "reason": reason} for sensor, reason in self.skipped.items()],
            "left": self.left,
            "failed": self.failed,
        }

    def _tell(self, outcome: Outcome) -> None:
        worst = f"; max error {ceil(outcome.max_error_ns / 1e3) / 1e3} ms" if outcome.corrected else ""
        counts = ", ".join(f"{number} {state}" for state, number in outcome.counts.items() if number)
        malformed = f", {outcome.malformed} malformed" if outcome.malformed else ""
        click.echo(
            f"{_short(outcome.output, self.session)}: {outcome.rows} rows of {outcome.vehicle}:"
            f" {counts or '0 ok'}{malformed}{worst}"
        )
        unit = "row" if outcome.path.suffix == ".parquet" else "line"
        for line, value in outcome.shown:
            click.echo(
                f"{outcome.path}, {unit} {line}: {value!r} is no timestamp; kept without an answer", err=True
            )


def _short(path: Path, session: Path) -> Path:
    return path.relative_to(session) if path.is_relative_to(session) else path
