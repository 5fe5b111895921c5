"""paho's client with a limit on what it keeps of one packet; paho's private name for it is used here alone.

paho asks the socket for all that a packet's header promises. Where another version of paho does not call
`_sock_recv` there is no limit: a broker can then make the process take the memory of MQTT's largest packet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from paho.mqtt.client import Client

from broker.client.packets import PacketTooLargeError
from schemas.base import MAX_MESSAGE_BYTES, MAX_PACKET_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.interface import Outgoing
    from runtime.logs import RateLimitedLog

MOST_FRAME_BYTES = 4 * MAX_PACKET_BYTES
"""Of a WebSocket's frame, which may hold many packets: paho keeps it whole, and copies it at each read."""


class LimitedClient(Client):
    """A connection that brings a packet beyond `MAX_PACKET_BYTES` ends; `take_reason` says so once."""

    _ended_because: str | None = None

    def take_reason(self) -> str | None:
        """Why this end has closed the last connection, if what the broker sent was the reason."""
        reason, self._ended_because = self._ended_because, None
        return reason

    def refuse(self, reason: PacketTooLargeError | str) -> None:
        """Keep the reason; the caller ends the connection."""
        self._ended_because = str(reason)

    def _sock_recv(self, bufsize: int) -> bytes:
        error = PacketTooLargeError(bufsize) if bufsize > MAX_PACKET_BYTES else frame_fault(self.socket())
        if error is not None:
            self.refuse(error)
            raise ConnectionError(str(error))
        return super()._sock_recv(bufsize)


def frame_fault(stream: object) -> PacketTooLargeError | None:
    """The error when `stream` is paho's WebSocket and keeps more of a frame than it may."""
    kept = len(getattr(stream, "_readbuffer", b""))
    return PacketTooLargeError(kept, "WebSocket frame", MOST_FRAME_BYTES) if kept > MOST_FRAME_BYTES else None


def fitting(messages: Sequence[Outgoing], limited_log: RateLimitedLog) -> list[Outgoing]:
    """The messages that readers accept; each other is named in the log."""
    fit = []
    for message in messages:
        if (size := len(message.payload)) <= MAX_MESSAGE_BYTES:
            fit.append(message)
        else:
            limited_log.warning(
                f"not published: {size} bytes on {message.topic}, more than {MAX_MESSAGE_BYTES}"
            )
    return fit
