"""MQTT 3.1.1 packets as bytes, pure: parsed, made, and kept until the broker acknowledges them."""

from __future__ import annotations

import struct
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from schemas.base import MAX_PACKET_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

CONNACK, PUBLISH, PUBACK, SUBACK = 0x20, 0x30, 0x40, 0x90
KIND = 0xF0
_RETAIN, _QOS, _QOS_1, _DUP = 0x01, 0x06, 0x02, 0x08
_CONTINUED = 0x80
_MOST_LENGTH_BYTES = 4
_NUMBER = struct.Struct("!H")
_CONNACK_LENGTH = 2
MOST_INFLIGHT = 1000
"""Sent and not acknowledged; more wait, so that a slow broker is not overloaded."""
MOST_WAITING_BYTES = 64 << 20
"""Topics and payloads that wait: more than half an hour of exchanges that a recorder asks for again."""


class MalformedPacketError(Exception):
    """Bytes that are not MQTT; a connection that brings them must end (MQTT 4.8)."""


class PacketTooLargeError(MalformedPacketError):
    """A packet of more than `MAX_PACKET_BYTES`: a connection that brings it ends before its body is kept."""

    def __init__(self, length: int, what: str = "packet", most: int = MAX_PACKET_BYTES) -> None:
        super().__init__(f"a {what} of {length} bytes, more than {most}")


class Packet(NamedTuple):
    """A whole packet; `last` when the read that completed it brought no byte beyond it."""

    command: int
    body: bytes
    last: bool


class Publish(NamedTuple):
    """A message from the broker; `mid` is 0 at QoS 0, which needs no answer."""

    topic: bytes
    payload: bytes
    qos: int
    retain: bool
    mid: int


class PacketReader:
    """Keeps what is left of one read until the next ones complete it."""

    def __init__(self) -> None:
        self._begun = bytearray()
        self._wanted = 0

    def feed(self, data: bytes) -> list[Packet]:
        """The packets that `data` completes.

        MalformedPacketError when a length has more than four bytes; PacketTooLargeError when it is more than
        `MAX_PACKET_BYTES`.
        """
        if self._begun:
            self._begun += data
            if len(self._begun) < self._wanted:
                return []
            data, self._begun = bytes(self._begun), bytearray()
        packets = []
        begin, end = 0, len(data)
        while begin < end:
            start, stop = _span(data, begin)
            if stop > end:
                self._begun += data[begin:]
                self._wanted = stop - begin
                break
            packets.append(Packet(data[begin], data[start:stop], stop == end))
            begin = stop
        return packets


def body_length(head: bytes) -> int | None:
    """The length in a fixed header; None while it is cut. The errors of `PacketReader.feed`."""
    start, stop = _span(head, 0)
    return None if len(head) == 1 or head[-1] & _CONTINUED else stop - start


def _span(data: bytes, begin: int) -> tuple[int, int]:
    """Where the body of the packet at `begin` starts and stops; beyond the data while its length is cut."""
    length, shift, place = 0, 0, begin + 1
    while place < len(data):
        byte = data[place]
        length |= (byte & 0x7F) << shift
        place += 1
        if not byte & _CONTINUED:
            if length > MAX_PACKET_BYTES:
                raise PacketTooLargeError(length)
            return place, place + length
        shift += 7
        if place - begin > _MOST_LENGTH_BYTES:
            raise MalformedPacketError(f"a length of more than four bytes: {data[begin:place]!r}")
    return place, place + 1


def read_publish(packet: Packet) -> Publish:
    """The content of a PUBLISH packet; MalformedPacketError when its parts do not fit into it."""
    command, body, _ = packet
    try:
        start = 2 + _NUMBER.unpack_from(body)[0]
        topic, qos, mid = body[2:start], (command & _QOS) >> 1, 0
        if qos:
            (mid,) = _NUMBER.unpack_from(body, start)
            start += 2
    except struct.error as error:
        raise MalformedPacketError(f"a PUBLISH of {len(body)} bytes: {body[:40]!r}") from error
    if start > len(body):
        raise MalformedPacketError(f"a PUBLISH of {len(body)} bytes: {body[:40]!r}")
    return Publish(topic, body[start:], qos, bool(command & _RETAIN), mid)


def read_puback(packet: Packet) -> int:
    """The acknowledged packet identifier; MalformedPacketError when there is none."""
    try:
        (mid,) = _NUMBER.unpack(packet.body)
    except struct.error as error:
        raise MalformedPacketError(f"a PUBACK of {len(packet.body)} bytes: {packet.body[:40]!r}") from error
    return int(mid)


