"""paho's client with stamps at its socket, and a plain one for where they cannot be had."""

from __future__ import annotations

import contextlib
import functools
import logging
import socket
import ssl
from typing import TYPE_CHECKING, Any, cast

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MessageType

from broker.late_stamp import LatePacket, LateStamp
from broker.stamping_socket import StampingSocket
from broker.stamping_tls import StampingTls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from paho.mqtt.client import MQTTMessageInfo
    from paho.mqtt.enums import MQTTErrorCode

    from broker.stamps import KernelStamp

_log = logging.getLogger(__name__)

_READ = 4096


class PlainClient(Client):
    """paho's client through its public methods alone: stamps are taken in user space."""

    user_timeout_ms = 0

    @property
    def stamps_writes(self) -> bool:
        """Whether `publish_late` stamps at the socket write."""
        return False

    def tune(self) -> bool:
        """Tune the TCP socket beneath; whether Nagle's algorithm is off, as the system itself says."""
        open_socket = self.socket()
        if open_socket is None:
            return False
        with socket.fromfd(open_socket.fileno(), socket.AF_INET, socket.SOCK_STREAM) as tcp:
            _tune(tcp, self.user_timeout_ms)
            return tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0

    def publish_late(self, topic: str, payload: bytes, late: LateStamp, raw_ns: Callable[[], int]) -> None:
        """Publish (QoS 0); where writes are stamped, with `late` read off `raw_ns` at the socket write."""
        del late, raw_ns
        self.publish(topic, payload)

    def arrival(self) -> KernelStamp | None:
        """When the kernel received the packet that is being handled, if it said so."""
        return None

    @property
    def unstamped_because(self) -> str | None:
        """Why the kernel is not asked for stamps."""
        return "paho's socket is not ours"

    def pending(self) -> int:
        """Bytes that `loop_read` would find although the socket is not readable."""
        pending = getattr(self.socket(), "pending", None)
        return pending() if pending else 0

    @property
    def unacknowledged(self) -> bool:
        """Whether something that was published has not reached the broker for certain."""
        return self.want_write() or bool(self._out_messages)

    def peer_certificate(self) -> Mapping[str, Any] | None:
        """The broker's certificate, verified; None without TLS, or where paho hides it."""
        decode = getattr(self.socket(), "getpeercert", None)
        return decode() if decode else None

    @property
    def alert(self) -> ssl.SSLError | None:
        """What TLS said at the end of the last connection, where that can be told."""
        return None

    def flush(self) -> None:
        """Send what the socket would not take before."""

    @property
    def unsent(self) -> bool:
        """Whether `flush` has something to do once the socket is writable."""
        return False


