"""MQTT in a WebSocket, from a broker: valid frames of every form are read; whatever else comes ends it."""

import base64
import hashlib
import socket
from contextlib import suppress
from select import select
from unittest.mock import patch

import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion

from broker.client.packets import publish_packet
from broker.client.plain import PlainClient
from broker.client.stamping import StampingClient
from broker.errors import CONNECT_ERRORS
from broker.interface import Outgoing
from tests.fuzz.altered import budget

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONNACK, PINGRESP, SUBACK = b"\x20\x02\x00\x00", b"\xd0\x00", b"\x90\x03\x00\x01\x01"
CONTINUED, BINARY, CLOSE, PING, PONG = 0, 2, 8, 9, 10
CLIENTS = pytest.mark.parametrize("kind", [StampingClient, PlainClient])


class FixedKey:
    bytes = bytes(range(16))


ACCEPT = base64.b64encode(hashlib.sha1(base64.b64encode(FixedKey.bytes) + GUID).digest())
UPGRADED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n"
)


class Wired:
    """A client on one end of a socket pair; the broker's end writes bytes."""

    def __init__(self, kind, answer=UPGRADED):
        self.heard, self.far = [], None
        self.client = kind(CallbackAPIVersion.VERSION2, client_id="wired", transport="websockets")
        self.client.deliver = lambda topic, payload, _retain: self.heard.append((topic, payload))
        self._answer = answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.disconnect()
        for end in (self.far, self.client.socket()):
            if end is not None:
                end.close()

    def connect(self):
        def pair(*_arguments, **_options):
            near, self.far = socket.socketpair()
            near.settimeout(5)
            self.far.sendall(self._answer)
            self.far.shutdown(socket.SHUT_WR) if self._answer is not UPGRADED else None
            self.far.setblocking(False)
            return near

        with (
            patch.object(paho.uuid, "uuid4", FixedKey),
            patch.object(paho.Client, "_create_socket_connection", pair),
            patch.object(StampingClient, "open_tcp", pair),
        ):
            self.client.connect("nowhere")
        return self

    @property
    def ended(self):
        return self.client.socket() is None

    def say(self, data):
        """Have the client read all that the broker writes, as its loop does; it may hang up meanwhile."""
        with suppress(ConnectionError):
            for begin in range(0, len(data), 1 << 14):
                self.far.sendall(data[begin : begin + (1 << 14)])
                self._read()

    def _read(self):
        near = self.client.socket()
        while near is not None and (self.client.pending() or select([near], [], [], 0)[0]):
            self.client.flush()
            self.client.loop_write()
            self.client.loop_read()
            with suppress(BlockingIOError):
                self.far.recv(1 << 16)
            near = self.client.socket()


def frame(opcode, data, mask=b"", least=0):
    """A frame; its length has `least` bytes more, or as many as it needs."""
    size = max(least, 0 if len(data) < 126 else 2 if len(data) < 1 << 16 else 8)
    code = {0: len(data), 2: 126, 8: 127}[size] | (0x80 if mask else 0)
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(data)) if mask else data
    return bytes((opcode, code)) + (len(data).to_bytes(size, "big") if size else b"") + mask + masked


LEAST = st.sampled_from([0, 2, 8])
MASKS = st.one_of(st.just(b""), st.binary(min_size=4, max_size=4))
TOPICS = st.text(st.characters(codec="utf-8", exclude_characters="\0+#"), min_size=1, max_size=8)
PACKETS = st.one_of(
    st.builds(
        lambda topic, payload, mid: (topic, payload, mid), TOPICS, st.binary(max_size=400), st.integers(0, 9)
    ),
    st.sampled_from([PINGRESP, SUBACK]),
)
CONTROLS = st.builds(frame, st.sampled_from([0x80 | PING, 0x80 | PONG]), st.binary(max_size=125), MASKS)


@st.composite
def streams(draw):
    """(frames, the messages in them): packets cut into frames anywhere, control frames between."""
    packets = draw(st.lists(PACKETS, min_size=1, max_size=6))
    whole, messages = b"", []
    for packet in packets:
        if isinstance(packet, tuple):
            topic, payload, mid = packet
            messages.append((topic, payload))
            whole += publish_packet(topic.encode(), payload, mid=mid)
        else:
            whole += packet
    frames, begin = [], 0
    while begin < len(whole):
        size = draw(st.integers(1, max(1, len(whole) - begin)))
        part = whole[begin : begin + size]
        frames += draw(st.lists(CONTROLS, max_size=1))
        opcode = draw(st.sampled_from([0x80 | BINARY, BINARY, CONTINUED, 0x80 | CONTINUED]))
        frames.append(frame(opcode, part, draw(MASKS), draw(LEAST)))
        begin += size
    return frames, messages


def in_pieces(data, sizes):
    begin = 0
    for size in sizes:
        yield data[begin : begin + size]
        begin += size
    yield data[begin:]


SIZES = st.lists(st.integers(1, 40), max_size=6)


@CLIENTS
def test_frames_of_every_form_bring_each_message_once(kind):
    @budget(40)
    @given(streams(), SIZES)
    def check(stream, sizes):
        frames, messages = stream
        with Wired(kind).connect() as wired:
            wired.say(frame(0x80 | BINARY, CONNACK))
            assert wired.client.is_connected()
            for piece in in_pieces(b"".join(frames), sizes):
                wired.say(piece)
            assert wired.heard == messages
            assert not wired.ended

    check()


HOSTILE = st.lists(
    st.one_of(
        st.binary(max_size=60),
        st.builds(frame, st.integers(0, 255), st.binary(max_size=60), MASKS, LEAST),
        st.builds(
            lambda head, data: frame(0x82, head + data),
            st.binary(min_size=1, max_size=6),
            st.binary(max_size=30),
        ),
        st.sampled_from(
            [bytes((0x82, 127)) + b"\xff" * 8, frame(0x88, b"\x03\xe8"), frame(0x89, bytes(3000))]
        ),
    ),
    max_size=6,
)


@CLIENTS
def test_hostile_frames_end_the_connection_or_nothing_and_the_next_one_is_as_any(kind):
    @budget(60)
    @given(streams(), HOSTILE, st.booleans(), SIZES)
    def check(stream, hostile, accepted, sizes):
        frames, messages = stream
        with Wired(kind).connect() as wired:
            if accepted:
                wired.say(frame(0x80 | BINARY, CONNACK))
                for one in frames:
                    wired.say(one)
                assert wired.heard == messages
            for piece in in_pieces(b"".join(hostile), sizes):
                if not wired.ended:
                    wired.say(piece)
            wired.client.send([Outgoing("t", b"1", 1)], lambda: 7)
            wired.client.loop_misc()
            wired.client.take_reason()
        with Wired(kind).connect() as wired:
            wired.say(frame(0x80 | BINARY, CONNACK))
            assert wired.client.is_connected()

    check()


ANSWERS = st.one_of(
    st.binary(max_size=80),
    st.builds(
        lambda place, other, cut: UPGRADED[:place] + other + UPGRADED[place + cut :],
        st.integers(0, len(UPGRADED)),
        st.one_of(
            st.binary(max_size=6), st.sampled_from([b"\n", b"\r\n", b": ", b"\xff", b"Sec-WebSocket-Accept"])
        ),
        st.integers(0, 40),
    ),
)


@CLIENTS
def test_an_answer_of_any_kind_is_taken_or_an_error_that_is_tried_again(kind):
    @budget(60)
    @given(ANSWERS)
    def check(answer):
        with Wired(kind, answer) as wired, suppress(*CONNECT_ERRORS):
            wired.connect()

    check()
