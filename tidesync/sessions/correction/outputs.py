"""Where corrected tables are written, beside their originals or in a folder, and which would share one."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from tidesync.errors import SettingsError
from tidesync.sessions.correction.formats import output_of, written_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
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


def shared_of(outputs: Mapping[Path, Path]) -> dict[Path, str]:
    """Of the tables with these `outputs` those that may write a file of another one's; a sentence for each.

    Names that differ in upper and lower case alone are the same, as on many file systems.
    """
    writers: dict[str, list[Path]] = {}
    for path, output in sorted(outputs.items()):
        for each in written_with(path, output):
            writers.setdefault(_folded(each), []).append(path)
    found: dict[Path, str] = {}
    for path, output in outputs.items():
        for each in written_with(path, output):
            others = [other for other in writers[_folded(each)] if other != path]
            if others and path not in found:
                found[path] = (
                    f"{path}: it and {others[0]} would both write {each.name}: rename one of the two"
                )
    return found


def _folded(path: Path) -> str:
    placed = path.parent.resolve() / path.name
    return unicodedata.normalize("NFC", str(placed)).casefold()
