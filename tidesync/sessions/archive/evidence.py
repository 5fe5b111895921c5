"""What shows that a file is the one that was read or written: its size, and when it was changed.

An edit that keeps both is not noticed. A file that was changed so lately that another change could have the
same time proves nothing, see `is_settled`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_TICK_NS = 50_000_000
"""Longer than that of file systems' clocks."""
_COARSE_TICK_NS = 2_500_000_000
"""The same where they have whole seconds, as FAT has every second one."""
_S = 1_000_000_000
_AT_ONCE = 1 << 20


class Evidence(NamedTuple):
    """Of a file; both None: it is not there, or not to be seen."""

    size: int | None = None
    mtime_ns: int | None = None


Seen = Mapping[Path, Evidence]


def evidence_of(paths: Iterable[Path]) -> dict[Path, Evidence]:
    """What the files are now."""
    return {path: _evidence(path) for path in paths}


def is_settled(seen: Seen, now_ns: int) -> bool:
    """Whether a later change would show, of all; `now_ns` is this computer's clock."""
    return all(_is_settled(each, now_ns) for each in seen.values())


def digest_of(path: Path) -> str:
    """SHA-256 of a file's content; empty where there is none. OSError."""
    found = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while part := stream.read(_AT_ONCE):
                found.update(part)
    except FileNotFoundError:
        return ""
    return found.hexdigest()


def _evidence(path: Path) -> Evidence:
    try:
        status = path.stat()
    except OSError:
        return Evidence()
    return Evidence(status.st_size, status.st_mtime_ns)


def _is_settled(evidence: Evidence, now_ns: int) -> bool:
    if evidence.mtime_ns is None:
        return True
    tick_ns = _TICK_NS if evidence.mtime_ns % _S else _COARSE_TICK_NS
    return not -tick_ns < now_ns - evidence.mtime_ns < tick_ns
