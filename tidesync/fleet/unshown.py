"""How many vehicles are not kept for want of room, so that a surface can say it; bounded."""

from __future__ import annotations

MOST_COUNTED = 100_000


class Unshown:
    """The vehicles that were dropped to make room, and were not heard again; `MOST_COUNTED` at most."""

    def __init__(self) -> None:
        self._hashes: set[int] = set()

    def __len__(self) -> int:
        return len(self._hashes)

    def dropped(self, vehicle: str) -> None:
        """Nothing of `vehicle` is kept any more."""
        if len(self._hashes) < MOST_COUNTED:
            self._hashes.add(hash(vehicle))

    def kept(self, vehicle: str) -> None:
        """`vehicle` is kept again, or is known to be gone."""
        self._hashes.discard(hash(vehicle))