class StampingClient(PlainClient):
    """Hangs on private methods of paho 2.2: `_create_socket_connection`, `_ssl_wrap_socket`, `_packet_queue`.

    `_packet_write` slices each packet right before `send`, which is when a late stamp enters it.
    """

    _tcp: StampingSocket | None = None
    _tls: StampingTls | None = None
    _late: tuple[LateStamp, int, Callable[[], int]] | None = None

    @property
    def stamps_writes(self) -> bool:
        """Whether `publish_late` stamps at the socket write.

        Not on a socket that is not ours: Python's SSLSocket can have sent a part when it asks to be called
        again.
        """
        return self._tcp is not None

    def publish_late(self, topic: str, payload: bytes, late: LateStamp, raw_ns: Callable[[], int]) -> None:
        """Publish (QoS 0) with `late` read off `raw_ns` at the socket write."""
        self._late = (late, len(payload), raw_ns) if self.stamps_writes else None
        try:
            self.publish(topic, payload)
        finally:
            self._late = None

    def arrival(self) -> KernelStamp | None:
        """When the kernel received the packet that is being handled, if it said so."""
        source = self._tls or self._tcp
        return source.arrival() if source else None

    @property
    def unstamped_because(self) -> str | None:
        """Why the kernel is not asked for stamps, or None when it is."""
        return self._tcp.refused if self._tcp else "the connection goes through a proxy library"

    def pending(self) -> int:
        """Bytes that `loop_read` would find although the socket is not readable."""
        source = self._tls or self._tcp
        return source.pending() if source else super().pending()

    def peer_certificate(self) -> Mapping[str, Any] | None:
        """The broker's certificate, verified; None without TLS."""
        return self._tls.peer_certificate() if self._tls else super().peer_certificate()

    @property
    def alert(self) -> ssl.SSLError | None:
        """What TLS said at the end of the last connection."""
        return self._tls.alert if self._tls else None

    def flush(self) -> None:
        """Send ciphertext that the socket would not take before."""
        if self._tls:
            with contextlib.suppress(OSError):  # a connection that is lost shows at the next read
                self._tls.flush()

    @property
    def unsent(self) -> bool:
        """Whether `flush` has something to do once the socket is writable."""
        return self._tls is not None and self._tls.unsent

    def _create_socket_connection(self) -> socket.socket:
        self._tcp = self._tls = None
        tcp = super()._create_socket_connection()
        _tune(tcp, self.user_timeout_ms)
        if type(tcp) is not socket.socket:
            return tcp
        self._tcp = StampingSocket.adopt(tcp)
        return self._tcp

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        if self._tcp is None or self._ssl_context is None:
            return super()._ssl_wrap_socket(tcp_sock)
        self._tls = StampingTls(self._tcp, self._ssl_context, self._host)
        return cast("ssl.SSLSocket", self._tls)  # paho asks no more of it than that has

    def _packet_queue(
        self,
        command: int,
        packet: bytes | bytearray,
        mid: int,
        qos: int,
        info: MQTTMessageInfo | None = None,
    ) -> MQTTErrorCode:
        if self._late and command & 0xF0 == MessageType.PUBLISH:
            stamp, length, raw_ns = self._late
            packet = LatePacket(packet, len(packet) - length + stamp.position, stamp, raw_ns)
        return super()._packet_queue(command, packet, mid, qos, info)


def _tune(tcp: socket.socket, user_timeout_ms: int) -> None:
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if user_timeout_ms and hasattr(socket, "TCP_USER_TIMEOUT"):
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, user_timeout_ms)


@functools.cache
def client_class() -> type[PlainClient]:
    """The stamping client where a rehearsal shows that its hooks work in this paho, else the plain one."""
    fault = hooks_fault()
    if fault is None:
        return StampingClient
    _log.info("stamps are taken in user space: this paho has no place for them (%s)", fault)
    return PlainClient


def hooks_fault() -> str | None:
    """Why this paho has no place for stamps at its socket, or None when it has."""
    try:
        return _rehearse()
    except Exception as error:  # noqa: BLE001 - whatever another paho does to private methods
        return f"{type(error).__name__}: {error}"


def _rehearse() -> str | None:
    """What fails of: connect on our socket, stamp a packet late, receive. In memory, within a millisecond."""
    near, far = socket.socketpair()

    class Rehearsal(StampingClient):
        def _create_socket_connection(self) -> socket.socket:
            self._tcp = StampingSocket.adopt(near)
            return self._tcp

    heard: list[bytes | bytearray] = []
    client = Rehearsal(CallbackAPIVersion.VERSION2, client_id="rehearsal")
    client.on_message = lambda _client, _userdata, message: heard.append(message.payload)
    with far:
        far.settimeout(1.0)
        client.connect("rehearsal.invalid")
        if not far.recv(_READ).startswith(b"\x10"):
            return "no CONNECT on our socket"
        late = LateStamp(1, plus_ns=1)
        client.publish_late("t", b"<%19d>" % 0, late, lambda: 7)
        client.loop_write()
        if late.raw_ns is None or not far.recv(_READ).endswith(b"<%19d>" % (7 + 1)):
            return "a packet is not stamped at its write"
        far.send(b"\x30\x04\x00\x01t!" * 2)
        client.loop_read()
        if heard != [b"!"] or not client.pending():
            return "a packet is not read from our socket"
        client.disconnect()
    return None
