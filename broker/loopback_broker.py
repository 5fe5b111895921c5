"""amqtt's broker with what it lacks between programs of one machine: limits, and only what was asked for."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

import websockets.asyncio.server
from amqtt.adapters import (
    ReaderAdapter,
    StreamReaderAdapter,
    StreamWriterAdapter,
    WebSocketsReader,
    WebSocketsWriter,
)
from amqtt.broker import Broker
from amqtt.contexts import ListenerType
from amqtt.errors import MQTTError
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import Session
from websockets import Subprotocol

from broker.client.packets import MalformedPacketError, PacketTooLargeError, body_length
from runtime.listener import Limits, Listener, open_listener
from schemas.base import MAX_PACKET_BYTES

if TYPE_CHECKING:
    import ssl

    from amqtt.adapters import WriterAdapter

_log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0
"""From the connection to the end of CONNECT."""
_LIMITS = Limits(connections=500, per_address=500, first_s=CONNECT_TIMEOUT_S, idle_s=None)
_REFUSED = 0x80
_CHECK_S = 0.5


class WholePackets(ReaderAdapter):  # type: ignore[misc] # amqtt ships no types
    """Takes in a packet at a time, and none that is too large; the stream ends at the first that is."""

    def __init__(self, stream: ReaderAdapter, peer: object) -> None:
        self._stream = stream
        self._peer = peer
        self._packet = b""
        self._ended = False

    async def read(self, n: int = -1) -> bytes:
        """Up to `n` bytes of one packet; none at the end."""
        if not self._packet and not self._ended:
            self._packet = await self._next()
        data, self._packet = self._packet[:n], self._packet[n:]
        return data

    def feed_eof(self) -> None:
        """End the stream."""
        self._stream.feed_eof()

    async def _next(self) -> bytes:
        header = bytearray(await self._stream.read(1))
        try:
            while header and (length := body_length(bytes(header))) is None:
                header += await self._stream.read(1)
        except (MalformedPacketError, PacketTooLargeError) as error:
            _log.warning("the connection of %s ends: %s", self._peer, error)
            self._ended = True
            return b""
        return bytes(header) + (await self._stream.read(length) if header and length else b"")


class LoopbackBroker(Broker):  # type: ignore[misc]
    """One who subscribes gets what matches its own filters; wills and filters are checked as MQTT 3.1.1 asks.

    amqtt sends whoever connects the retained messages of everybody's filters. They are sent here after a
    SUBSCRIBE alone (MQTT 3.1.1, 3.3.1.3).
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self._subscribing: set[str | None] = set()
        self._listeners: list[Listener] = []

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """A client over TCP."""
        peer = writer.get_extra_info("peername")
        try:
            await self._client_connected(
                listener_name, WholePackets(StreamReaderAdapter(reader), peer), StreamWriterAdapter(writer)
            )
        finally:
            writer.close()

    async def ws_connected(
        self, websocket: websockets.asyncio.server.ServerConnection, listener_name: str
    ) -> None:
        """A client over a WebSocket."""
        stream = WholePackets(WebSocketsReader(websocket), websocket.remote_address)
        await self._client_connected(listener_name, stream, WebSocketsWriter(websocket))

    async def start(self) -> None:
        """Listen, and end clients that do not say CONNECT."""
        await super().start()
        self._checking = asyncio.create_task(self._end_idle())

    async def shutdown(self) -> None:
        """Disconnect every client and end."""
        self._checking.cancel()
        await super().shutdown()

    async def _end_idle(self) -> None:
        while True:
            await asyncio.sleep(_CHECK_S)
            for listener in self._listeners:
                listener.end_idle()

    async def _create_server_instance(
        self,
        listener_name: str,
        listener_type: ListenerType,
        address: str | None,
        port: int,
        ssl_context: ssl.SSLContext | None,
    ) -> asyncio.Server | websockets.asyncio.server.Server:
        del ssl_context  # on loopback
        listener = open_listener("--port", (address or "127.0.0.1").strip("[]"), port, _LIMITS)
        self._listeners.append(listener)
        if listener_type == ListenerType.TCP:
            connected = partial(self.stream_connected, listener_name=listener_name)
            return await asyncio.start_server(connected, sock=listener)
        return await websockets.asyncio.server.serve(
            partial(self.ws_connected, listener_name=listener_name),
            sock=listener,
            subprotocols=[Subprotocol("mqtt")],
            max_size=2 * MAX_PACKET_BYTES,
        )

    async def _initialize_client_session(
        self, reader: ReaderAdapter, writer: WriterAdapter, remote_address: str, remote_port: int
    ) -> tuple[BrokerProtocolHandler, Session]:
        try:
            begun = super()._initialize_client_session(reader, writer, remote_address, remote_port)
            handler, session = await asyncio.wait_for(begun, CONNECT_TIMEOUT_S)
        except asyncio.TimeoutError as error:
            raise MQTTError(f"no CONNECT within {CONNECT_TIMEOUT_S:g} s") from error
        if session.will_flag and not is_topic(session.will_topic or ""):
            await writer.close()
            raise MQTTError(f"{session.will_topic!r} is no topic to publish a will on")
        return handler, session

    async def _handle_subscription(
        self,
        client_session: Session,
        handler: BrokerProtocolHandler,
        subscribe_waiter: asyncio.Future[Any],
    ) -> None:
        self._subscribing.add(client_session.client_id)
        try:
            await super()._handle_subscription(client_session, handler, subscribe_waiter)
        finally:
            self._subscribing.discard(client_session.client_id)

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        if session.client_id in self._subscribing:
            await super()._publish_retained_messages_for_subscription(subscription, session)

    async def add_subscription(self, subscription: tuple[str, int], session: Session) -> int:
        """Subscribe, or refuse what is no filter."""
        if not subscription[0] or "\0" in subscription[0]:
            return _REFUSED
        return int(await super().add_subscription(subscription, session))


def is_topic(topic: str) -> bool:
    """Whether a client may publish on `topic`: no wildcard, no NUL, not the broker's own."""
    return bool(topic) and not topic.startswith("$") and not set("+#\0") & set(topic)
