"""A broker gone mad: what it can make an agent keep, with either client, over TCP and in a WebSocket."""

import base64
import hashlib
import logging
import re
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from broker.client import make as make_client_module
from broker.client.plain import PlainClient
from broker.client.stamping import StampingClient
from broker.connection import Connection
from broker.embedded import EmbeddedBroker
from broker.interface import Outgoing
from broker.settings import ConnectionSettings, EmbeddedBrokerSettings
from runtime.clock import SystemClock
from schemas.base import MAX_MESSAGE_BYTES, MAX_PACKET_BYTES
from tests.deadline import until

CONNACK, PINGRESP = b"\x20\x02\x00\x00", b"\xd0\x00"
HUGE = b"\x30\x80\x80\x80\x64"  # a PUBLISH of 200 MiB
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class MadBroker:
    """Accepts every client, and then sends `begun` and `endless` over and over until it hangs up.

    `most` is how many bytes a client got.
    """

    def __init__(self, begun, endless, *, websocket=False):
        self.sent, self.most, self.ended = 0, 0, 0
        self._begun, self._endless, self._websocket = begun, endless, websocket
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"{'ws' if websocket else 'mqtt'}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self):
        with suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                with peer, suppress(OSError):
                    self._talk(peer)
                self.ended += 1

    def _talk(self, peer):
        if self._websocket:
            key = re.search(rb"Sec-WebSocket-Key: (\S+)", peer.recv(4096), re.IGNORECASE)[1]
            accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
            peer.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
            )
        peer.recv(4096)
        peer.sendall(frame(CONNACK) if self._websocket else CONNACK)
        peer.sendall(self._begun)
        before = self.sent
        while self.sent < 200 << 20:
            self.sent += peer.send(self._endless)
            self.most = max(self.most, self.sent - before)


def frame(data, length=None):
    return bytes((0x82, 127)) + (length or len(data)).to_bytes(8, "big") + data


class Owner:
    def __init__(self):
        self.heard, self.lost = [], []

    def connected(self):
        pass

    def received(self, message):
        self.heard.append(message)

    def disconnected(self, reason):
        self.lost.append(reason)

    def tick(self, _now):
        return 1.0


HUGE_PACKET = "a packet of 209715200 bytes, more than 65536"
MADNESS = {
    "a huge packet": (HUGE, bytes(1 << 16), False, HUGE_PACKET),
    "a huge packet in a frame": (frame(HUGE, 200 << 20), bytes(1 << 16), True, HUGE_PACKET),
    "a huge frame of small packets": (
        frame(b"", 200 << 20),
        (b"\x30\xff\x1f\x00\x01t" + bytes(4092)) * 10,
        True,
        "a WebSocket frame of ",
    ),
    "one byte too many": (
        b"\x30\x81\x80\x04",
        bytes(4096),
        False,
        "a packet of 65537 bytes, more than 65536",
    ),
}


@pytest.mark.parametrize("client", [StampingClient, PlainClient])
@pytest.mark.parametrize("madness", MADNESS)
def test_what_is_beyond_the_limit_ends_the_connection_which_says_why_and_is_tried_again(
    monkeypatch, caplog, client, madness
):
    monkeypatch.setattr(make_client_module, "client_class", lambda: client)
    begun, endless, websocket, reason = MADNESS[madness]
    owner = Owner()
    with MadBroker(begun, endless, websocket=websocket) as broker, caplog.at_level(logging.WARNING):
        connection = Connection(ConnectionSettings(broker=broker.url), owner, SystemClock(), name="test")
        connection.start()
        until(lambda: broker.ended >= 2, 20, "another attempt")
        most = broker.most
        connection.stop()
    assert most < 30 << 20  # what the buffers of two sockets hold
    assert 1 <= caplog.text.count(f"connection ended: {reason}") <= 2  # each sentence once a minute


@pytest.mark.parametrize("client", [StampingClient, PlainClient])
def test_the_largest_packet_arrives_whole(monkeypatch, client):
    monkeypatch.setattr(make_client_module, "client_class", lambda: client)
    owner = Owner()
    largest = b"\x30\x80\x80\x04\x00\x01t" + bytes(MAX_PACKET_BYTES - 3)
    with MadBroker(largest, PINGRESP) as broker:
        connection = Connection(ConnectionSettings(broker=broker.url), owner, SystemClock(), name="test")
        connection.start()
        until(lambda: owner.heard, 15, "the packet")
        connection.stop()
    assert len(owner.heard[0].payload) == MAX_PACKET_BYTES - 3


def test_what_readers_would_disconnect_for_is_not_published_and_named(caplog):
    embedded = EmbeddedBroker(EmbeddedBrokerSettings(port=0))
    embedded.start()
    owner = Owner()
    connection = Connection(ConnectionSettings(broker=embedded.url), owner, SystemClock(), name="test")
    owner.connected = lambda: connection.subscribe([("t/#", 1)])
    connection.start()
    assert connection.wait_until_subscribed(60)
    sizes = [MAX_MESSAGE_BYTES + 1, MAX_MESSAGE_BYTES]
    messages = [Outgoing(f"t/{size}", bytes(size), qos) for size in sizes for qos in (0, 1)]
    connection.post(lambda: connection.publish(*messages))
    until(lambda: len(owner.heard) >= 2, 15, "the messages that fit")
    assert {(one.topic, len(one.payload)) for one in owner.heard} == {("t/64512", 64512)}
    assert caplog.text.count("not published: 64513 bytes on t/64513, more than 64512") == 1
    connection.stop()
    embedded.stop()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_an_agents_memory_does_not_grow_with_what_a_broker_promises():
    with MadBroker(HUGE, bytes(1 << 16)) as broker:
        command = ["-m", "tidesync", "pi", "--vehicle", "rov1", "--no-http", "--broker", broker.url]
        with subprocess.Popen([sys.executable, *command], stderr=subprocess.PIPE, text=True) as process:
            until(lambda: broker.ended >= 3, 20, "three attempts")
            peak_kib = int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1])
            process.terminate()
            log = process.stderr.read()
        assert process.returncode == 0
    assert peak_kib < 100 << 10
    assert log.count(HUGE_PACKET) == 1
