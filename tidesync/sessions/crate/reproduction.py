"""A crate's results, made again from its raw files, and compared byte for byte."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.files import free_bytes
from tidesync.sessions.crate.copying import Digest, copied, digest, digest_of
from tidesync.sessions.crate.differences import first_difference
from tidesync.sessions.crate.document import CODE_NAME
from tidesync.sessions.crate.paths import open_within
from tidesync.sessions.crate.reading import read_contents
from tidesync.sessions.crate.running import perform
from tidesync.sessions.crate.software import code_sha256, versions
from tidesync.sessions.errors import UnusableCrateError, UnusableFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidesync.sessions.correction.driver import ProgressCallback
    from tidesync.sessions.crate.contents import Contents
    from tidesync.sessions.crate.differences import Place

_MOST_SHOWN = 5


class Difference(NamedTuple):
    """A result that is not the crate's."""

    file: str
    expected: str | None
    """SHA-256 in the crate; None: it has no such result."""
    found: str | None
    """Of what was made here; None: nothing was."""
    place: Place | None = None


class OtherVersion(NamedTuple):
    """Software of another version than in the crate."""

    name: str
    recorded: str | None
    here: str | None


@dataclass(slots=True)
class Reproduction:
    """What came of it."""

    reproduced: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """Why a result was not made, a sentence each."""
    versions: list[OtherVersion] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether all results are the crate's, byte for byte."""
        return not self.differences and not self.failed

    def document(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {
            "reproduced": self.reproduced,
            "differences": [
                {
                    "file": each.file,
                    "expected_sha256": each.expected,
                    "found_sha256": each.found,
                    "first": None if each.place is None else each.place._asdict(),
                }
                for each in self.differences
            ],
            "failed": self.failed,
            "versions": [each._asdict() for each in self.versions],
        }


def reproduce(crate: Path, progress: ProgressCallback) -> Reproduction:
    """Do again what the crate says was done, in a temporary folder; nothing is written to the crate.

    UnusableCrateError where it is damaged, incomplete or another program's, before anything is done.
    """
    contents = read_contents(crate)
    _check_room(contents)
    with tempfile.TemporaryDirectory(prefix="tidesync-reproduce-") as temporary:
        root = Path(temporary).resolve()
        _copy(crate, contents, root, progress)
        result, made = Reproduction(versions=[*_other_versions(contents)]), dict[str, Digest]()
        for action in contents.actions:
            done = perform(root, action.session, action.run, progress)
            result.failed += done.failed
            made |= {path: digest_of(root / path) for path in done.made}
        _compare(crate, root, contents, made, result)
    return result


def _check_room(contents: Contents) -> None:
    needed, folder = sum(each.size for each in contents.files.values()), Path(tempfile.gettempdir())
    free = free_bytes(folder)
    if free is not None and needed > free:
        reason = f"{needed} bytes are needed there, and {free} are free; TMPDIR names another folder"
        raise UnusableFileError(folder, reason)


def _copy(crate: Path, contents: Contents, root: Path, progress: ProgressCallback) -> None:
    """Copy the raw files to `root`; UnusableCrateError where one of all files is not what the crate says."""
    results, faults = {*contents.results}, list[str]()
    for path, expected in contents.files.items():
        try:
            with open_within(crate, path) as stream:
                if (size := os.fstat(stream.fileno()).st_size) != expected.size:
                    faults.append(f"{path} is damaged: {size} bytes, expected {expected.size}")
                    continue
                found = digest(stream) if path in results else copied(stream, root / path)
        except (OSError, ValueError) as error:
            reason = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
            faults.append(f"{path} {reason}")
            continue
        progress(found.size)
        if found != expected:
            faults.append(f"{path} is damaged: its SHA-256 is {found.sha256}, expected {expected.sha256}")
    if faults:
        more = f"; and {len(faults) - _MOST_SHOWN} more" if len(faults) > _MOST_SHOWN else ""
        raise UnusableCrateError(f"{crate}: {'; '.join(faults[:_MOST_SHOWN])}{more}")


def _compare(
    crate: Path, root: Path, contents: Contents, made: dict[str, Digest], result: Reproduction
) -> None:
    for path in contents.results:
        expected, found = contents.files[path], made.get(path)
        if found == expected:
            result.reproduced.append(path)
        else:
            place = None if found is None else first_difference(crate / path, root / path)
            result.differences.append(Difference(path, expected.sha256, found and found.sha256, place))
    for path in sorted(made.keys() - {*contents.results}):
        result.differences.append(Difference(path, None, made[path].sha256))


def _other_versions(contents: Contents) -> Iterator[OtherVersion]:
    recorded = {**contents.versions, CODE_NAME: contents.code_sha256}
    here = {**versions(), CODE_NAME: code_sha256()}
    for name in dict.fromkeys((*recorded, *here)):
        if recorded.get(name) != here.get(name):
            yield OtherVersion(name, recorded.get(name), here.get(name))
