"""paho's client with a limit on what it keeps of one packet; its private names are here and in `paho_compat`.

paho asks the socket for all that a packet's header promises. Where another version of paho does not call
`_sock_recv` there is no limit: a broker can then make the process take the memory of MQTT's largest packet.
"""

from __future__ import annotations

from paho.mqtt.client import Client

from broker.client.packets import MalformedPacketError, PacketTooLargeError
from schemas.base import MAX_PACKET_BYTES

MOST_FRAME_BYTES = 4 * MAX_PACKET_BYTES
"""Of a WebSocket's frame, which may hold many packets: paho keeps it whole, and copies it at each read."""


class LimitedClient(Client):
    """A connection that brings a packet beyond `MAX_PACKET_BYTES` ends; `take_reason` says so once."""

    _ended_because: str | None = None

    def take_reason(self) -> str | None:
        """Why this end has closed the last connection, if what the broker sent was the reason."""
        reason, self._ended_because = self._ended_because, None
        return reason

    def refuse(self, error: MalformedPacketError) -> None:
        """Keep the reason; the caller ends the connection."""
        self._ended_because = str(error)

    def _sock_recv(self, bufsize: int) -> bytes:
        try:
            if bufsize > MAX_PACKET_BYTES:
                raise PacketTooLargeError(bufsize)
            check_frame(self.socket())
        except MalformedPacketError as error:
            self.refuse(error)
            raise ConnectionError(str(error)) from error
        return super()._sock_recv(bufsize)


def check_frame(stream: object) -> None:
    """MalformedPacketError when `stream` is paho's WebSocket and keeps more of a frame than it may."""
    if len(getattr(stream, "_readbuffer", b"")) > MOST_FRAME_BYTES:
        raise MalformedPacketError(f"a WebSocket frame of more than {MOST_FRAME_BYTES} bytes")
