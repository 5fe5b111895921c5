"""Who measures whom, pure: the newest result of each (vehicle, topside), and which topsides are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.messages import OffsetResult
    from tidesync.sessions.journal import Stream

_MOST = 10_000
"""Names come from the network; a flood of them must not fill the memory."""


class Directory:
    """Known before a session starts, so that its first result and its bursts need no waiting."""

    def __init__(self) -> None:
        self._results: dict[Stream, OffsetResult] = {}
        self._online: dict[str, bool] = {}

    @property
    def results(self) -> Iterable[OffsetResult]:
        """The newest result of each; how old it is, its own stamp says."""
        return self._results.values()

    def note_result(self, result: OffsetResult) -> None:
        """Keep a result."""
        stream = (result.vehicle, result.topside)
        if stream in self._results or len(self._results) < _MOST:
            self._results[stream] = result

    def note_status(self, topside: str, *, online: bool) -> None:
        """A topside came or went; a status is a hint."""
        if topside in self._online or len(self._online) < _MOST:
            self._online[topside] = online

    def measured_by(self, vehicles: Iterable[str]) -> list[Stream]:
        """Whom to ask for a burst of each of `vehicles` (none: of all that are known)."""
        wanted = tuple(vehicles) or tuple(dict.fromkeys(vehicle for vehicle, _ in self._results))
        return [(vehicle, topside) for vehicle in wanted for topside in self._topsides(vehicle)]

    def _topsides(self, vehicle: str) -> list[str]:
        known = [topside for other, topside in self._results if other == vehicle]
        there = [topside for topside in known if self._online.get(topside, True)]
        return there or [topside for topside, online in self._online.items() if online]
