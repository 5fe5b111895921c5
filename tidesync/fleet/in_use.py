"""Whose result of each vehicle is in use, pure: `schemas.choice` for a whole fleet, as time goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.choice import chosen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.fleet.vehicle import Results


class TopsidesInUse:
    """The topside in use of each vehicle that several have measured; another vehicle's is its only one."""

    def __init__(self) -> None:
        self._chosen: dict[str, str | None] = {}

    def is_in_use(self, vehicle: str, known: Results) -> bool:
        """Whether `known`, of `vehicle`, is to be used while it is fresh."""
        if vehicle in self._chosen:
            return self._chosen[vehicle] == known.topside
        return chosen([known]) is known

    def of(self, vehicle: str) -> str | None:
        """The topside in use of a vehicle that several have measured."""
        return self._chosen.get(vehicle)

    def choose(self, vehicle: str, fresh: Sequence[Results]) -> bool:
        """Choose of the `fresh` results of a vehicle that several have measured; whether that is another one.

        While none is fresh, the last one stays in use: there is nothing better to go on from.
        """
        known = vehicle in self._chosen
        if known and not fresh:
            return False
        before = self._chosen.get(vehicle)
        found = chosen(fresh, before)
        self._chosen[vehicle] = found.topside if found else None
        return not known or before != self._chosen[vehicle]

    def forget(self, vehicle: str) -> None:
        """A result of `vehicle` was dropped: choose of the others again."""
        self._chosen.pop(vehicle, None)
