"""What a fleet's model no longer has, pure and bounded: a reader of changes drops that, and no more."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

MOST_REMOVALS = 1000
"""Kept for readers that come back; one that has missed more reads everything again."""


class RowKey(NamedTuple):
    """A row: a vehicle as a topside measures it, or as no topside does."""

    vehicle: str
    topside: str | None


class Removals:
    """Rows and sessions (by name) that were removed, and since which version; `count` counts them."""

    def __init__(self) -> None:
        self.count = 0
        self._log: deque[tuple[int, RowKey | str]] = deque()
        self._forgotten = 0  # the version of the last one that is not kept

    def note(self, version: int, removed: RowKey | str) -> None:
        """`removed` is gone since `version`."""
        self.count += 1
        self._log.append((version, removed))
        if len(self._log) > MOST_REMOVALS:
            self._forgotten, _ = self._log.popleft()

    def after(self, version: int) -> list[RowKey | str] | None:
        """What was removed later than `version`, in order; None where that is no longer known."""
        if version < self._forgotten:
            return None
        found: list[RowKey | str] = []
        for at, removed in reversed(self._log):
            if at <= version:
                break
            found.append(removed)
        return found[::-1]
