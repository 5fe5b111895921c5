"""Which vehicle is to be served when, pure: one standing time a vehicle, the nearest asked for."""

from __future__ import annotations

import heapq

_NEVER_NS = 2**63


class DeadlineQueue:
    """Times are topside's RAW, in ns."""

    def __init__(self) -> None:
        self._due: list[tuple[int, str]] = []
        self._standing: dict[str, int] = {}

    def wake(self, vehicle: str, due_ns: int) -> None:
        """Have `vehicle` named by `pop` at `due_ns`, or earlier if that was asked for."""
        standing_ns = self._standing.get(vehicle)
        if standing_ns is None or due_ns < standing_ns:
            self._standing[vehicle] = due_ns
            heapq.heappush(self._due, (due_ns, vehicle))

    def pop(self, now_ns: int) -> str | None:
        """A vehicle that is to be served at `now_ns`; it is named once."""
        while self._due and self._due[0][0] <= now_ns:
            due_ns, vehicle = heapq.heappop(self._due)
            if self._standing.get(vehicle) == due_ns:  # else a nearer time has replaced it
                del self._standing[vehicle]
                return vehicle
        return None

    def forget(self, vehicle: str) -> None:
        """Name `vehicle` no more."""
        self._standing.pop(vehicle, None)

    @property
    def due_ns(self) -> int:
        """When `pop` has something to name at the earliest; far off when there is nothing."""
        return self._due[0][0] if self._due else _NEVER_NS
