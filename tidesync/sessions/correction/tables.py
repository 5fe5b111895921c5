"""The tables of a session's sensors, by their folders' names."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.metadata import CONSUMER_SENSORS
from tidesync.sessions.correction.driver import FORMATS, is_output

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FOLDERS = {"inWater": "in-water", "surface": "surface"}
"""The consumer's folder of a sensor is this and `_<id>`; of others the sensor's own name."""

_ONLY_WITH_FILE = {".tsv", ".txt"}
"""Text in a sensor's folder need not be a table: corrected only where `--file` names it."""


@dataclass(slots=True)
class FoundTables:
    """The tables of every sensor that has any, and what is left as it is beside them, a sentence each."""

    tables: dict[str, list[Path]] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


def tables_in(session: Path, sensors: Iterable[str], directories: Mapping[str, str]) -> FoundTables:
    """The tables in the folder `session` of the consumer's sensors and of `sensors`.

    `directories` has the folders' names of some sensors. No link is followed out of the session.
    """
    found, inside, seen = FoundTables(), session.resolve(), set[Path]()
    for sensor in sorted({*CONSUMER_SENSORS, *sensors, *directories}):
        for folder in _folders_of(session, sensor, directories):
            if _leads_out(folder, inside):
                found.left.append(f"{folder}: it is a link out of the session")
                continue
            for path in sorted(folder.iterdir()):
                if not _is_table(path) or path.resolve() in seen:
                    continue
                seen.add(path.resolve())
                if _leads_out(path, inside):
                    found.left.append(f"{path}: it is a link out of the session")
                else:
                    found.tables.setdefault(sensor, []).append(path)
    return found


def _folders_of(session: Path, sensor: str, directories: Mapping[str, str]) -> list[Path]:
    names = {Path(directories[sensor].replace("\\", "/")).name} if sensor in directories else set()
    prefix = f"{FOLDERS.get(sensor, sensor)}_"
    return [
        path
        for path in sorted(session.iterdir())
        if path.is_dir() and (path.name in names or path.name.startswith(prefix))
    ]


def _leads_out(path: Path, inside: Path) -> bool:
    return not path.resolve().is_relative_to(inside)


def _is_table(path: Path) -> bool:
    searched = FORMATS.keys() - _ONLY_WITH_FILE
    hidden = path.name.startswith(".")
    return path.suffix.lower() in searched and path.is_file() and not hidden and not is_output(path)
