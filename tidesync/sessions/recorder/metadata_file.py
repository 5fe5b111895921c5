"""`sync_metadata.json` on the disk, which another program writes too, and not atomically."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from runtime.files import read, replace_unchanged
from schemas.instants import utc_from_ns
from tidesync.sessions.document import Document, NotMetadataError, parse, render
from tidesync.sessions.recorder import files
from tidesync.sessions.recorder.metadata import merge

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.clock import Reading
    from tidesync.sessions.recorder.metadata import MetadataUpdate

_log = logging.getLogger(__name__)

UNCHANGED_NS = 3_000_000_000
"""A file that cannot be parsed may be half written. It is set aside once neither its content nor its time of
modification has changed for this long, by the recorder's RAW: the wall clock and the file's own time prove
nothing. A program that stops for longer within its writing finds its file set aside."""
_ATTEMPTS = 5
"""Readings in one update: the next one finds what was being written complete."""


class MetadataFile:
    """Merges our part into the file and loses no key of the other program."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._content: bytes | None = None
        """As it was when our part was last in it."""
        self._seen: tuple[int, int, int] | None = None
        """Inode, time of modification and size of the file that was found to hold it."""
        self._unusable: tuple[int, int, bytes] | None = None
        """Inode, time of modification and content of what could not be parsed."""
        self._since_ns = 0

    def merge(self, update: MetadataUpdate, now: Reading) -> None:
        """Write our part, unless the file is being written: then it is done at a later call. OSError."""
        for _ in range(_ATTEMPTS):
            content = read(self.path)
            existing: Document | None = None
            try:
                existing = None if content is None else parse(content)
                self._unusable = None
            except NotMetadataError as error:
                if content is None or not self._set_aside(content, str(error), now):
                    continue
                content = None
            merged = merge(existing, update, utc_from_ns(now.realtime_ns))
            ours = content if merged is None else render(merged)
            if merged is None or replace_unchanged(self.path, ours or b"", content):
                self._content, self._seen = ours, None
                return

    def changed(self) -> bool:
        """Whether somebody else has written or removed the file since `merge`. OSError."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return self._content is not None
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen == self._seen:
            return False
        if read(self.path) != self._content:
            return True
        self._seen = seen
        return False

    def _set_aside(self, content: bytes, reason: str, now: Reading) -> bool:
        """Rename what has not been parsed for long enough; whether that was done."""
        status = self.path.stat()
        found = (status.st_ino, status.st_mtime_ns, content)
        if found != self._unusable:
            self._unusable, self._since_ns = found, now.raw_ns
        if now.raw_ns - self._since_ns < UNCHANGED_NS:
            return False
        aside = files.set_aside(self.path, utc_from_ns(now.realtime_ns), content)
        if aside is not None:
            _log.warning("%s: %s; kept as %s and replaced by a new one", self.path, reason, aside.name)
        return aside is not None
