"""A crate of a session, written: copies of its files, and what its recorded corrections make of these copies.

So each crate has been reproduced once before it is there. It appears complete or not at all.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from runtime.files import free_bytes, replace, sync_folder
from schemas.compat import UTC
from tidesync.sessions.correction.formats import companions_of, is_output
from tidesync.sessions.correction.record import read_record
from tidesync.sessions.crate.contents import Action, Contents
from tidesync.sessions.crate.copying import Digest, copied, digest_of
from tidesync.sessions.crate.document import METADATA, PINS, rendered
from tidesync.sessions.crate.paths import checked
from tidesync.sessions.crate.running import perform
from tidesync.sessions.crate.software import code_sha256, pins, versions
from tidesync.sessions.errors import NothingRecordedError, UnusableFileError
from tidesync.sessions.folder import (
    CLOCK,
    CORRECTED_FILES,
    CORRECTIONS,
    EVENTS,
    EXCHANGES,
    INDEX,
    OFFSETS,
    RECORDING,
    TIME_SYNC,
)
from tidesync.sessions.folder import METADATA as METADATA_NAME
from tidesync.sessions.frames import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidesync.sessions.correction.driver import ProgressCallback
    from tidesync.sessions.correction.recorded_settings import RecordedRun
    from tidesync.sessions.folder import SessionFolder

_OWN = frozenset(f"{TIME_SYNC}/{name}" for name in (CORRECTED_FILES, CORRECTIONS, INDEX, OFFSETS, RECORDING))
"""Files that are no raw data: made again, stated in the metadata, or there for the recorder alone."""
_MEASURED = frozenset(
    {
        METADATA_NAME,
        *(f"{TIME_SYNC}/{name}" for name in (EXCHANGES, EXCHANGES + SUFFIX, EVENTS, CLOCK, CLOCK + SUFFIX)),
    }
)
"""What corrections are computed from."""
_ELSEWHERE = "elsewhere"
"""The crate's folder of tables that are not in the session's."""


@dataclass(slots=True)
class Written:
    """What a crate has."""

    files: int = 0
    results: list[str] = field(default_factory=list)
    size: int = 0
    """Bytes."""
    left: list[str] = field(default_factory=list)
    """What of the session is not in it, and why; a sentence each."""


def write_crate(
    folder: SessionFolder, output: Path, license_text: str | None, progress: ProgressCallback
) -> Written:
    """Write the crate of the session in `folder` to the new or empty folder `output`.

    NothingRecordedError where no correction is recorded; UnusableFileError where a file cannot be read or
    written, or where a corrected file in the session is not what its recorded settings make of it.
    """
    record, name, written = read_record(folder), folder.path.resolve().name, Written()
    _checked(name, folder.path)
    places = _places(folder, name, written)
    if record is None or not record.runs:
        raise NothingRecordedError(
            f"{folder.path}: {TIME_SYNC}/{CORRECTIONS} records no correction: run `tidesync correct` first"
        )
    with _building(output) as root:
        stated = _stated(folder, name, record.runs)
        places |= {stated[path]: folder.path / path for path in stated}
        _check_room(output, places)
        files = {}
        for path, place in places.items():
            files[path] = _copied(place, root / path)
            progress(files[path].size)
        replace(root / PINS, pins())
        runs = [run.renamed(stated.__getitem__) for run in record.runs]
        actions = _performed(root, name, runs, [*files], progress)
        results = [path for action in actions for path in action.results]
        for path in results:
            files[path] = digest_of(root / path)
            _check_same(folder, path, files[path], places)
        files[PINS] = digest_of(root / PINS)
        contents = Contents(files, actions, versions(), code_sha256())
        published = datetime.now(UTC).isoformat(timespec="seconds")
        replace(
            root / METADATA, rendered(contents, name=name, published=published, license_text=license_text)
        )
        written.left += [
            f"{each}: no correction of it is recorded" for each in _others(folder, name, results)
        ]
        written.files, written.results = len(files), results
        written.size = sum(each.size for each in files.values())
    return written


@contextmanager
def _building(output: Path) -> Iterator[Path]:
    """A folder that becomes `output` when the block ends; after an exception nothing is there."""
    if output.is_symlink() or (output.exists() and (not output.is_dir() or any(output.iterdir()))):
        raise UnusableFileError(output, "it is there already; expected a new or empty folder")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as temporary:
        root = Path(temporary) / output.name
        root.mkdir()
        yield root
        if output.exists():
            output.rmdir()
        root.rename(output)
    sync_folder(output.parent)


def _places(folder: SessionFolder, name: str, written: Written) -> dict[str, Path]:
    """Where each raw file of the session is, by its path in the crate."""
    inside, found = folder.path.resolve(), dict[str, Path]()
    for path in sorted(folder.path.rglob("*")):
        within = path.relative_to(folder.path)
        if within.as_posix() in _OWN or any(part.startswith(".") for part in within.parts):
            continue
        if not path.resolve().is_relative_to(inside):
            written.left.append(f"{within}: it is a link out of the session")
        elif path.is_file() and not is_output(path) and not _is_for_now(path):
            found[_checked(f"{name}/{within.as_posix()}", path)] = path
    return found


def _others(folder: SessionFolder, name: str, results: list[str]) -> list[str]:
    """The session's corrected files that are none of the results."""
    found = sorted(path for path in folder.path.rglob("*") if is_output(path) and path.is_file())
    within = (path.relative_to(folder.path).as_posix() for path in found)
    return [each for each in within if f"{name}/{each}" not in results]


