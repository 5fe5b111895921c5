"""Messages held in memory while a session is being resumed, up to a limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator

_Take = Callable[[], None]


class Held:
    """Each is taken later as if it had just come, in the order of arrival.

    What comes when `most` exchanges, pieces and others are held is dropped and counted; exchanges and pieces
    are then missing, and requested later.
    """

    def __init__(self, most: int) -> None:
        self.size = 0
        self.dropped = 0
        self._most = most
        self._takes: list[_Take] = []

    def __iter__(self) -> Iterator[_Take]:
        return iter(self._takes)

    def add(self, take: _Take, size: int) -> None:
        """Hold a message of `size` lines."""
        if self.size + size > self._most:
            self.dropped += size
            return
        self.size += size
        self._takes.append(take)
