"""`tidesync export`: a session's smoothed track in a format that other tools read, or all of it as netCDF."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from runtime.files import replace, replacing
from tidesync.cli.export_crate import export_crate
from tidesync.cli.netcdf_export import write_netcdf
from tidesync.cli.published import check_outside
from tidesync.cli.table_options import OPTION_NAMES, table_options
from tidesync.errors import NotSoError, SettingsError
from tidesync.figures import counted
from tidesync.sessions.errors import SessionError, UnknownVehicleError
from tidesync.sessions.export.formats import FORMATS, NOTES_SUFFIX
from tidesync.sessions.export.netcdf.settings import ExportSettings
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.isolation import StreamFaults
from tidesync.settings import with_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidesync.sessions.correction.session import Options
    from tidesync.sessions.folder import Measured
    from tidesync.sessions.journal import Stream
    from topside_agent.estimator import Row

_CRATE, _NETCDF = "ro-crate", "netcdf"
_OF_NETCDF = {*OPTION_NAMES, *ExportSettings.model_fields} - {"choice"}
"""Options that no other format takes."""


@click.command("export")
@click.argument("session", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--format",
    "kind",
    required=True,
    type=click.Choice([*FORMATS, _NETCDF, _CRATE]),
    help="What to write.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Where to write it  [default: time_sync/track.… in SESSION; netcdf: the folder time_sync/netcdf; a "
    "crate: SESSION.ro-crate beside it]",
)
@click.option(
    "--license", "license_text", metavar="URL|TEXT", help="Of netcdf and a crate: who may do what with it."
)
@table_options
@with_settings(ExportSettings)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    settings: ExportSettings,
    *,
    session: Path,
    kind: str,
    output: Path | None,
    license_text: str | None,
    options: Options,
    as_json: bool,
) -> int:
    """Compute SESSION's smoothed clock offsets from its exchanges, and write them.

    offset = Pi − topside; each file states this and the meaning of its errors, CSV in a second file
    NAME.csv-metadata.json. xdf-offsets has LSL's sign, which is the opposite.

    netcdf is a dataset to publish, after CF, ACDD and NCEI's template: a file for each track, and for each
    table its rows in the order of topside's time with their errors and QARTOD flags. The options on tables
    are those of `tidesync correct`; this format alone takes them.

    ro-crate is a folder to publish: SESSION's raw files, what `tidesync correct` made of them, and with which
    settings and versions, so that `tidesync reproduce` can make it again.
    """
    _check_session(session, output)
    if kind == _NETCDF:
        return write_netcdf(session, options, settings.with_license(license_text), output, as_json=as_json)
    _refuse_options_of_netcdf(kind)
    if kind == _CRATE:
        return export_crate(session, output, license_text, options.choice, as_json=as_json)
    _check_of_file(output, license_text)
    chosen, folder = FORMATS[kind], SessionFolder(session)
    path = output or folder.time_sync_path / chosen.file_name
    counts, vehicles, failed = Counter[str](), list[str](), StreamFaults()
    try:
        with replacing(path) as file:
            chosen.write(
                _counted(folder.each_measured(failed, choice=options.choice), counts, vehicles), file
            )
        notes = None if chosen.notes is None else path.with_name(path.name + NOTES_SUFFIX)
        if chosen.notes and notes:
            replace(notes, chosen.notes(path.name))
    except UnknownVehicleError as error:
        raise SettingsError(str(error)) from error
    except SessionError as error:
        raise NotSoError(str(error)) from error
    except OSError as error:
        raise NotSoError(f"{path}: {error.strerror or error}; nothing was written") from error
    if as_json:
        document: dict[str, object] = {
            "session": str(session),
            "format": kind,
            "output": str(path),
            "notes": None if notes is None else str(notes),
            "rows": dict(counts),
        }
        document["failed"] = failed.complaints()
        click.echo(json.dumps(document))
    else:
        click.echo(f"{path}: {counted(sum(counts.values()), 'row')} of {', '.join(vehicles)}")
    if failed:
        raise NotSoError("; ".join(failed.complaints()))
    return 0


def _check_session(session: Path, output: Path | None) -> None:
    if not session.is_dir():
        raise SettingsError(f"SESSION: there is no folder {session}")
    if output is None:
        check_outside(session, "--output writes elsewhere")


def _check_of_file(output: Path | None, license_text: str | None) -> None:
    """SettingsError for options of a crate."""
    if license_text is not None:
        raise SettingsError(f"--license {license_text}: only of --format {_NETCDF} and {_CRATE}")
    if output is not None and output.is_dir():
        raise SettingsError(f"--output {output}: expected a file, and this is a folder")


def _counted(
    measured: Iterator[tuple[Stream, Measured]], counts: Counter[str], vehicles: list[str]
) -> Iterator[tuple[Stream, Sequence[Row]]]:
    """The rows of each track, counted by their states; nothing else of it is kept."""
    for stream, each in measured:
        rows = each.track.rows
        del each
        counts.update(row.state for row in rows)
        vehicles.append(stream[0])
        yield stream, rows
        del rows


def _refuse_options_of_netcdf(kind: str) -> None:
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if name in _OF_NETCDF and given:
            raise SettingsError(f"{parameter.opts[0]}: only --format {_NETCDF} takes it, not {kind}")
