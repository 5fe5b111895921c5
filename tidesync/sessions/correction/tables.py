"""The tables of a session's sensors, by their folders' names."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.metadata import CONSUMER_SENSORS
from tidesync.sessions.correction.formats import is_output, is_table
from tidesync.sessions.folder import TIME_SYNC

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

FOLDERS = {"inWater": "in-water", "surface": "surface"}
"""The consumer's folder of a sensor is this and `_<id>`; of others the sensor's own name."""


@dataclass(slots=True)
class FoundTables:
    """The tables of every sensor that has any, and what is left as it is beside them, a sentence each."""

    tables: dict[str, list[Path]] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


def tables_in(
    session: Path, sensors: Iterable[str], directories: Mapping[str, str], named: Collection[Path] = ()
) -> FoundTables:
    """The tables in the folder `session` of the consumer's sensors and of `sensors`.

    `directories` has the folders' names of some sensors. No link is followed out of the session. What is
    `named`, resolved, is not left beside them.
    """
    found, inside, seen = FoundTables(), session.resolve(), set[Path]()
    folders = set[Path]()
    for sensor in sorted({*CONSUMER_SENSORS, *sensors, *directories}):
        for folder in _folders_of(session, sensor, directories):
            folders.add(folder)
            entries = [path for path in sorted(folder.iterdir()) if path.resolve() not in seen]
            seen |= {path.resolve() for path in entries}
            if _leads_out(folder, inside):
                found.left.append(f"{folder}: it is a link out of the session")
                continue
            tables, left = _divided(entries, inside, named)
            found.left += left
            if tables:
                found.tables.setdefault(sensor, []).extend(tables)
    found.left += _elsewhere(session, folders, named)
    return found


def _elsewhere(session: Path, folders: Collection[Path], named: Collection[Path]) -> Iterator[str]:
    """A sentence for each table and folder of tables in the session that no sensor has."""
    for path in sorted(session.iterdir()):
        if path in folders or path.name == TIME_SYNC or path.name.startswith(".") or is_output(path):
            continue
        if _leads_out(path, session.resolve()):
            yield f"{path}: it is a link out of the session"
        elif path.is_dir() and (parts := _tables_below(path, named)):
            yield f"{path}: a folder of no sensor with {parts} tables, which --sensor or --file corrects"
        elif path.is_file() and is_table(path) and path.resolve() not in named:
            yield f"{path}: a table in no sensor's folder, which --file corrects"


def _divided(entries: Iterable[Path], inside: Path, named: Collection[Path]) -> tuple[list[Path], list[str]]:
    """The tables among a folder's entries, and a sentence for what is left beside them, outputs apart."""
    tables, left, others = [], [], Counter[str]()
    for path in entries:
        if is_output(path):
            continue
        if path.name.startswith("."):
            others[str(path.parent / ".*")] += 1
            continue
        if _leads_out(path, inside):
            left.append(f"{path}: it is a link out of the session")
        elif path.is_dir():
            parts = _tables_below(path, named)
            left += [f"{path}: it is a folder with {parts} tables, which --file corrects"] if parts else []
        elif is_table(path):
            tables.append(path)
        else:
            others[str(path.parent / f"*{path.suffix}")] += 1
    known = {True: "hidden files", False: "files of no known format"}
    others_left = [f"{kind}: {number} {known[kind.endswith('/.*')]}" for kind, number in others.items()]
    return tables, left + others_left


def _folders_of(session: Path, sensor: str, directories: Mapping[str, str]) -> list[Path]:
    names = {Path(directories[sensor].replace("\\", "/")).name} if sensor in directories else set()
    prefix = f"{FOLDERS.get(sensor, sensor)}_"
    return [
        path
        for path in sorted(session.iterdir())
        if path.is_dir() and path.name != TIME_SYNC and (path.name in names or path.name.startswith(prefix))
    ]


def _leads_out(path: Path, inside: Path) -> bool:
    return not path.resolve().is_relative_to(inside)


def _tables_below(folder: Path, named: Collection[Path]) -> int:
    """How many tables a folder has, at any depth, which are not `named`: Spark writes them so."""
    found = (path for path in folder.rglob("[!.]*") if is_table(path) and path.is_file())
    others = (path for path in found if not is_output(path) and path.parent.name != TIME_SYNC)
    return sum(path.resolve() not in named for path in others)
