"""Copies and digests of files, read once."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_TOGETHER = 1 << 20


class Digest(NamedTuple):
    """What a file holds."""

    size: int
    sha256: str


def digest(stream: BinaryIO, write: Callable[[bytes], object] | None = None) -> Digest:
    """The digest of all that `stream` has left, which goes to `write` too."""
    size, found = 0, hashlib.sha256()
    while block := stream.read(_TOGETHER):
        size += len(block)
        found.update(block)
        if write is not None:
            write(block)
    return Digest(size, found.hexdigest())


def digest_of(path: Path) -> Digest:
    """The digest of the file at `path`."""
    with path.open("rb") as stream:
        return digest(stream)


def copied(source: BinaryIO, target: Path) -> Digest:
    """Copy all that `source` has left to a new file, and make its folders; FileExistsError, OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as stream:
        found = digest(source, stream.write)
        stream.flush()
        os.fsync(stream.fileno())
    return found
