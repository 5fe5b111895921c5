"""Every private name of paho that this package uses, each with its reason, but the one of `limited`.

They were tested with the versions in `TESTED`. With another version, or where `contract_fault` or the
self-test of `broker.client.make` finds a change, the plain client is used, which needs the names in
`aim`, and for its limit `_sock_recv`.
"""

from __future__ import annotations

import contextlib
import inspect
import ssl
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import paho.mqtt
from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from broker.client.limited import frame_fault
from broker.client.plain import PlainClient, tune

if TYPE_CHECKING:
    import socket

    from paho.mqtt.client import SocketLike

    from broker.client.one_step import OneStepPacket
    from broker.client.stamping_tls import StampingTls

VERSION: str = paho.mqtt.__version__
TESTED = ("2.2",)
"""Minor versions whose private names were tested; keep `paho-mqtt` in pyproject.toml in step."""


class PrivateName(NamedTuple):
    """A private name of `paho.mqtt.client.Client`: what it must look like, and why it is needed."""

    name: str
    expected: str
    """The parameters of a method, the type of an attribute."""
    reason: str


METHODS = (
    PrivateName("_create_socket_connection", "(self)", "the kernel must stamp from the first byte on"),
    PrivateName("_ssl_wrap_socket", "(self, tcp_sock)", "Python's SSLSocket loses the kernel's stamps"),
    PrivateName("_create_socket", "(self)", "a WebSocket frame must be taken whole, or not at all"),
    PrivateName("_packet_handle", "(self)", "paho handles every packet but PUBLISH, PUBACK and SUBACK"),
    PrivateName("_packet_write", "(self)", "a queued packet gets its one-step timestamp in its last slice"),
    PrivateName("_loop_rc_handle", "(self, rc)", "only paho can end a connection in its own state"),
    PrivateName("_mid_generate", "(self)", "packet identifiers are shared with paho's SUBSCRIBE"),
)
ATTRIBUTES = (
    PrivateName("_in_packet", "dict", "the packet that `_packet_handle` handles"),
    PrivateName("_in_messages", "OrderedDict", "what came at QoS 2 and is not released takes memory"),
    PrivateName("_out_packet", "deque", "packets must keep their order behind those that wait"),
    PrivateName("_last_bytes_received", "float", "paho's keepalive must know of the bytes read here"),
    PrivateName("_ssl_context", "NoneType", "renewed certificates need a new context"),
    PrivateName("_ssl", "bool", "of several brokers some are spoken to without TLS"),
    PrivateName("_transport", "str", "of several brokers some are spoken to through WebSockets"),
    PrivateName("_client_id", "bytes", "of several brokers each may have an account of its own"),
    PrivateName("_connect_timeout", "float", "of several brokers one that is away must not hold up the next"),
)


def contract_fault() -> str | None:
    """What this paho changed of the names above, in a sentence; None when it is as tested."""
    if ".".join(VERSION.split(".")[:2]) not in TESTED:
        return f"paho {VERSION} was not tested, only {', '.join(f'{version}.x' for version in TESTED)}"
    client = Client(CallbackAPIVersion.VERSION2)
    for name, expected, reason in METHODS:
        method = getattr(Client, name, None)
        if method is None:
            return f"paho {VERSION} has no Client.{name} any more ({reason})"
        found = f"({', '.join(inspect.signature(method).parameters)})"
        if found != expected:
            return f"paho {VERSION} changed Client.{name} from {expected} to {found} ({reason})"
    for name, expected, reason in ATTRIBUTES:
        if not hasattr(client, name):
            return f"paho {VERSION} has no Client.{name} any more ({reason})"
        found = type(getattr(client, name)).__name__
        if found != expected:
            return f"paho {VERSION} changed Client.{name} from {expected} to {found} ({reason})"
    return None


def aim(
    client: Client,
    *,
    websocket: bool,
    context: ssl.SSLContext | None,
    timeout_s: float,
    client_id: str | None,
) -> None:
    """Have the next connect go elsewhere: without TLS where `context` is None, by `client_id` if given.

    paho's own methods refuse a second TLS context, and any change after a connect that failed.
    """
    client._transport = "websockets" if websocket else "tcp"  # noqa: SLF001
    client._connect_timeout = timeout_s  # noqa: SLF001
    client._ssl_context = None  # noqa: SLF001
    client._ssl = False  # noqa: SLF001
    if context is not None:
        client.tls_set_context(context)
    if client_id is not None:
        client._client_id = client_id.encode()  # noqa: SLF001


