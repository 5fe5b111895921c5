"""Plain paho ping-pong as one would write it: loop_start, stamps in on_message, publish from the callback.

NODELAY is set on its sockets (paho sets it nowhere): without it, it would be measured by its Nagle delays.
"""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from bench.peers.exchanges import Log, Stamps
from bench.peers.interleaving import slots
from bench.peers.processes import LOOPBACK, exit_on_terminate

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessage, SocketLike

PING, PONG = "bench/ping", "bench/pong"
_QUESTION = struct.Struct("<q")
_ANSWER = struct.Struct("<qqq")
_CONNECT_S = 10.0


def connected_client(port: int) -> Client:
    """A client whose network thread runs, connected, with NODELAY."""
    client = Client(CallbackAPIVersion.VERSION2)
    up = threading.Event()
    client.on_connect = lambda *_: up.set()
    client.on_socket_open = _no_delay
    client.connect(LOOPBACK, port, keepalive=60)
    client.loop_start()
    if not up.wait(_CONNECT_S):
        raise TimeoutError(f"no CONNACK from port {port}")
    return client


def subscribe(client: Client, topic: str) -> None:
    """Returns once the broker has confirmed it."""
    confirmed = threading.Event()
    client.on_subscribe = lambda *_: confirmed.set()
    client.subscribe(topic)
    if not confirmed.wait(_CONNECT_S):
        raise TimeoutError(f"no SUBACK for {topic}")


def _no_delay(_client: Client, _data: object, tcp: SocketLike) -> None:
    assert isinstance(tcp, socket.socket)
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def answer(port: int) -> None:
    """Answer every ping until stopped."""

    def on_message(client: Client, _data: object, message: MQTTMessage) -> None:
        receive_ns = time.time_ns()
        (origin_ns,) = _QUESTION.unpack(message.payload)
        client.publish(PONG, _ANSWER.pack(origin_ns, receive_ns, time.time_ns()))

    client = connected_client(port)
    client.on_message = on_message
    subscribe(client, PING)
    threading.Event().wait()


def ask(port: int, rate_hz: float, place: float, seconds: float, results: Path) -> None:
    """Ask in turn; leave the exchanges in `results` at the end."""

    def on_message(_client: Client, _data: object, message: MQTTMessage) -> None:
        destination_ns = time.time_ns()
        origin_ns, receive_ns, transmit_ns = _ANSWER.unpack(message.payload)
        log.add(Stamps(origin_ns, receive_ns, transmit_ns, destination_ns))

    with Log(results) as log:
        client = connected_client(port)
        client.on_message = on_message
        subscribe(client, PONG)
        for _ in slots(rate_hz, place, seconds):
            client.publish(PING, _QUESTION.pack(time.time_ns()))


def main() -> None:
    """`… answer PORT` or `… ask PORT RATE PLACE SECONDS FILE`."""
    exit_on_terminate()
    what, port, *rest = sys.argv[1:]
    if what == "answer":
        answer(int(port))
    else:
        ask(int(port), float(rest[0]), float(rest[1]), float(rest[2]), Path(rest[3]))


if __name__ == "__main__":
    main()
