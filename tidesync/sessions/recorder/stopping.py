"""The end of a recording, pure: until when the last exchanges are awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from schemas.exchange import Exchange

Phase = Literal["recording", "stopping", "ending", "smoothing", "stopped"]
"""Of a session. Stopping: the last exchanges are awaited; ending: the disk is to take them."""
ANSWER_NS = 3_000_000_000
"""A stop is answered when all is written, and no later than this."""
LONGEST_STOP_NS = 60_000_000_000
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

    def is_answered(self, now_ns: int, *, saved: bool = False) -> bool:
        """Whether who asked for it waits no longer, whatever is still awaited or computed.

        `saved`: the end takes long, and a restart would go on with it.
        """
        return saved or now_ns - self._began_ns >= ANSWER_NS

    def note_recorded(self, now_ns: int) -> None:
        """Something new has come."""
        self._recorded_ns = now_ns

    def note_heard(self, exchanges: Iterable[Exchange]) -> None:
        """The vehicles whose newest exchanges have come; one that was sent again is not the newest."""
        self._heard.update(
            exchange.vehicle
            for exchange in exchanges
            if exchange.destination_ns > self._newest_ns.get(exchange.vehicle, 0)
        )

    def has_heard(self, vehicles: set[str]) -> bool:
        """Whether the last exchanges of all these have come."""
        return vehicles <= self._heard

    def deadline_ns(self, *, waiting: bool) -> int:
        """Until when to wait; longer while something that is missing may still come (`waiting`)."""
        if not waiting:
            return self._began_ns + self._wait_ns
        latest_ns = max(self._began_ns, self._recorded_ns) + self._wait_ns
        return min(latest_ns, self._began_ns + LONGEST_STOP_NS)
