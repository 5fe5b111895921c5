"""The newest identities of something that peers send, pure: bounded, since they come from the network."""

from __future__ import annotations

from typing import Generic, TypeVar

_Id = TypeVar("_Id")


class Recent(Generic[_Id]):
    """Remembers the `most` newest; one that was forgotten is new again."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._ids: dict[_Id, None] = {}

    def add(self, new: _Id) -> bool:
        """Remember it; whether it was new."""
        if new in self._ids:
            return False
        self._ids[new] = None
        if len(self._ids) > self._most:
            del self._ids[next(iter(self._ids))]
        return True
