"""What a topside subscribes to for single vehicles: exchanges of those it follows, results of successors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas import topics

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from broker.interface import MqttConnection

_FILTERS = 100  # in one packet


class GroupFilters:
    """Network thread only."""

    def __init__(self, root: str, connection: MqttConnection) -> None:
        self._root, self._connection = root, connection

    def exchanges_of(self, vehicle: str) -> str:
        """The exchanges of `vehicle` with every topside."""
        return topics.subscription(self._root, topics.EXCHANGE, vehicle=vehicle)

    def offset_of(self, vehicle: str, successor: str) -> str:
        """The results of topside `successor` for `vehicle`."""
        return topics.build(self._root, topics.OFFSET, vehicle=vehicle, topside=successor)

    def again(self, followed: Iterable[str], watched: Iterable[tuple[str, str]]) -> None:
        """A new connection: ask for all of it."""
        self.change([*map(self.exchanges_of, followed), *(self.offset_of(*pair) for pair in watched)], [])

    def change(self, wanted: Sequence[str], unwanted: Sequence[str]) -> None:
        """Ask for some, and for others no longer; without a connection nothing, `again` does it."""
        if not self._connection.up:
            return
        for first in range(0, len(wanted), _FILTERS):
            self._connection.subscribe([(name, 0) for name in wanted[first : first + _FILTERS]])
        if unwanted:
            self._connection.unsubscribe(unwanted)
