"""`tidesync export --format netcdf`: a session's corrected tables and its tracks as netCDF."""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import TYPE_CHECKING

import click

from schemas.compat import UTC
from tidesync.cli.progress import Progress
from tidesync.cli.table_options import show_unused
from tidesync.errors import NotSoError, SettingsError
from tidesync.sessions.correction.driver import total_bytes
from tidesync.sessions.correction.prepared import prepare
from tidesync.sessions.errors import SessionError, UnknownVehicleError
from tidesync.sessions.export.netcdf.dataset import FOLDER, NetcdfExport, Stated
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.fuse.writers import require

if TYPE_CHECKING:
    from pathlib import Path

    from tidesync.sessions.correction.session import Options
    from tidesync.sessions.export.netcdf.results import ExportResults
    from tidesync.sessions.export.netcdf.settings import ExportSettings

_MADE_AT = "SOURCE_DATE_EPOCH"
"""Variable with the time, Unix s, that outputs state as their making: reproducible-builds.org."""


def write_netcdf(
    session: Path, options: Options, settings: ExportSettings, output: Path | None, *, as_json: bool
) -> int:
    """Write the files into the folder `output`, and show what was done."""
    require(".nc")
    folder = SessionFolder(session)
    target = folder.time_sync_path / FOLDER if output is None else output
    if target.exists() and not target.is_dir():
        raise SettingsError(f"--output: expected a folder, {target} is a file")
    stated = Stated.of(options, settings, _made_at())
    with Progress("Exporting") as progress:
        try:
            results = _write(folder, stated, target, progress)
        except UnknownVehicleError as error:
            raise SettingsError(str(error)) from error
        except SessionError as error:
            raise NotSoError(str(error)) from error
        except OSError as error:
            reason = f"{error.filename or target}: {error.strerror or error}; nothing was written"
            raise NotSoError(reason) from error
    if as_json:
        click.echo(json.dumps(results.document()))
    else:
        for line in results.lines():
            click.echo(line)
        for line in results.tables.complaints():
            click.echo(line, err=True)
    return results.exit_code()


def _write(folder: SessionFolder, stated: Stated, target: Path, progress: Progress) -> ExportResults:
    prepared = prepare(folder, stated.options, whole=True)
    show_unused(prepared)
    progress.length = total_bytes(prepared.jobs, prepared.timelines)
    progress.length += sum(job.path.stat().st_size for job in prepared.jobs if job.path.exists())
    return NetcdfExport(folder, prepared, stated, target).write(progress.update)


def _made_at() -> datetime:
    """Now, to the second, or what SOURCE_DATE_EPOCH says."""
    stated = os.environ.get(_MADE_AT)
    if not stated:
        return datetime.now(UTC).replace(microsecond=0)
    try:
        return datetime.fromtimestamp(int(stated), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise SettingsError(f"{_MADE_AT}: expected seconds since 1970, received {stated!r}") from error
