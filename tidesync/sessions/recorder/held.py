"""Messages held in memory while a session's folder is read, up to a limit; and when to read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidesync.sessions.document import Document
    from tidesync.sessions.recorder.sources import SourceState

_Take = Callable[[], None]
_AGAIN_NS = 5_000_000_000


class Held:
    """Each is taken later as if it had just come, in the order of arrival.

    What comes when `most` exchanges, pieces and others are held is dropped and counted; exchanges and pieces
    are then missing, and requested later. `block` is ours in the folder's metadata, `before` what had been
    counted in another folder. Instants are the recorder's RAW.
    """

    def __init__(self, most: int, block: Document, before: list[SourceState] | None = None) -> None:
        self.block = block
        self.before = before
        self.dropped = 0
        self._size = 0
        self._most = most
        self._takes: list[_Take] = []
        self._due_ns: int | None = 0

    def __iter__(self) -> Iterator[_Take]:
        return iter(self._takes)

    def begin(self, now_ns: int) -> bool:
        """Whether the folder is to be read now; it is then not due again until `try_again`."""
        due = self._due_ns is not None and now_ns >= self._due_ns
        if due:
            self._due_ns = None
        return due

    def try_again(self, now_ns: int) -> None:
        """It could not be read."""
        self._due_ns = now_ns + _AGAIN_NS

    def add(self, take: _Take, size: int) -> None:
        """Hold a message of `size` lines."""
        if self._size + size > self._most:
            self.dropped += size
            return
        self._size += size
        self._takes.append(take)