def _is_for_now(path: Path) -> bool:
    """Whether SQLite made it while it read a database; a log with content has what the database has not."""
    return path.name.endswith("-shm") or (path.name.endswith("-wal") and not path.stat().st_size)


def _stated(folder: SessionFolder, name: str, runs: Sequence[RecordedRun]) -> dict[str, str]:
    """The path in the crate of each file that runs name, and of what is read with one that is elsewhere.

    Those of one folder elsewhere stay together.
    """
    group, found, folders = _ELSEWHERE + "-" * (name == _ELSEWHERE), dict[str, str](), list[Path]()
    for path in dict.fromkeys(path for run in runs for path in run.paths()):
        place = folder.path / path
        if not Path(path).is_absolute():
            found[path] = _checked(f"{name}/{path}", place)
            continue
        if place.parent not in folders:
            folders.append(place.parent)
        for each in (place, *companions_of(place)):
            found[each.as_posix()] = _checked(f"{group}/{folders.index(place.parent) + 1}/{each.name}", each)
    return found


def _checked(place: str, path: Path) -> str:
    try:
        return checked(place)
    except ValueError as error:
        raise UnusableFileError(path, f"its name cannot be published: {error}") from error


def _check_room(output: Path, places: dict[str, Path]) -> None:
    needed = sum(path.stat().st_size for path in places.values() if path.is_file())
    free = free_bytes(output.parent)
    if free is not None and needed > free:
        raise UnusableFileError(output, f"{needed} bytes are needed there, and {free} are free")


def _copied(source: Path, target: Path) -> Digest:
    try:
        with source.open("rb") as stream:
            return copied(stream, target)
    except FileNotFoundError as error:
        reason = (
            "it was corrected, and is gone: put it back, or run `tidesync correct SESSION`, which forgets it"
        )
        raise UnusableFileError(source, reason) from error
    except OSError as error:
        raise UnusableFileError(source, f"it was not copied: {error.strerror or error}") from error


def _performed(
    root: Path, session: str, runs: list[RecordedRun], raw: list[str], progress: ProgressCallback
) -> list[Action]:
    """Do the runs; a file that two of them write is the later one's."""
    done = []
    for run in runs:
        each = perform(root, session, run, progress)
        if each.failed:
            raise UnusableFileError(Path(session), "; ".join(each.failed))
        done.append(each)
    measured = [path for path in raw if path.removeprefix(f"{session}/") in _MEASURED]
    actions = []
    for number, (run, each) in enumerate(zip(runs, done, strict=True)):
        later = {path for other in done[number + 1 :] for path in other.made}
        objects = [*dict.fromkeys((*measured, *run.paths()))]
        results = [path for path in each.made if path not in later]
        actions.append(Action(session, run, objects, results, each.started, each.ended))
    return actions


def _check_same(folder: SessionFolder, path: str, found: Digest, places: dict[str, Path]) -> None:
    """UnusableFileError where the result that lies in the session is another one."""
    session, _, within = path.partition("/")
    if session == folder.path.resolve().name:
        existing = folder.path / within
    else:
        beside = next(
            place for raw, place in places.items() if raw.rpartition("/")[0] == path.rpartition("/")[0]
        )
        existing = beside.with_name(PurePosixPath(path).name)
    if existing.is_file() and digest_of(existing) != found:
        raise UnusableFileError(
            existing,
            "it is not what the recorded settings make of the session now (another version of Tidesync, or "
            "altered files): run `tidesync correct` again",
        )
