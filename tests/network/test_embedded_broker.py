"""The embedded broker, seen by a plain paho client: what a subscriber gets, and what is refused."""

import asyncio
import random
import socket
import threading

import pytest
import websockets
import websockets.sync.client
from paho.mqtt.client import Client, topic_matches_sub
from paho.mqtt.enums import CallbackAPIVersion

from broker import embedded as embedded_module
from broker.embedded import EmbeddedBroker
from broker.loopback_broker import LoopbackBroker
from broker.settings import EmbeddedBrokerSettings
from schemas.base import MAX_PACKET_BYTES
from tests.deadline import until
from tests.effort import tries
from tests.ports import free_port

RETAINED = [
    "tidesync/v1/vehicle/rov1/status",
    "tidesync/v1/vehicle/rov1/info",
    "tidesync/v1/vehicle/rov1/offset/topside",
    "tidesync/v1/vehicle/rov1/offset/laptop",
    "tidesync/v1/vehicle/rov2/status",
    "tidesync/v1/topside/topside/status",
    "tidesync",
    "tidesync/",
    "/tidesync",
    "a//b",
    "$SYS/broker/version",
]
LEVELS = ["tidesync", "v1", "vehicle", "rov1", "+", "+", "+", "offset", "topside", "", "$SYS", "a"]
END = "$end"
"""Retained too; no filter with a wildcard matches it, but one that begins with it."""
ANONYMOUS = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}


@pytest.fixture(scope="module")
def port():
    """Of a broker that retains a message on each topic, also on one of its own."""
    port, ready, ended = free_port("127.0.0.1"), threading.Event(), []

    async def serve():
        listeners = {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}}
        broker = LoopbackBroker({"listeners": listeners, "plugins": ANONYMOUS})
        await broker.start()
        for topic in [*RETAINED, END]:
            await broker.retain_message(None, topic, topic.encode(), 1)
        end, loop = asyncio.Event(), asyncio.get_running_loop()
        ended.append(lambda: loop.call_soon_threadsafe(end.set))
        ready.set()
        await end.wait()
        await broker.shutdown()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(60)
    yield port
    ended[0]()
    thread.join(10)


class Subscriber:
    """A newcomer to MQTT: connects, and keeps what comes."""

    def __init__(self, port, **options):
        self.heard, self.granted = [], []
        self._client = Client(CallbackAPIVersion.VERSION2, **options)
        self._client.on_message = lambda _client, _data, message: self.heard.append(message.topic)
        self._client.on_subscribe = lambda *arguments: self.granted.append(list(arguments[3]))
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def __enter__(self):
        until(self._client.is_connected, 15, "the connection")
        return self

    def __exit__(self, *_):
        self._client.disconnect()
        self._client.loop_stop()

    def subscribe(self, *filters):
        """Subscribe, and wait for all that is retained: what is asked for last is answered last."""
        before = len(self.heard)
        self._client.subscribe([(each, 1) for each in filters])
        self._client.subscribe(END, 0)  # nothing is to be acknowledged when it has come
        until(lambda: self.heard[before:][-1:] == [END], 15, "the retained messages")
        return self.heard[before:-1]


def matching(*filters):
    return sorted(topic for each in filters for topic in RETAINED if topic_matches_sub(each, topic))


@pytest.mark.parametrize(
    "filters",
    [
        ["tidesync/v1/vehicle/+/offset/+"],
        ["tidesync/v1/vehicle/rov1/+", "tidesync/v1/topside/+/status"],
        ["#"],
        ["+"],
        ["$SYS/#"],
        ["+/broker/version"],
        ["tidesync/v1/+/+/+/+"],
        ["tidesync/#"],
        ["tidesync/+"],
        ["/+", "+/"],
    ],
)
def test_a_subscriber_gets_what_its_filters_match_and_nothing_that_others_asked_for(port, filters):
    with Subscriber(port) as other:
        other.subscribe("#", "$SYS/#", "tidesync/v1/vehicle/+/status")
        with Subscriber(port) as newcomer:
            assert sorted(newcomer.subscribe(*filters)) == matching(*filters)


def test_any_filters_match_as_the_reference_says(port):
    draw = random.Random(14)
    for _ in range(tries(20)):
        filters = [any_filter(draw) for _ in range(draw.randint(1, 4))]
        with Subscriber(port) as subscriber:
            assert sorted(subscriber.subscribe(*filters)) == matching(*filters), filters


def any_filter(draw):
    if draw.random() < 0.4:
        levels = draw.choice(RETAINED).split("/")
        levels = [draw.choice([level, level, "+"]) for level in levels[: draw.randint(1, len(levels))]]
    else:
        levels = draw.choices(LEVELS, k=draw.randint(1, 5))
    return "/".join(levels + ["#"] * draw.randint(0, 1)) or "+"


