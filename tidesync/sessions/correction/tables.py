"""The tables of a session's sensors, by their folders' names, and what is left as it is beside them."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from schemas.metadata import CONSUMER_SENSORS
from tidesync.figures import counted
from tidesync.sessions.correction.formats import is_output, is_table
from tidesync.sessions.correction.walk import apart, entries_of, files_below, is_in_parts
from tidesync.sessions.folder import METADATA, REPORT, TIME_SYNC

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from tidesync.sessions.correction.walk import Entry

FOLDERS = {"inWater": "in-water", "surface": "surface"}
"""The consumer's folder of a sensor is this and `_<id>`; of others the sensor's own name."""

_PICTURES = (".bmp", ".gif", ".heic", ".jpeg", ".jpg", ".png", ".raw", ".svg", ".tif", ".tiff", ".webp")
_VIDEO = (
    ".avi",
    ".flv",
    ".h264",
    ".h265",
    ".m4v",
    ".mkv",
    ".mov",
    ".mp4",
    ".mpg",
    ".mts",
    ".ts",
    ".webm",
    ".wmv",
)
_SOUND = (".aac", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav")
_MOST_SUFFIXES = 32
"""Of a folder that are counted apart."""
_COUNTED = {
    "hidden": ("hidden file", ""),
    "media": ("file", " with pictures, video or sound"),
    "product": ("file", " with the name of a correction's output"),
    "unknown_format": ("file", " of no known format"),
}


class Left(NamedTuple):
    """What is left as it is: one file or folder, or `number` files that a pattern stands for."""

    path: Path
    why: str
    """For programs: cockpit, crate, dataset, folder, hidden, link, media, no_clock, no_sensor, no_vehicle,
    product, session, special, unknown_format, unreadable; of a table growing, no_timestamp."""
    reason: str
    number: int = 1

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(slots=True)
class FoundTables:
    """The tables of every sensor that has any, and what is left as it is beside them."""

    tables: dict[str, list[Path]] = field(default_factory=dict)
    left: list[Left] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    """Folders of sensors, a sentence each."""


def tables_in(
    session: Path,
    sensors: Iterable[str],
    directories: Mapping[str, str],
    named: Collection[Path] = (),
    *,
    nested: bool = False,
) -> FoundTables:
    """The tables in the folder `session` of the consumer's sensors and of `sensors`.

    `directories` has the folders' names of some sensors; with `nested` the folders in them are theirs too. No
    link is followed out of the session. What is `named`, resolved, is not left beside them.
    """
    finder = _Finder(session, named, nested=nested)
    for sensor in sorted({*CONSUMER_SENSORS, *sensors, *directories}):
        finder.take(sensor, directories)
    finder.take_elsewhere()
    return finder.found


class _Finder:
    def __init__(self, session: Path, named: Collection[Path], *, nested: bool) -> None:
        self.found = FoundTables()
        self._inside, self._named, self._nested = session.resolve(), named, nested
        self._top = entries_of(session)
        self._folders, self._seen = set[Path](), set[Path]()

    def take(self, sensor: str, directories: Mapping[str, str]) -> None:
        """The tables in the sensor's folders."""
        for folder in self._folders_of(sensor, directories):
            self._folders.add(folder)
            target = _target(folder)
            if target is None or not target.is_relative_to(self._inside):
                self._leave(folder, "link", "it is a link out of the session")
            elif target not in self._seen:
                self._seen.add(target)
                if tables := [*self._tables(folder)]:
                    self.found.tables.setdefault(sensor, []).extend(tables)

    def take_elsewhere(self) -> None:
        """What is in no sensor's folder."""
        others = Counter[tuple[str, str]]()
        for entry in self._top:
            path = entry.path
            if path in self._folders or path.name in {TIME_SYNC, METADATA}:
                continue
            if path.name == REPORT and entry.kind == "file":
                self._leave(path, "product", "it has the name of the page of `tidesync report`")
                continue
            if entry.kind == "folder" and not entry.hidden:
                self._leave_folder(path)
            elif self._is_file(entry, others) and path.resolve() not in self._named:
                self._leave(path, "no_sensor", "a table in no sensor's folder, which --file corrects")
        if self._top:
            self._count(self._top[0].path.parent, others)

    def _tables(self, folder: Path) -> Iterator[Path]:
        waiting = deque([folder])
        while waiting:
            place, others = waiting.popleft(), Counter[tuple[str, str]]()
            for entry in entries_of(place):
                if entry.kind == "unreadable":
                    self.found.unreadable.append(f"{entry.path}: it cannot be read: {entry.reason}")
                elif entry.kind == "folder" and not entry.hidden and not is_output(entry.path):
                    waiting.extend([entry.path] if self._descends(entry.path) else [])
                elif self._is_file(entry, others):
                    yield entry.path
            self._count(place, others)

    def _descends(self, folder: Path) -> bool:
        """Whether a folder in a sensor's is the sensor's too; else it is left."""
        if other := apart(folder):
            self._leave(folder, *other)
            return False
        dataset = is_table(folder) or is_in_parts(folder)
        if self._nested and not dataset and folder.name != TIME_SYNC:
            return True
        if parts := self._below(folder)["table"]:
            why = "dataset" if dataset else "folder"
            self._leave(folder, why, f"it is a folder with {counted(parts, 'table')}, which --file corrects")
        return False

    def _leave_folder(self, folder: Path) -> None:
        """A folder of no sensor."""
        if other := apart(folder):
            self._leave(folder, *other)
            return
        below = self._below(folder)
        if below["table"]:
            tables = counted(below["table"], "table")
            reason = f"a folder of no sensor with {tables}, which --sensor or --file corrects"
            self._leave(folder, "no_sensor", reason)
        elif below["other"]:
            files = counted(below["other"], "file")
            self._leave(folder, "no_sensor", f"a folder of no sensor with {files}, no table")

    def _below(self, folder: Path) -> Counter[str]:
        """How many tables a folder has, at any depth, which are not named, and how many other files."""
        below = Counter[str]()
        for entry in files_below(folder):
            path = entry.path
            if entry.kind == "unreadable":
                self._leave(path, "unreadable", f"it cannot be read: {entry.reason}")
            elif entry.kind == "folder":
                if other := apart(path):
                    self._leave(path, *other)
            elif entry.hidden or is_output(path) or not is_table(path) or not self._is_readable(entry):
                below["other"] += 1
            else:
                below["table"] += path.resolve() not in self._named
        return below

    @staticmethod
    def _is_readable(entry: Entry) -> bool:
        return entry.kind == "file" or (entry.kind == "link" and entry.path.is_file())

    def _is_file(self, entry: Entry, others: Counter[tuple[str, str]]) -> bool:
        """Whether it is a table; else it is counted among `others`, or left."""
        path = entry.path
        if is_output(path):
            others["product", ""] += 1
        elif entry.hidden:
            others["hidden", ""] += 1
        elif entry.kind in {"link", "other"} and (reason := self._not_a_file(entry)):
            self._leave(path, "link" if entry.kind == "link" else "special", reason)
        elif is_table(path):
            return True
        else:
            suffix = path.suffix
            others[
                "media" if suffix.lower() in (*_PICTURES, *_VIDEO, *_SOUND) else "unknown_format", suffix
            ] += 1
        return False

    def _not_a_file(self, entry: Entry) -> str:
        """Why what has a table's name is not read; empty: it is a link to a file of the session."""
        if entry.kind == "other":
            return "it is no regular file"
        target = _target(entry.path)
        if target is None:
            return "it is a link that leads nowhere"
        if not target.is_relative_to(self._inside):
            return "it is a link out of the session"
        return "" if target.is_file() else "it is a link to a folder of the session"

    def _folders_of(self, sensor: str, directories: Mapping[str, str]) -> Iterator[Path]:
        names = {Path(directories[sensor].replace("\\", "/")).name} if sensor in directories else set()
        prefix = f"{FOLDERS.get(sensor, sensor)}_"
        for kind, path in ((each.kind, each.path) for each in self._top):
            is_folder = kind == "folder" or (kind == "link" and path.is_dir())
            if is_folder and path.name != TIME_SYNC and (path.name in names or path.name.startswith(prefix)):
                yield path

    def _leave(self, path: Path, why: str, reason: str) -> None:
        self.found.left.append(Left(path, why, reason))

    def _count(self, folder: Path, others: Counter[tuple[str, str]]) -> None:
        """Leave what was counted in a folder; of many suffixes together."""
        if len(others) > _MOST_SUFFIXES:
            together = Counter[tuple[str, str]]()
            for (why, _), number in others.items():
                together[why, ""] += number
            others = together
        patterns = {"hidden": ".*", "product": "*.topside.*"}
        for (why, suffix), number in others.items():
            pattern = folder / patterns.get(why, f"*{suffix}")
            noun, which = _COUNTED[why]
            self.found.left.append(Left(pattern, why, f"{counted(number, noun)}{which}", number))


def _target(link: Path) -> Path | None:
    """What it leads to; None: nothing, or itself."""
    try:
        return link.resolve(strict=True)
    except (OSError, RuntimeError):  # a loop of links, before Python 3.13
        return None
