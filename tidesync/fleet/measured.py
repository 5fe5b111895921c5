"""The results of every vehicle and topside, bounded: the ones quiet for longest make room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidesync.fleet.history import share_of
from tidesync.fleet.vehicle import Results

if TYPE_CHECKING:
    from collections.abc import ItemsView, Sequence, ValuesView

    from runtime.clock import Reading
    from schemas.messages import OffsetResult


class Measured:
    """What is known of each (vehicle, topside), the one quiet for longest first."""

    def __init__(self, most: int, *, histories: bool) -> None:
        self.topsides: dict[str, list[str]] = {}
        """Those that measure each vehicle, by name."""
        self._most = most
        self._share = 1.0 if histories else 0.0
        self._results: dict[tuple[str, str], Results] = {}

    def __contains__(self, vehicle: str) -> bool:
        return vehicle in self.topsides

    def get(self, vehicle: str, topside: str) -> Results | None:
        """What is known of one."""
        return self._results.get((vehicle, topside))

    def items(self) -> ItemsView[tuple[str, str], Results]:
        """All of them."""
        return self._results.items()

    def values(self) -> ValuesView[Results]:
        """All of them, without their names."""
        return self._results.values()

    def of(self, vehicle: str) -> Sequence[Results]:
        """By each topside that measures it."""
        return [self._results[vehicle, topside] for topside in self.topsides.get(vehicle, ())]

    def heard(self, result: OffsetResult) -> Results | None:
        """What is known of the vehicle of `result`, which from now on is the one heard last."""
        key = (result.vehicle, result.topside)
        known = self._results.pop(key, None)
        if known is not None:
            self._results[key] = known
        return known

    def make_room(self) -> str | None:
        """Drop the one quiet for longest if there is no room for another; returns its vehicle."""
        if len(self._results) < self._most:
            return None
        vehicle, topside = next(iter(self._results))
        self.drop(vehicle, topside)
        return vehicle

    def first(self, result: OffsetResult, received: Reading, *, retained: bool) -> Results:
        """Take the first result of a vehicle by a topside."""
        if self._share:
            self._share_histories(len(self._results) + 1)
        known = Results.first(result, received, retained=retained, share=self._share)
        self._results[result.vehicle, result.topside] = known
        known_by = self.topsides.get(result.vehicle, ())
        self.topsides[result.vehicle] = sorted((*known_by, result.topside))
        return known

    def drop(self, vehicle: str, topside: str) -> bool:
        """Forget one; whether it was known."""
        if self._results.pop((vehicle, topside), None) is None:
            return False
        self.topsides[vehicle].remove(topside)
        if not self.topsides[vehicle]:
            del self.topsides[vehicle]
        return True

    def _share_histories(self, count: int) -> None:
        share = share_of(count)
        if share != self._share:
            self._share = share
            for known in self._results.values():
                if known.history:
                    known.history.limit(share)