def read_suback(packet: Packet) -> tuple[int, bytes]:
    """The packet identifier, and a code for each filter; MalformedPacketError when there is none."""
    try:
        (mid,) = _NUMBER.unpack_from(packet.body)
    except struct.error as error:
        raise MalformedPacketError(f"a SUBACK of {len(packet.body)} bytes: {packet.body[:40]!r}") from error
    return int(mid), packet.body[_NUMBER.size :]


def read_connack(packet: Packet) -> int:
    """The return code, 0 for accepted; MalformedPacketError when there is none."""
    if len(packet.body) != _CONNACK_LENGTH:
        raise MalformedPacketError(f"a CONNACK of {len(packet.body)} bytes: {packet.body[:40]!r}")
    return packet.body[1]


def publish_packet(topic: bytes, payload: bytes, *, retain: bool = False, mid: int = 0) -> bytes:
    """A PUBLISH packet: at QoS 1 with a `mid`, else at QoS 0; PacketTooLargeError if it is too large."""
    length = 2 + len(topic) + (2 if mid else 0) + len(payload)
    command = PUBLISH | (_QOS_1 if mid else 0) | (_RETAIN if retain else 0)
    head = _fixed_header(command, length) + _NUMBER.pack(len(topic)) + topic
    return head + _NUMBER.pack(mid) + payload if mid else head + payload


def puback_packet(mid: int) -> bytes:
    """A PUBACK packet."""
    return bytes((PUBACK, 2)) + _NUMBER.pack(mid)


def duplicate(packet: bytes) -> bytes:
    """The PUBLISH packet with its DUP flag set."""
    return bytes((packet[0] | _DUP,)) + packet[1:]


def _fixed_header(command: int, length: int) -> bytes:
    if length < _CONTINUED:
        return bytes((command, length))
    if length < _CONTINUED**2:
        return bytes((command, length & 0x7F | _CONTINUED, length >> 7))
    if length > MAX_PACKET_BYTES:
        raise PacketTooLargeError(length)
    header = bytearray((command,))
    while length >= _CONTINUED:
        header.append(length & 0x7F | _CONTINUED)
        length >>= 7
    header.append(length)
    return bytes(header)


class InflightQueue:
    """QoS 1 messages until the broker acknowledges them, in order; `next_mid` gives packet identifiers.

    Of those that wait for their turn the oldest are dropped beyond `MOST_WAITING_BYTES`: a broker that is
    alive and acknowledges nothing must not take the process's memory.
    """

    def __init__(self, next_mid: Callable[[], int]) -> None:
        self._next_mid = next_mid
        self._inflight: dict[int, bytes] = {}
        self._waiting: deque[tuple[bytes, bytes, bool]] = deque()
        self._waiting_bytes = 0
        self.dropped = 0
        """Messages that were dropped while they waited."""

    def __len__(self) -> int:
        """How many are not acknowledged."""
        return len(self._inflight) + len(self._waiting)

    def add(self, topic: bytes, payload: bytes, *, retain: bool) -> bytes | None:
        """Keep a message; returns its packet, if it is to be sent now. PacketTooLargeError keeps nothing."""
        if (length := 4 + len(topic) + len(payload)) > MAX_PACKET_BYTES:
            raise PacketTooLargeError(length)
        if len(self._inflight) >= MOST_INFLIGHT:
            self._waiting.append((topic, payload, retain))
            self._waiting_bytes += len(topic) + len(payload)
            while self._waiting_bytes > MOST_WAITING_BYTES:
                self._next_waiting()
                self.dropped += 1
            return None
        return self._begin(topic, payload, retain=retain)

    def acknowledged(self, mid: int) -> bytes | None:
        """Note the PUBACK of `mid`; returns the packet to send next, if one waits."""
        if self._inflight.pop(mid, None) is None or not self._waiting:
            return None
        topic, payload, retain = self._next_waiting()
        return self._begin(topic, payload, retain=retain)

    def unacknowledged(self) -> list[bytes]:
        """The packets to send first over the next connection, marked as duplicates."""
        return [duplicate(packet) for packet in self._inflight.values()]

    def topics(self, most: int) -> list[str]:
        """The topics of the oldest that were sent and not acknowledged."""
        packets = [PacketReader().feed(packet)[0] for packet in islice(self._inflight.values(), most)]
        return [read_publish(packet).topic.decode() for packet in packets]

    def _next_waiting(self) -> tuple[bytes, bytes, bool]:
        message = self._waiting.popleft()
        self._waiting_bytes -= len(message[0]) + len(message[1])
        return message

    def _begin(self, topic: bytes, payload: bytes, *, retain: bool) -> bytes:
        mid = self._next_mid()
        while mid in self._inflight:
            mid = self._next_mid()
        packet = self._inflight[mid] = publish_packet(topic, payload, retain=retain, mid=mid)
        return packet
