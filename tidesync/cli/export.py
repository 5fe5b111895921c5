"""`tidesync export`: a session's smoothed track in a format that other tools read."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import click

from runtime.files import replace, replacing
from tidesync.cli.choice_options import choice_options
from tidesync.errors import NotSoError, SettingsError
from tidesync.sessions.errors import SessionError, UnknownVehicleError
from tidesync.sessions.export.formats import FORMATS, NOTES_SUFFIX
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.processes import Choice


@click.command("export")
@click.argument("session", type=click.Path(file_okay=False, path_type=Path))
@click.option("--format", "kind", required=True, type=click.Choice(list(FORMATS)), help="What to write.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PATH",
    help="Where to write it  [default: time_sync/track.… in SESSION]",
)
@choice_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(*, session: Path, kind: str, output: Path | None, choice: Choice, as_json: bool) -> int:
    """Compute SESSION's smoothed clock offsets from its exchanges, and write them.

    offset = Pi − topside; each file states this and the meaning of its errors, CSV in a second file
    NAME.csv-metadata.json. xdf-offsets has LSL's sign, which is the opposite.
    """
    if not session.is_dir():
        raise SettingsError(f"SESSION: there is no folder {session}")
    chosen, folder = FORMATS[kind], SessionFolder(session)
    path = output or folder.time_sync_path / chosen.file_name
    try:
        measured = folder.measure(choice=choice)
        tracks = {stream: each.track.rows for stream, each in measured.items()}
        with replacing(path) as file:
            chosen.write(tracks, file)
        notes = None if chosen.notes is None else path.with_name(path.name + NOTES_SUFFIX)
        if chosen.notes and notes:
            replace(notes, chosen.notes(path.name))
    except UnknownVehicleError as error:
        raise SettingsError(str(error)) from error
    except SessionError as error:
        raise NotSoError(str(error)) from error
    except OSError as error:
        raise NotSoError(f"{path}: {error.strerror or error}; nothing was written") from error
    counts = Counter(row.state for rows in tracks.values() for row in rows)
    if as_json:
        document: dict[str, object] = {
            "session": str(session),
            "format": kind,
            "output": str(path),
            "notes": None if notes is None else str(notes),
            "rows": dict(counts),
        }
        document["failed"] = measured.complaints()
        click.echo(json.dumps(document))
    else:
        click.echo(f"{path}: {sum(counts.values())} rows of {', '.join(v for v, _ in tracks)}")
    if measured.failed:
        raise NotSoError("; ".join(measured.complaints()))
    return 0