def test_a_session_that_is_resumed_is_not_sent_again_what_is_retained(port):
    with Subscriber(port, client_id="lasting", clean_session=False) as first:
        first.subscribe("tidesync/v1/vehicle/#")
    with Subscriber(port, client_id="lasting", clean_session=False) as again:
        assert again.subscribe("tidesync") == ["tidesync"]


@pytest.mark.parametrize("wrong", ["tidesync/#/status", "a+", "#a", "tidesync/\0"])
def test_what_is_no_filter_is_refused_and_the_rest_is_granted(port, wrong):
    with socket.create_connection(("127.0.0.1", port), 60) as raw:
        raw.sendall(connect() + subscribe(wrong, "tidesync/v1/topside/+/status"))
        with raw.makefile("rb") as stream:
            assert stream.read(10) == b"\x20\x02\x00\x00" + b"\x90\x04\x00\x01\x80\x00"


def test_a_will_goes_to_a_topic_and_to_no_filter(port):
    for topic in ["tidesync/+/status", "#", "$SYS/broker/version", ""]:
        with socket.create_connection(("127.0.0.1", port), 60) as raw:
            raw.sendall(connect(will=topic))
            assert raw.recv(4) == b""
    with socket.create_connection(("127.0.0.1", port), 60) as raw:
        raw.sendall(connect(will="tidesync/v1/vehicle/rov9/status"))
        assert raw.recv(4) == b"\x20\x02\x00\x00"


@pytest.mark.parametrize("scheme", ["tcp", "ws"])
@pytest.mark.parametrize("first", [True, False])
def test_a_packet_beyond_the_limit_ends_its_connection_and_no_other(scheme, first, caplog):
    embedded = EmbeddedBroker(EmbeddedBrokerSettings(port=0, websocket_port=0))
    embedded.start()
    port = embedded.port if scheme == "tcp" else embedded.websocket_port
    with Subscriber(embedded.port) as other, Raw(port, websocket=scheme == "ws") as raw:
        if not first:
            raw.send(connect())
            assert raw.receive() == b"\x20\x02\x00\x00"
        raw.send(b"\x30" + b"\x80\x80\x80\x60" + bytes(1000))
        assert raw.receive() == b""
        assert "201326592 bytes, more than 65536" in caplog.text
        with Raw(port, websocket=scheme == "ws") as whole:
            whole.send(connect() + publish("largest", MAX_PACKET_BYTES - 9))
            assert whole.receive() == b"\x20\x02\x00\x00"
        assert other.granted == []
    embedded.stop()


def test_two_ports_of_its_own_choice_are_two(monkeypatch):
    chosen = iter([19_605, 19_605, 19_605, 19_606])
    monkeypatch.setattr(embedded_module, "free_port", lambda _: next(chosen))
    embedded = EmbeddedBroker(EmbeddedBrokerSettings(port=0, websocket_port=0))
    assert (embedded.port, embedded.websocket_port) == (19_605, 19_606)


class Raw:
    """A connection on which any bytes can be sent."""

    def __init__(self, port, *, websocket):
        self._port, self._websocket = port, websocket

    def __enter__(self):
        if self._websocket:
            self._end = websockets.sync.client.connect(f"ws://127.0.0.1:{self._port}", subprotocols=["mqtt"])
        else:
            self._end = socket.create_connection(("127.0.0.1", self._port), 60)
        return self

    def __exit__(self, *_):
        self._end.close()

    def send(self, data):
        (self._end.send if self._websocket else self._end.sendall)(data)

    def receive(self):
        """What comes next; nothing once the broker has closed the connection."""
        try:
            return self._end.recv(5 if self._websocket else 100)
        except (ConnectionResetError, websockets.ConnectionClosed):  # reset, where something was not read
            return b""


def text(value):
    return len(value.encode()).to_bytes(2, "big") + value.encode()


def packet(command, body):
    length, head = len(body), bytearray((command,))
    while length >= 128:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes(head) + bytes((length,)) + body


def connect(will=None):
    flags = 0x02 if will is None else 0x26
    body = text("MQTT") + bytes((4, flags)) + b"\x00\x3c" + text("raw")
    return packet(0x10, body + (text(will) + text("gone") if will is not None else b""))


def subscribe(*filters):
    return packet(0x82, b"\x00\x01" + b"".join(text(each) + b"\x00" for each in filters))


def publish(topic, size):
    return packet(0x30, text(topic) + bytes(size))
