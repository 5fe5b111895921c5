"""The end of a recording, pure: what is still taken, and until when the last exchanges are awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from schemas.exchange import UDP
from tidesync.sessions.recorder.missing_ranges import REPEAT_REQUEST_NS
from tidesync.sessions.recorder.sources import MOST_STREAMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from schemas.exchange import Exchange
    from tidesync.sessions.journal import Stream

Phase = Literal["recording", "stopping", "ending", "smoothing", "stopped"]
"""Of a session. Stopping: the last exchanges are awaited; ending: the disk is to take them."""
ANSWER_NS = 3_000_000_000
"""A stop is answered when all is written, and no later than this."""
PATIENCE_NS = 3 * REPEAT_REQUEST_NS
"""What a topside may have is awaited for so long after something new has come: three requests."""
AWAY_NS = 20_000_000_000
"""The same of one that is offline: its network may come back."""
HELD_NS = 1_200_000_000
"""A direct exchange waits for its transmit stamp for a second at most: others overtake it."""
LONGEST_STOP_NS = 600_000_000_000
"""Exchanges that are coming back delay the end up to this."""


class Stopping:
    """Begun at a stop; `newest_ns` is topside's realtime at the newest exchange of each vehicle by then.

    Other instants are the recorder's RAW.
    """

    def __init__(self, newest_ns: Mapping[str, int], wait_s: float, now_ns: int) -> None:
        self._newest_ns = newest_ns
        self._wait_ns = round(wait_s * 1e9)
        self._began_ns = self._recorded_ns = now_ns
        self._heard: set[str] = set()
        self._direct: set[str] = set()
        """Vehicles that were measured directly since."""
        self._past: set[Stream] = set()

    def is_answered(self, now_ns: int, *, saved: bool = False) -> bool:
        """Whether who asked for it waits no longer, whatever is still awaited or computed.

        `saved`: the end takes long, and a restart would go on with it.
        """
        return saved or now_ns - self._began_ns >= ANSWER_NS

    def note_recorded(self, now_ns: int) -> None:
        """Something new has come."""
        self._recorded_ns = now_ns

    def wanted(
        self,
        exchanges: Iterable[Exchange],
        is_after: Callable[[Exchange, int], bool],
        prompt_ns: Callable[[Exchange], int | None],
    ) -> tuple[list[Exchange], list[Exchange]]:
        """Those to record, and those of after the stop; each stream's first shows what is missing before.

        `is_after`: whether an exchange is new, and from after an instant. `prompt_ns`: when it would have
        come had it waited nowhere, if that is known.
        """
        taken: list[Exchange] = []
        passed: list[Exchange] = []
        for exchange in exchanges:
            if exchange.method == UDP.name:
                self._direct.add(exchange.vehicle)
            if self._is_last(exchange, prompt_ns(exchange)):
                self._heard.add(exchange.vehicle)
            after = is_after(exchange, self._began_ns + ANSWER_NS) and not self._is_first(exchange)
            (passed if after else taken).append(exchange)
        return taken, passed

    def _is_last(self, exchange: Exchange, came_ns: int | None) -> bool:
        """Whether all of its vehicle until the stop have come: it is newer, and was sent after the stop."""
        if exchange.destination_ns <= self._newest_ns.get(exchange.vehicle, 0):
            return False
        held_ns = HELD_NS if exchange.vehicle in self._direct else 0
        return came_ns is None or came_ns > self._began_ns + held_ns

    def has_heard(self, vehicles: set[str]) -> bool:
        """Whether the last exchanges of all these have come."""
        return vehicles <= self._heard

    def deadline_ns(self, patience_ns: int | None) -> int:
        """Until when to wait: for `patience_ns` after something new has come while something is missing."""
        if patience_ns is None:
            return self._began_ns + self._wait_ns
        wait_ns = max(self._wait_ns, patience_ns)
        return min(max(self._began_ns, self._recorded_ns) + wait_ns, self._began_ns + LONGEST_STOP_NS)

    def _is_first(self, exchange: Exchange) -> bool:
        stream = exchange.vehicle, exchange.topside
        first = stream not in self._past
        if first and len(self._past) < MOST_STREAMS:
            self._past.add(stream)
        return first