class WebSocketFrames(Protocol):
    """paho's wrapper: `send` frames its data, or continues the frame before while a part of it is left."""

    _sendbuffer: bytearray
    """What is left of a frame; no public method tells."""

    def recv(self, length: int) -> bytes:
        """Up to `length` bytes of one frame."""

    def send(self, data: bytes | bytearray) -> int:
        """Bytes taken, 0 while a part of a frame is left."""

    def fileno(self) -> int:
        """The socket's."""

    def setblocking(self, flag: bool) -> None:
        """As on the socket."""

    def close(self) -> None:
        """Close the socket."""


class WebSocketFramer:
    """What paho asks of a socket; a frame that the socket would not take yet is `unsent` until `flush`."""

    def __init__(self, frames: WebSocketFrames, tls: StampingTls | None) -> None:
        self._frames = frames
        self._tls = tls
        self.fileno = frames.fileno
        self.setblocking = frames.setblocking
        self.close = frames.close

    def recv(self, length: int) -> bytes:
        """Up to `length` bytes of one frame; PacketTooLargeError for a frame beyond the limit."""
        if error := frame_fault(self._frames):
            raise error
        return self._frames.recv(length)

    def send(self, data: bytes | bytearray) -> int:
        """Frame and send; BlockingIOError, with nothing taken, while an earlier frame is unsent."""
        self.flush()
        with contextlib.suppress(BlockingIOError):
            self._frames.send(data)
        return len(data)

    @property
    def unsent(self) -> bool:
        """Whether a frame waits for the socket to be writable."""
        return bool(self._frames._sendbuffer) or (self._tls is not None and self._tls.unsent)  # noqa: SLF001

    def flush(self) -> None:
        """Send what is left of a frame; BlockingIOError when not all of it could be."""
        while self._frames._sendbuffer:  # noqa: SLF001
            self._frames.send(b"")
        if self._tls:
            self._tls.flush()


class PahoHooks(PlainClient):
    """paho's client with its private names behind methods; the stamping client builds on these alone."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._no_info = MQTTMessageInfo(0)

    # What a subclass may replace

    def open_tcp(self) -> socket.socket:
        """Connect to the broker and tune the socket, which is no `socket.socket` behind a proxy library."""
        tcp = super()._create_socket_connection()
        tune(tcp, self.user_timeout_ms)
        return tcp

    def adopt_tcp(self, tcp: socket.socket) -> socket.socket:
        """The socket to use in place of `tcp`."""
        return tcp

    def adopt_tls(self, context: ssl.SSLContext) -> StampingTls | None:
        """TLS over the adopted socket; None leaves it to paho."""
        del context
        return None

    def adopt_websocket(self, frames: WebSocketFrames) -> WebSocketFramer | None:
        """The framer over paho's wrapper; None leaves it to paho."""
        del frames
        return None

    # What a subclass calls

    def handle_packet(self, command: int, body: bytes) -> MQTTErrorCode:
        """Have paho handle a packet."""
        self._in_packet["command"] = command
        self._in_packet["remaining_length"] = len(body)
        self._in_packet["packet"] = bytearray(body)
        return self._packet_handle()

    @property
    def unreleased(self) -> int:
        """How many messages at QoS 2 the broker has sent and not released."""
        return len(self._in_messages)

    def note_bytes_received(self) -> None:
        """Tell paho's keepalive that the broker is alive."""
        self._last_bytes_received = monotonic()

    def end_connection(self, code: MQTTErrorCode) -> MQTTErrorCode:
        """Close the socket, and call back as paho does."""
        return self._loop_rc_handle(code)

    def next_mid(self) -> int:
        """An unused packet identifier."""
        return self._mid_generate()

    @property
    def queued(self) -> bool:
        """Whether packets wait for the socket to be writable."""
        return bool(self._out_packet)

    def queue_packet(self, packet: bytes | OneStepPacket, sent: int) -> None:
        """Have paho's `loop_write` send `packet` from byte `sent` on, sliced right before each send."""
        self._out_packet.append(
            {
                "command": packet[0],
                "mid": 0,
                "qos": 0,
                "pos": sent,
                "to_process": len(packet) - sent,
                "packet": packet,
                "info": self._no_info,
            }
        )

    # What paho calls

    def _create_socket_connection(self) -> socket.socket:
        return self.adopt_tcp(self.open_tcp())

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        tls = self.adopt_tls(self._ssl_context) if self._ssl_context else None
        if tls is None:
            return super()._ssl_wrap_socket(tcp_sock)
        return cast("ssl.SSLSocket", tls)  # paho asks no more of it than that has

    def _create_socket(self) -> SocketLike:
        made = super()._create_socket()
        framer = self.adopt_websocket(cast("Any", made)) if hasattr(made, "_sendbuffer") else None
        return framer or made
