"""The results of every vehicle and topside, bounded: the ones quiet for longest make room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidesync.fleet.history import share_of
from tidesync.fleet.vehicle import Results

if TYPE_CHECKING:
    from collections.abc import Collection, ItemsView, Iterator, Sequence, ValuesView

    from runtime.clock import Reading
    from schemas.messages import OffsetResult
    from tidesync.fleet.vehicle import VehicleInfo


class Measured:
    """What is known of each (vehicle, topside), the one quiet for longest first."""

    def __init__(self, most: int, *, histories: bool) -> None:
        self.topsides: dict[str, list[str]] = {}
        """Those that measure each vehicle, by name."""
        self._most = most
        self._share = 1.0 if histories else 0.0
        self._results: dict[tuple[str, str], Results] = {}
        self._several: dict[str, None] = {}

    def __contains__(self, vehicle: str) -> bool:
        return vehicle in self.topsides

    def get(self, vehicle: str, topside: str) -> Results | None:
        """What is known of one."""
        return self._results.get((vehicle, topside))

    def items(self) -> ItemsView[tuple[str, str], Results]:
        """All of them."""
        return self._results.items()

    def changes(
        self, vehicles: dict[str, VehicleInfo], after: int, *, any_row: bool
    ) -> Iterator[tuple[str, str | None, Results | None]]:
        """The rows that have changed since version `after`; with the results where only its numbers have.

        Also `vehicles` has the one heard last at its end. `any_row`: others than the last may have changed.
        """
        for vehicle, info in reversed(vehicles.items()):
            if info.version > after:
                for topside in self.topsides.get(vehicle, (None,)):
                    yield vehicle, topside, None
            elif not any_row:
                break
        for (vehicle, topside), known in reversed(self._results.items()):
            if known.version > after:
                seen = vehicles.get(vehicle)
                if seen is None or seen.version <= after:
                    yield vehicle, topside, None if known.row_version > after else known
            elif not any_row:
                break

    def values(self) -> ValuesView[Results]:
        """All of them, without their names."""
        return self._results.values()

    def of(self, vehicle: str) -> Sequence[Results]:
        """By each topside that measures it."""
        return [self._results[vehicle, topside] for topside in self.topsides.get(vehicle, ())]

    @property
    def several(self) -> Collection[str]:
        """The vehicles that several topsides have measured."""
        return self._several.keys()

    def heard(self, vehicle: str, topside: str) -> None:
        """From now on that one is the last."""
        key = (vehicle, topside)
        self._results[key] = self._results.pop(key)

    def make_room(self) -> tuple[str, str] | None:
        """Drop the one quiet for longest if there is no room for another; returns which."""
        if len(self._results) < self._most:
            return None
        quietest = next(iter(self._results))
        self.drop(*quietest)
        return quietest

    def first(self, result: OffsetResult, received: Reading, *, retained: bool) -> Results:
        """Take the first result of a vehicle by a topside."""
        if self._share:
            self._share_histories(len(self._results) + 1)
        known = Results.first(result, received, retained=retained, share=self._share)
        self._results[result.vehicle, result.topside] = known
        known_by = self.topsides.get(result.vehicle, ())
        self.topsides[result.vehicle] = sorted((*known_by, result.topside))
        if known_by:
            self._several[result.vehicle] = None
        return known

    def drop(self, vehicle: str, topside: str) -> bool:
        """Forget one; whether it was known."""
        if self._results.pop((vehicle, topside), None) is None:
            return False
        self.topsides[vehicle].remove(topside)
        if len(self.topsides[vehicle]) == 1:
            del self._several[vehicle]
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
