"""`tidesync correct`: correct a session's own timestamps, in files beside the originals."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from schemas.compat import UTC
from tidesync.cli.progress import Progress
from tidesync.cli.table_options import show_unused, table_options
from tidesync.errors import NotSoError, SettingsError
from tidesync.sessions.correction.driver import total_bytes
from tidesync.sessions.correction.one_job import correct_job
from tidesync.sessions.correction.outputs import outputs_of
from tidesync.sessions.correction.prepared import Prepared, prepare
from tidesync.sessions.correction.record import add_run
from tidesync.sessions.correction.results import CorrectionResults
from tidesync.sessions.errors import NoTimestampError, SessionError, UnknownVehicleError, UnusableFileError
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.for_cockpit.session import check_target, write_session
from tidesync.sessions.isolation import complaint_of

if TYPE_CHECKING:
    from tidesync.sessions.correction.session import Options
    from tidesync.sessions.correction.table import Job

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command("correct")
@click.argument("session", type=_FOLDER)
@table_options
@click.option(
    "--output",
    type=_FOLDER,
    metavar="DIR",
    help="Where to write, laid out as in SESSION, if that cannot be written  [default: beside the originals]",
)
@click.option(
    "--for-cockpit",
    type=_FOLDER,
    metavar="DIR",
    help="Write a session for Cockpit to DIR instead: topside's times in column one, no offset left.",
)
@click.option(
    "--message-stamps",
    is_flag=True,
    help="Correct the stamps within MCAP messages too, where a schema proves them.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    *,
    session: Path,
    options: Options,
    output: Path | None,
    for_cockpit: Path | None,
    message_stamps: bool,
    as_json: bool,
) -> int:
    """Correct the timestamps of SESSION's tables from the vehicle's clock to topside's.

    Writes NAME.topside.csv beside each NAME.csv, with the columns timestamp_topside, time_max_error_ms,
    time_u95_ms and time_state, and time_sync/offsets.csv. Originals are never altered. Exit code 1 if a table
    named with --file, or all tables of a sensor, have no row that could be corrected.

    Where the vehicle's clock was set back, its times repeat, and the order of a table's rows decides. A row
    that is late by just the size of such a step is not noticed.
    """
    if not session.is_dir():
        raise SettingsError(f"SESSION: there is no folder {session}")
    options = replace(options, message_stamps=message_stamps)
    if for_cockpit is not None:
        if output is not None:
            raise SettingsError(f"--output {output} and --for-cockpit {for_cockpit}: expected one of them")
        return _for_cockpit(session, options, for_cockpit, as_json=as_json)
    with Progress("Correcting") as progress:
        target = SessionFolder(output or session)
        try:
            prepared = prepare(SessionFolder(session), options)
            show_unused(prepared)
            outputs = outputs_of([job.path for job in prepared.jobs], session, output)
            if not target.time_sync_path.resolve().is_relative_to(target.path.resolve()):
                reason = "it is a link out of the session; --output DIR writes elsewhere"
                raise UnusableFileError(target.time_sync_path, reason)
            target.write_offsets((stream, each.track.rows) for stream, each in prepared.measured.items())
        except UnknownVehicleError as error:
            raise SettingsError(str(error)) from error
        except (SessionError, OSError) as error:
            raise NotSoError(str(error)) from error
        results = CorrectionResults(
            session,
            target.offsets_path,
            prepared.skipped,
            frozenset(path.resolve() for path in options.files),
            left=[*prepared.left],
            failed=[*prepared.failed],
        )
        _record(_correct(prepared, outputs, results, progress), target, options, results)
    if as_json:
        click.echo(json.dumps({**results.document(), "unused_settings": [*prepared.unused]}))
    else:
        for line in results.lines():
            click.echo(line)
        for line in results.complaints():
            click.echo(line, err=True)
    return results.exit_code()


def _for_cockpit(session: Path, options: Options, target: Path, *, as_json: bool) -> int:
    """Write the session for the consumer; what was left out is listed beside its tables."""
    folder, named = SessionFolder(session), frozenset(path.resolve() for path in options.files)
    check_target(session, target)
    with Progress("Correcting") as progress:
        try:
            prepared = prepare(folder, options, whole=True)
            show_unused(prepared)
            progress.length = total_bytes(prepared.jobs, prepared.timelines)
            made = write_session(
                folder, prepared, target, now=datetime.now(UTC), named=named, progress=progress.update
            )
        except UnknownVehicleError as error:
            raise SettingsError(str(error)) from error
        except (SessionError, OSError) as error:
            raise NotSoError(str(error)) from error
    if as_json:
        document = {"session": str(session), **made.document(), "unused_settings": [*prepared.unused]}
        click.echo(json.dumps(document))
    else:
        for line in made.lines():
            click.echo(line)
    if faults := [*made.faults()]:
        raise NotSoError("; ".join(faults))
    return 0


def _correct(
    prepared: Prepared, outputs: dict[Path, Path], results: CorrectionResults, progress: Progress
) -> list[Job]:
    """Correct every table; returns those that were."""
    progress.length = total_bytes(prepared.jobs, prepared.timelines)
    done = []
    for job in prepared.jobs:
        try:
            made = correct_job(job, prepared, outputs[job.path], results.session, progress.update)
            results.tables.append(made)
            done.append(job)
        except NoTimestampError as error:
            named = job.path.resolve() in results.named
            (results.failed if named else results.left).append(str(error))
        except Exception as error:  # noqa: BLE001 - the other tables are corrected
            results.failed.append(complaint_of(str(job.path), error))
    return done


def _record(done: list[Job], target: SessionFolder, options: Options, results: CorrectionResults) -> None:
    """Record which settings the tables were corrected with."""
    try:
        add_run(target, results.session, options, done)
    except SessionError as error:
        results.failed.append(str(error))
