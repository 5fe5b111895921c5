"""`tidesync correct`: correct a session's own timestamps, in files beside the originals."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidesync.cli.table_options import table_options
from tidesync.errors import NotSoError, SettingsError
from tidesync.sessions.correction.driver import correct, total_bytes
from tidesync.sessions.correction.prepared import Prepared, prepare
from tidesync.sessions.correction.results import CorrectionResults
from tidesync.sessions.errors import NoTimestampError, SessionError, UnknownVehicleError
from tidesync.sessions.folder import SessionFolder

if TYPE_CHECKING:
    from tidesync.sessions.correction.driver import ProgressCallback
    from tidesync.sessions.correction.session import Options


@click.command("correct")
@click.argument("session", type=click.Path(file_okay=False, path_type=Path))
@table_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(*, session: Path, options: Options, as_json: bool) -> int:
    """Correct the timestamps of SESSION's tables from the vehicle's clock to topside's.

    Writes NAME.topside.csv beside each NAME.csv, with the columns timestamp_topside, time_max_error_ms,
    time_u95_ms and time_state, and time_sync/offsets.csv. Originals are never altered.
    """
    if not session.is_dir():
        raise SettingsError(f"SESSION: there is no folder {session}")
    folder = SessionFolder(session)
    try:
        prepared = prepare(folder, options)
        folder.write_offsets({stream: each.track.rows for stream, each in prepared.measured.items()})
    except UnknownVehicleError as error:
        raise SettingsError(str(error)) from error
    except (SessionError, OSError) as error:
        raise NotSoError(str(error)) from error
    results = CorrectionResults(session, folder.offsets_path, prepared.skipped, failed=[*prepared.failed])
    _correct(prepared, results, named=options.files)
    if as_json:
        click.echo(json.dumps(results.document()))
    else:
        for line in results.lines():
            click.echo(line)
        for line in results.complaints():
            click.echo(line, err=True)
    return results.exit_code()


def _correct(prepared: Prepared, results: CorrectionResults, *, named: Sequence[Path]) -> None:
    """Correct every table, with a progress bar in a terminal."""
    with _progress(total_bytes(prepared.jobs, prepared.timelines)) as progress:
        for job in prepared.jobs:
            try:
                results.tables.append(correct(job, prepared.timelines[job.vehicle], progress))
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
