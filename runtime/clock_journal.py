"""A bounded file of a machine's clock history, which outlives the process that kept it.

It holds lines as `clock.jsonl` does. It is appended to without a sync: a power cut may take what the system
had not written yet. Without its file (a full disk, no rights) a process goes on with what it has in memory.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from runtime import files
from schemas.base import InvalidMessageError
from schemas.clock_history import ClockLine, ClockPiece

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_log = logging.getLogger(__name__)

MOST_BYTES = 8_000_000
"""A longer file is written again with half of it at most, the newest; some 30 000 lines."""
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | files.SAFE_FLAGS


class ClockJournal:
    """The journal of one machine's processes; `path` None keeps none. Used by one thread, by one process."""

    def __init__(self, path: Path | None, *, most_bytes: int = MOST_BYTES) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._size = 0
        self._warned = False
        self._open()

    def earlier(self, instance_id: str) -> tuple[str, list[tuple[int, ClockPiece]]] | None:
        """Boot id and pieces of a process of before; None if there is nothing of it."""
        if self._path is None:
            return None
        wanted = instance_id.encode()
        try:
            content = files.read(self._path) or b""
        except OSError:
            return None
        found = [line for line in content.splitlines(keepends=True) if wanted in line]
        lines = [line for line in _decoded(b"".join(found)) if line.instance_id == instance_id]
        if not lines:
            return None
        return lines[-1].boot_id, latest((line.number, _piece_of(line)) for line in lines)

    def append(self, lines: Sequence[ClockLine]) -> None:
        """Write `lines`; what cannot be written is left out, which is logged once."""
        if self._path is None or not lines:
            return
        content = _encoded(lines)
        try:
            if self._size + len(content) > self._most_bytes:
                self._shorten()
            descriptor = os.open(self._path, _APPEND, 0o644)
            try:
                files.write_all(descriptor, content)
            finally:
                os.close(descriptor)
        except OSError as error:
            self._warn(self._path, error)
            return
        self._size += len(content)

    def _shorten(self) -> None:
        """Keep the newest half; each piece once."""
        assert self._path is not None
        lines = {line.key: line for line in _decoded(files.read(self._path) or b"")}
        content = _encoded(list(lines.values()))
        if len(content) > self._most_bytes // 2:
            dropped = len(content) - self._most_bytes // 2
            content = content[dropped:].partition(b"\n")[2]
            _log.warning(
                "%s is full: the oldest %d bytes of the clock's history are gone", self._path, dropped
            )
        files.replace(self._path, content)
        self._size = len(content)

    def _open(self) -> None:
        """Make the folder, and end a line that a power cut left torn."""
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            content = files.read(self._path) or b""
            if content and not content.endswith(b"\n"):
                content += b"\n"
                files.replace(self._path, content)
            self._size = len(content)
        except OSError as error:
            self._warn(self._path, error)

    def _warn(self, path: Path, error: OSError) -> None:
        if not self._warned:
            _log.warning("the clock's history is kept in memory only: %s", files.unusable(path, error))
        self._warned = True


def _decoded(content: bytes) -> Iterable[ClockLine]:
    for line in content.splitlines():
        try:
            yield ClockLine.decode(line)
        except InvalidMessageError:
            continue  # torn


def _encoded(lines: Sequence[ClockLine]) -> bytes:
    return b"".join(line.encode() + b"\n" for line in lines)


def _piece_of(line: ClockLine) -> ClockPiece:
    return ClockPiece(**{name: getattr(line, name) for name in ClockPiece.model_fields})


def latest(numbered: Iterable[tuple[int, ClockPiece]]) -> list[tuple[int, ClockPiece]]:
    """Of pieces of one process, in the order of their publication: each number once, the latest issue.

    A piece that was merged from several takes the place of those.
    """
    found = dict(numbered)
    kept: list[tuple[int, ClockPiece]] = []
    covered = -1
    for number in sorted(found):
        if number > covered:
            kept.append((number, found[number]))
            last = found[number].last
            covered = number if last is None else last
    return kept
