"""SocketLoop for the client's socket or another thread, and giving the socket what it waits for."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from broker.client.readiness import READABLE, WOKEN, WRITABLE, readiness

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.client.plain import PlainClient
    from broker.client.wakeup import Wakeup

_FAREWELL_NS = 400_000_000
_KEEP_ALIVE_S = 0.25
"""Between two looks whether the connection needs a sign of life, or has been silent for too long."""


class SocketLoop:
    """One connected client's turns on the network."""

    def __init__(self, client: PlainClient, wakeup: Wakeup) -> None:
        self._client = client
        self._wakeup = wakeup
        self._ready = readiness(wakeup)
        self._look_at_s = 0.0

    def turn(self, pause_s: float) -> None:
        """Wait so long at most; then read and write what there is, and keep the connection alive."""
        self._wait(pause_s)
        now_s = monotonic()
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + _KEEP_ALIVE_S
            self._client.loop_misc()

    def leave(self, raw_ns: Callable[[], int]) -> None:
        """Give what was published a moment to be acknowledged, then disconnect."""
        client, deadline_ns = self._client, raw_ns() + _FAREWELL_NS
        while client.is_connected() and client.unacknowledged and raw_ns() < deadline_ns:
            self._wait(0.05)
        client.disconnect()
        client.loop_write()

    def _wait(self, pause_s: float) -> None:
        client = self._client
        tcp = client.socket()
        if tcp is None:
            return
        has_more = client.pending()  # it has read more than was asked for
        try:
            ready = self._ready.wait(tcp, 0.0 if has_more else pause_s, writes=client.wants_to_write)
        except (OSError, ValueError):  # closed meanwhile; the next turn says so
            return
        if ready & WOKEN:
            self._wakeup.drain()
        if ready & WRITABLE:
            client.flush()
            client.loop_write()
        if ready & READABLE or has_more:
            client.loop_read()
