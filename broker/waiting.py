"""Waiting for the client's socket or another thread, and giving the socket what it waits for."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from paho.mqtt.client import SocketLike

    from broker.client import PlainClient
    from broker.wakeup import Wakeup

_FAREWELL_NS = 400_000_000


class Waiting:
    """One connected client's turns on the network."""

    def __init__(self, client: PlainClient, wakeup: Wakeup) -> None:
        self._client = client
        self._wakeup = wakeup

    def turn(self, pause_s: float) -> None:
        """Wait so long at most; then read and write what there is, and keep the connection alive."""
        self._wait(pause_s)
        self._client.loop_misc()

    def leave(self, raw_ns: Callable[[], int]) -> None:
        """Give what was published a moment to be acknowledged, then disconnect."""
        client, deadline_ns = self._client, raw_ns() + _FAREWELL_NS
        while client.is_connected() and client.unacknowledged and raw_ns() < deadline_ns:
            self._wait(0.05)
        client.disconnect()
        client.loop_write()

    def _wait(self, pause_s: float) -> None:
        tcp = self._client.socket()
        if tcp is None:
            return
        if self._client.pending():  # it has read more than was asked for
            pause_s = 0
        readers: list[SocketLike | Wakeup] = [tcp, self._wakeup]
        writers = [tcp] if self._client.want_write() or self._client.unsent else []
        try:
            readable, writable, _ = select.select(readers, writers, [], pause_s)
        except (OSError, ValueError):  # closed meanwhile; the next turn says so
            return
        if self._wakeup in readable:
            self._wakeup.drain()
        if writable:
            self._client.flush()
            self._client.loop_write()
        if tcp in readable or pause_s == 0:
            self._client.loop_read()
