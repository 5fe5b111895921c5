"""`tidesync export --format ro-crate`: a session as a folder to publish."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from tidesync.cli.progress import Progress
from tidesync.errors import NotSoError, SettingsError
from tidesync.figures import counted
from tidesync.sessions.crate.writing import write_crate
from tidesync.sessions.errors import SessionError
from tidesync.sessions.folder import SessionFolder

if TYPE_CHECKING:
    from pathlib import Path

    from tidesync.sessions.processes import Choice

_SUFFIX = ".ro-crate"


def export_crate(
    session: Path, output: Path | None, license_text: str | None, choice: Choice, *, as_json: bool
) -> int:
    """Write the crate, and say what it has."""
    if choice:
        raise SettingsError("--topside, --instance: a crate has what `tidesync correct` was given of them")
    place = session.resolve()
    target = output or place.with_name(place.name + _SUFFIX)
    if target.resolve().is_relative_to(place):
        raise SettingsError(f"--output {target}: expected a folder outside of the session")
    try:
        with Progress("Writing") as progress:
            progress.length = 2 * size_of(session)
            written = write_crate(SessionFolder(session), target, license_text, progress.update)
    except SessionError as error:
        raise NotSoError(f"{error}; nothing was written") from error
    except OSError as error:
        raise NotSoError(f"{target}: {error.strerror or error}; nothing was written") from error
    if as_json:
        document = {
            "session": str(session),
            "format": "ro-crate",
            "output": str(target),
            "files": written.files,
            "results": written.results,
            "bytes": written.size,
            "left": written.left,
        }
        click.echo(json.dumps(document))
    else:
        click.echo(f"{target}: {counted(written.files, 'file')}, {len(written.results)} of them results")
        for line in written.left:
            click.echo(f"{line}; left out")
    return 0


def size_of(folder: Path) -> int:
    """The bytes of all files below, for a progress bar: they are copied, and those with stamps read again."""
    return sum(path.lstat().st_size for path in folder.rglob("*"))
