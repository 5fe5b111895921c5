"""Where corrected tables are written: beside their originals, or in a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidesync.errors import SettingsError
from tidesync.sessions.correction.formats import output_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path


def outputs_of(
    paths: Iterable[Path],
    session: Path,
    folder: Path | None,
    named: Callable[[Path], Path] = output_of,
) -> dict[Path, Path]:
    """The output of each table: beside it, or in `folder`, laid out there as in the session.

    `named` makes the name of a table's output of its own.

    SettingsError where two tables from elsewhere would have the same output in `folder`.
    """
    if folder is None:
        return {path: named(path) for path in paths}
    found: dict[Path, Path] = {}
    for path in paths:
        placed = path.resolve()
        inside = placed.is_relative_to(session.resolve())
        within = placed.relative_to(session.resolve()) if inside else placed.name
        output = named(folder / within)
        if output in found.values():
            raise SettingsError(
                f"--output {folder}: {path} and another table would both become {output.name}"
            )
        found[path] = output
    return found
