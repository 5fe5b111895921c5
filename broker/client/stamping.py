"""paho's client with stamps at its socket: PUBLISH and what acknowledges are handled here, else paho."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import struct
from typing import TYPE_CHECKING, Any

from paho.mqtt import MQTTException
from paho.mqtt.enums import MQTTErrorCode

from broker.client.one_step import OneStepPacket, OneStepTimestamp
from broker.client.packets import (
    CONNACK,
    KIND,
    PUBACK,
    PUBLISH,
    SUBACK,
    InflightQueue,
    MalformedPacketError,
    PacketReader,
    PacketTooLargeError,
    puback_packet,
    publish_packet,
    read_connack,
    read_puback,
    read_publish,
    read_suback,
)
from broker.client.paho_compat import PahoHooks, WebSocketFramer
from broker.client.plain import NOT_MQTT
from broker.client.stamping_socket import GATHERED, READ_AHEAD, StampingSocket
from broker.client.stamping_tls import StampingTls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from broker.client.packets import Packet
    from broker.client.paho_compat import WebSocketFrames
    from broker.client.stamps import KernelStamp
    from broker.interface import Outgoing

_log = logging.getLogger(__name__)

_QOS_2 = 0x04
_MOST_UNRELEASED = 100
"""At QoS 2, which is never asked for: a broker that releases nothing is disconnected."""
_MALFORMED = (MalformedPacketError, MQTTException, struct.error, IndexError, ValueError)


class StampingClient(PahoHooks):
    """Reads and writes PUBLISH and PUBACK itself: paho's loop and publishing cost more than an exchange."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._tcp: StampingSocket | None = None
        self._tls: StampingTls | None = None
        self._web: WebSocketFramer | None = None
        self._reader = PacketReader()
        self._inflight = InflightQueue(self.next_mid)
        self._dropped = 0
        self._pubacks: list[bytes] = []
        self._read_bytes = READ_AHEAD

    def read_together(self) -> None:
        """Read more at a time: messages are let gather."""
        self.gathers, self._read_bytes = True, GATHERED

    @property
    def stamps_writes(self) -> bool:
        """Whether a one-step timestamp is taken at the socket write.

        Not on a socket that is not ours: Python's SSLSocket can have sent a part when it asks to be called
        again.
        """
        return self._tcp is not None

    def send(self, messages: Sequence[Outgoing], raw_ns: Callable[[], int]) -> None:
        """Publish at once, in one write; a one-step timestamp is read off `raw_ns` at that write.

        Only the first of several: the others keep the earlier numbers that they have.
        """
        packets, length = [], 0
        stamped: tuple[int, OneStepTimestamp] | None = None
        for message in messages:
            topic, payload = message.topic.encode(), message.payload
            if message.qos:
                packet = self._inflight.add(topic, payload, retain=message.retain)
                if packet is None:
                    continue
            else:
                packet = publish_packet(topic, payload, retain=message.retain)
                if stamped is None and message.one_step is not None and self._tcp is not None:
                    position = length + len(packet) - len(payload) + message.one_step.position
                    stamped = position, message.one_step
            packets.append(packet)
            length += len(packet)
        if self._inflight.dropped > self._dropped:
            self._log_dropped()
        if packets:
            whole = packets[0] if len(packets) == 1 else b"".join(packets)
            self._write(OneStepPacket(whole, *stamped, raw_ns) if stamped else whole)

    def _log_dropped(self) -> None:
        if str(self._inflight.dropped).rstrip("0") == "1" or not self._dropped:
            _log.warning(
                "the broker acknowledges nothing: %d messages that waited were dropped",
                self._inflight.dropped,
            )
        self._dropped = self._inflight.dropped

    def resume(self) -> None:
        """After a reconnect: send first what the broker did not acknowledge before."""
        for packet in self._inflight.unacknowledged():
            self._write(packet)

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """Read once, and handle every packet that this completes."""
        del max_packets
        self.reads += 1
        self.more = False
        stream = self.socket()
        try:
            data = stream.recv(self._read_bytes) if stream else b""
            return self._take_in(data) if data else self.end_connection(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        except OSError:
            return self.end_connection(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        except PacketTooLargeError as error:
            self.refuse(error)
            return self.end_connection(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        except _MALFORMED:
            self.refuse(NOT_MQTT)
            return self.end_connection(MQTTErrorCode.MQTT_ERR_PROTOCOL)

    def _take_in(self, data: bytes) -> MQTTErrorCode:
        self.note_bytes_received()
        try:
            for packet in self._reader.feed(data):
                failed = self._handle(packet)
                if failed:
                    return self.end_connection(failed)
                if self.socket() is None:  # lost while answering
                    break
        finally:
            self._acknowledge()
        self.more = len(data) >= self._read_bytes
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _acknowledge(self) -> None:
        """Acknowledge the messages of a read in one write."""
        if self._pubacks:
            self.acknowledged += len(self._pubacks)
            packets, self._pubacks = b"".join(self._pubacks), []
            self._write(packets)

    def arrival(self) -> KernelStamp | None:
        """When the kernel received the last byte of what was read, where it stamped it.

        That is too late for packets that ended before it: only for the `last_of_read` it may be exact.
        """
        source = self._tls or self._tcp
        return source.arrival() if source else None

    @property
    def unstamped_because(self) -> str | None:
        """Why the kernel is not asked for stamps, or None when it is."""
        return self._tcp.refused if self._tcp else "the connection goes through a proxy library"

    def pending(self) -> int:
        """Bytes that `loop_read` would find although the socket is not readable."""
        if self._tls is None and self._web is None and self._tcp is not None:
            return 0  # it takes all that was read
        source = self._tls or self._tcp
        return source.pending() if source else super().pending()

    def peer_certificate(self) -> Mapping[str, Any] | None:
        """The broker's certificate, verified; None without TLS."""
        return self._tls.peer_certificate() if self._tls else super().peer_certificate()

    @property
    def alert(self) -> ssl.SSLError | None:
        """The TLS alert that ended the last connection."""
        return self._tls.alert if self._tls else None

    @property
    def unacknowledged(self) -> bool:
        """Whether a published message may not have reached the broker."""
        return self.wants_to_write or bool(self._inflight)

    def unacknowledged_topics(self, most: int = 5) -> list[str]:
        """The topics of the oldest messages that the broker has not acknowledged."""
        return self._inflight.topics(most)

    def flush(self) -> None:
        """Send ciphertext or a frame that the socket did not accept before."""
        whole = self._web or self._tls
        if whole:
            with contextlib.suppress(OSError):  # a lost connection is noticed at the next read
                whole.flush()

    @property
    def wants_to_write(self) -> bool:
        """Whether `flush` or `loop_write` has something to do once the socket is writable."""
        whole = self._web or self._tls
        return self.queued or (whole is not None and whole.unsent)

    def _handle(self, packet: Packet) -> MQTTErrorCode | None:
        """Handle one packet; returns the error, if there is one."""
        self.last_of_read = packet.last
        kind = packet.command & KIND
        if kind == PUBLISH and not packet.command & _QOS_2:
            published = read_publish(packet)
            topic = _text(published.topic)
            if topic is not None:
                self.deliver(topic, published.payload, published.retain)
            if published.mid:
                self._pubacks.append(puback_packet(published.mid))
            return None
        if kind == PUBACK:
            following = self._inflight.acknowledged(read_puback(packet))
            if following is not None:
                self._write(following)
            return None
        if kind == SUBACK:
            self.subscribed(*read_suback(packet))
            return None
        if kind == CONNACK and (code := read_connack(packet)):
            self.connack = code
            return MQTTErrorCode.MQTT_ERR_CONN_REFUSED
        if kind == PUBLISH and self.unreleased >= _MOST_UNRELEASED:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        return self.handle_packet(packet.command, packet.body)

    def _write(self, packet: bytes | OneStepPacket) -> None:
        """Write now, after what waits already; paho writes what the socket does not accept."""
        stream = self.socket()
        if stream is None:
            return
        sent = 0
        if not self.queued:
            try:
                sent = stream.send(packet[0:])
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            except OSError:
                self.end_connection(MQTTErrorCode.MQTT_ERR_CONN_LOST)
                return
        if sent < len(packet):
            self.queue_packet(packet, sent)

    def adopt_tcp(self, tcp: socket.socket) -> socket.socket:
        """A new connection: kernel stamps are asked for where the socket is an ordinary one."""
        self._tcp = self._tls = self._web = None
        self._reader = PacketReader()
        if type(tcp) is not socket.socket:
            return tcp
        self._tcp = StampingSocket.adopt(tcp)
        self._tcp.limit_handshake(self.connect_timeout)
        return self._tcp

    def adopt_tls(self, context: ssl.SSLContext) -> StampingTls | None:
        """TLS that keeps the stamps of our socket."""
        if self._tcp is not None:
            self._tls = StampingTls(self._tcp, context, self.host)
        return self._tls

    def adopt_websocket(self, frames: WebSocketFrames) -> WebSocketFramer | None:
        """A framer, where the socket beneath is ours."""
        if self._tcp is not None:
            self._web = WebSocketFramer(frames, self._tls)
        return self._web


def _text(topic: bytes) -> str | None:
    """None for what is not UTF-8, which a broker must not pass on [MQTT-1.5.3-1]."""
    try:
        return topic.decode()
    except UnicodeDecodeError:
        return None
