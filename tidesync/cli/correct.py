"""`tidesync correct`: correct a session's own timestamps, in files beside the originals."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from schemas.compat import UTC
from tidesync.cli.progress import Progress
from tidesync.cli.published import check_outside
from tidesync.cli.table_options import show_unused, table_options
from tidesync.errors import NotSoError, SettingsError
from tidesync.sessions.archive.dask_cluster import DaskCluster
from tidesync.sessions.archive.finding import is_archive, sessions_in
from tidesync.sessions.archive.many import correct_archive
from tidesync.sessions.archive.one_session import Request, correct_session
from tidesync.sessions.archive.processes import Processes, usable_cores
from tidesync.sessions.archive.results import CorrectionResults
from tidesync.sessions.archive.workers import InTurn
from tidesync.sessions.correction.driver import total_bytes
from tidesync.sessions.correction.prepared import prepare
from tidesync.sessions.errors import SessionError, UnknownVehicleError
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.for_cockpit.session import check_target, write_session
from tidesync.sessions.frames import parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidesync.sessions.archive.many import ArchiveResults
    from tidesync.sessions.archive.workers import Progress as WorkProgress
    from tidesync.sessions.archive.workers import Results, Work, Workers
    from tidesync.sessions.correction.session import Options

_FOLDER = click.Path(file_okay=False, path_type=Path)
_SMALL_BYTES = 32 << 20
"""Files of a session that one process corrects sooner than others have started."""


@click.command("correct")
@click.argument("sessions", type=click.Path(path_type=Path), metavar="SESSION...", nargs=-1, required=True)
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
@click.option("--dry-run", "dry", is_flag=True, help="Say what would be done, and write nothing.")
@click.option("--again", is_flag=True, help="Do also what was done before and would come to the same.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many processes work at once  [default: as many as there are cores]",
)
@click.option(
    "--dask",
    metavar="ADDRESS",
    help="Have the workers of a Dask cluster do it: its scheduler's address, as tcp://host:8786.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    *,
    sessions: tuple[Path, ...],
    options: Options,
    output: Path | None,
    for_cockpit: Path | None,
    message_stamps: bool,
    dry: bool,
    again: bool,
    jobs: int | None,
    dask: str | None,
    as_json: bool,
) -> int:
    """Correct the timestamps of SESSION's tables from the vehicle's clock to topside's.

    Writes NAME.topside.csv beside each NAME.csv, with the columns timestamp_topside, time_max_error_ms,
    time_u95_ms and time_state, and time_sync/offsets.csv. Originals are never altered. Exit code 1 if a table
    named with --file, or all tables of a sensor, have no row that could be corrected.

    Several SESSIONs, or folders that have sessions in them, are an archive: one session's failure does not
    end the others. What an earlier run has done, with the same settings, is kept.

    Where the vehicle's clock was set back, its times repeat, and the order of a table's rows decides. A row
    that is late by just the size of such a step is not noticed.
    """
    if len(sessions) == 1 and not sessions[0].is_dir():
        raise SettingsError(f"SESSION: there is no folder {sessions[0]}")
    if absent := [str(session) for session in sessions if not session.exists()]:
        raise SettingsError(f"SESSION: there is no folder {', '.join(absent)}")
    if jobs is not None and dask is not None:
        raise SettingsError(f"--jobs {jobs} and --dask {dask}: expected one of them")
    request = Request(replace(options, message_stamps=message_stamps), output, dry=dry, again=again)
    _check_no_crate(sessions, output or for_cockpit)
    archive = is_archive(sessions)
    if archive and options.files:
        raise SettingsError(f"--file {options.files[0]}: expected one SESSION, received an archive")
    if for_cockpit is not None:
        if output is not None:
            raise SettingsError(f"--output {output} and --for-cockpit {for_cockpit}: expected one of them")
        if archive or dry or dask:
            raise SettingsError(
                f"--for-cockpit {for_cockpit}: expected one SESSION, and neither --dry-run nor --dask"
            )
        return _for_cockpit(sessions[0], request.options, for_cockpit, as_json=as_json)
    run = _correct_archive if archive else _correct_session
    with ExitStack() as stack:
        cluster = stack.enter_context(DaskCluster(dask)) if dask else None
        results = run(sessions, request, cluster, jobs)
    _show(results, as_json=as_json)
    return results.exit_code(shown=not as_json)


def _check_no_crate(sessions: Sequence[Path], target: Path | None) -> None:
    """Of several sessions those in a crate are left, and named."""
    for place in (*(sessions if len(sessions) == 1 else ()), *([target] if target else ())):
        check_outside(place, "correct the session that it was made from, or a copy outside of it")


def _correct_session(
    sessions: Sequence[Path], request: Request, cluster: DaskCluster | None, jobs: int | None
) -> CorrectionResults:
    with Progress("Correcting") as progress:
        try:
            if cluster:
                cluster.check_paths([*_journal(sessions[0]), *request.options.files])
            results = correct_session(sessions[0], request, cluster or _Locally(jobs), progress)
        except UnknownVehicleError as error:
            raise SettingsError(str(error)) from error
        except (SessionError, OSError) as error:
            raise NotSoError(str(error)) from error
    for line in results.unused:
        click.echo(line, err=True)
    return results


def _journal(session: Path) -> Iterator[Path]:
    """The files of its exchanges."""
    return (path for path in parts_of(SessionFolder(session).exchanges_path) if path.is_file())


def _correct_archive(
    sessions: Sequence[Path], request: Request, cluster: DaskCluster | None, jobs: int | None
) -> ArchiveResults:
    found = sessions_in(sessions)
    if cluster:
        cluster.check_paths(path for each in found.sessions for path in _journal(each))
    most = min(jobs or usable_cores(), len(found.sessions))
    workers = cluster or (Processes(most) if most > 1 else InTurn())
    with Progress("Correcting") as progress:
        return correct_archive(found, request, workers, progress, progress.note)


class _Locally:
    """Processes of this computer, or this one where it is done sooner; see `Workers`."""

    def __init__(self, jobs: int | None) -> None:
        self._jobs = jobs

    def each(self, work: Work, shared: Any, tasks: Sequence[Any], progress: WorkProgress) -> Results:
        """As `Workers`."""
        small = sum(task.size for task in tasks) < _SMALL_BYTES
        most = min(self._jobs or (1 if small else usable_cores()), len(tasks))
        workers: Workers = Processes(most) if most > 1 else InTurn()
        return workers.each(work, shared, tasks, progress)


def _show(results: CorrectionResults | ArchiveResults, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(results.document()))
        return
    for line in results.lines():
        click.echo(line)
    if isinstance(results, CorrectionResults):
        for line in results.complaints():
            click.echo(line, err=True)


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
