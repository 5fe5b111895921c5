"""The folders of a session and of what was made of it: no name leads out of the recorder's root."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal, get_args

from schemas.metadata import EXCHANGES_NAME, FILE_NAME, FOLDER_NAME
from schemas.names import InvalidNameError, mission_name
from tidesync.sessions.correction.walk import crate_of
from tidesync.sessions.frames import exists

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.messages import SessionState

Kind = Literal["report", "tables", "fused"]
KINDS: tuple[Kind, ...] = get_args(Kind)
PROGRESS = "\x1e"
"""A line of the process that makes a product, if it begins with this, has the part that is done, 0 to 1."""
MADE = "made"
"""Below `time_sync`, where no command looks for tables; one folder for each kind."""
_MOST_KEPT = 20
"""Sessions of which products are kept: the ones made longest ago are deleted, they can be made again."""
_MOST_KEPT_BYTES = 20 * 10**9


@dataclass(frozen=True, slots=True)
class ProductFolder:
    """What was made of one session; `path` is the session's folder."""

    path: Path

    @property
    def made(self) -> Path:
        """The folder of everything that was made."""
        return self.path / FOLDER_NAME / MADE

    def of(self, kind: Kind) -> Path:
        """The folder of one kind; it is there once it is complete."""
        return self.made / kind

    def files(self, kind: Kind) -> dict[str, int]:
        """Each file's path below the folder of its kind, and its size in bytes; no link is followed."""
        return dict(_files(self.of(kind)))

    def file(self, kind: Kind, name: str) -> Path | None:
        """A file by the name that `files` lists; None for any other name."""
        return self.of(kind).joinpath(*PurePosixPath(name).parts) if name in self.files(kind) else None

    def made_s(self, kind: Kind) -> float | None:
        """When it was made, seconds since the Unix epoch by this computer's clock."""
        try:
            return self.of(kind).stat().st_mtime
        except OSError:
            return None


def session_folder(root: Path, state: SessionState) -> ProductFolder | None:
    """The folder below `root` of a session that its recorder reports; None where it is not there.

    The path is a peer's: only MISSION/session_NAME is taken, and no link that leads out of `root`.
    """
    mission, slash, name = (state.path or "").partition("/")
    if not slash or name != f"session_{state.session}":
        return None
    try:
        folder = root / mission_name(mission) / name
        inside = folder.resolve(strict=True).is_relative_to(root.resolve())
        linked = any(part.is_symlink() for part in (folder / FOLDER_NAME, folder / FOLDER_NAME / MADE))
    except (InvalidNameError, OSError, RuntimeError, ValueError):
        return None
    recorded = (folder / FILE_NAME).is_file() or exists(folder / FOLDER_NAME / EXCHANGES_NAME)
    return ProductFolder(folder) if inside and recorded and not linked and not crate_of(folder) else None


def make_room(root: Path, kept: ProductFolder) -> None:
    """Delete the products that were made longest ago, beyond a number and a size; those of `kept` stay."""
    found = []
    for made in root.glob(f"*/session_*/{FOLDER_NAME}/{MADE}"):
        if made.is_symlink() or made == kept.made or crate_of(made):
            continue
        sizes = [size for _, size in _files(made)]
        found.append((made.stat().st_mtime, made, sum(sizes)))
    found.sort(reverse=True)
    total = 0
    for place, (_, made, size) in enumerate(found, start=1):
        total += size
        if place >= _MOST_KEPT or total > _MOST_KEPT_BYTES:
            shutil.rmtree(made, ignore_errors=True)


def size_of(folder: Path) -> int:
    """The bytes of all files in `folder`."""
    return sum(size for _, size in _files(folder))


def _is_text(name: str) -> bool:
    """Whether a file's name can be in an address: UTF-8 without control characters."""
    return name.isprintable()  # nor is a byte that is not UTF-8


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    """Each file below `folder` by its path there, and its size."""
    for place, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            path = Path(place, name)
            try:
                about = path.lstat()
            except OSError:
                continue
            if stat.S_ISREG(about.st_mode) and _is_text(relative := path.relative_to(folder).as_posix()):
                yield relative, about.st_size
