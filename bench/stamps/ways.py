"""The ways of stamping that are interleaved: who asks, who answers, and with which client."""

from __future__ import annotations

import gc
import os
import secrets
import socket
import threading
from typing import NamedTuple, Protocol

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from broker.client import make as make_client
from broker.client.make import client_class
from broker.client.one_step import OneStepTimestamp, with_room
from broker.client.plain import PlainClient
from broker.connection import Connection
from broker.interface import Incoming, Outgoing
from broker.settings import ConnectionSettings
from pi_agent.agent import PiAgent
from pi_agent.responder import Answerer, answer
from pi_agent.settings import PiSettings
from runtime.clock import Reading, SystemClock, read
from schemas.messages import Ping, Pong

WAYS = {
    "ours": "stamps at the socket",
    "plain": "our code on the plain client: user-space stamps",
    "paho": "paho's loop and callbacks alone, NODELAY set",
    "collecting": "ours, the garbage collector run at every allocation of the answerer",
    "uncollected": "ours, the answerer's garbage collector off",
    "first": "ours, the answerer before all others (SCHED_RR; root)",
}
BASE = "tidesync/v1/vehicle"
WAIT_S = 2.0


class Sample(NamedTuple):
    """One exchange: its offset, which is its error, and its round trip less the answerer's time; ns."""

    error_ns: int
    delay_ns: int


class Requester(Protocol):
    def exchange(self) -> Sample | None: ...


def ask(url: str, way: str) -> Requester:
    return PahoAsker(url) if way == "paho" else OurAsker(url, way)


def answer_pings(url: str, way: str) -> None:
    """Run in a process of its own."""
    run_as_usual()
    if way == "paho":
        answer_with_paho(url)
        return
    use_client(way)
    agent = PiAgent(PiSettings(broker=url, vehicle=way, no_http=True), SystemClock())
    agent.start()
    if way == "collecting":
        gc.set_threshold(1)
    elif way == "uncollected":
        gc.disable()
    elif way == "first":
        for thread in threading.enumerate():
            os.sched_setscheduler(thread.native_id or 0, os.SCHED_RR, os.sched_param(1))
    agent.wait_until_finished(1e6)


def run_as_usual() -> None:
    """Give up what was inherited from `--others-first`."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def hog() -> None:
    """Keep a processor busy, in a process of its own."""
    run_as_usual()
    while True:
        sum(range(10_000))


def use_client(way: str) -> None:
    """Have connections that are made from now on use the client of `way`."""
    vars(make_client)["client_class"] = (lambda: PlainClient) if way == "plain" else client_class


def sample(origin_ns: int, pong: Pong, destination_ns: int) -> Sample:
    receive_ns = pong.receive_ns - pong.realtime_minus_raw_ns
    transmit_ns = pong.transmit_ns - pong.realtime_minus_raw_ns
    return Sample(
        ((receive_ns - origin_ns) + (transmit_ns - destination_ns)) // 2,
        (destination_ns - origin_ns) - (transmit_ns - receive_ns),
    )


class OurAsker:
    """One exchange at a time through a connection of ours."""

    def __init__(self, url: str, way: str) -> None:
        use_client(way)
        self._clock = SystemClock()
        self._way = way
        self._done = threading.Event()
        self._answer: Incoming | None = None
        self._sent: tuple[Reading, OneStepTimestamp] | None = None
        self._connection = Connection(
            ConnectionSettings(broker=url), self, self._clock, name=f"requester-{way}"
        )
        self._connection.start()
        self._connection.wait_until_up(10)

    def connected(self) -> None:
        self._connection.subscribe([(f"{BASE}/{self._way}/pong/requester", 0)])

    def disconnected(self, reason: str) -> None:
        raise SystemExit(reason)

    def tick(self, now: Reading) -> float:  # noqa: ARG002 - the connection's signature
        return 1.0

    def received(self, message: Incoming) -> None:
        self._answer = message
        self._done.set()

    def exchange(self) -> Sample | None:
        self._done.clear()
        self._connection.post(self._ask)
        if not self._done.wait(WAIT_S) or self._answer is None or self._sent is None:
            return None
        begun, stamp = self._sent
        origin_ns = stamp.raw_ns or begun.raw_ns
        return sample(origin_ns, Pong.decode(self._answer.payload), self._answer.received.raw_ns)

    def _ask(self) -> None:
        begun = read(self._clock)
        ping = Ping(seq=1, nonce=secrets.token_hex(8), origin_ns=begun.realtime_ns)
        payload, position = with_room(ping.encode(), "origin_ns")
        stamp = OneStepTimestamp(position, begun.realtime_minus_raw_ns)
        self._sent = begun, stamp
        self._connection.publish(Outgoing(f"{BASE}/{self._way}/ping/requester", payload, 0, one_step=stamp))


class PahoAsker:
    """The same with paho's own thread and nothing of ours."""

    def __init__(self, url: str) -> None:
        self._clock = SystemClock()
        self._done = threading.Event()
        self._received_ns = 0
        self._payload = b""
        self._client = paho(f"{BASE}/paho/pong/requester")
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port_of(url))
        self._client.loop_start()

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        self._received_ns = self._clock.raw_ns()
        self._payload = bytes(message.payload)
        self._done.set()

    def exchange(self) -> Sample | None:
        self._done.clear()
        begun = read(self._clock)
        ping = Ping(seq=1, nonce=secrets.token_hex(8), origin_ns=begun.realtime_ns)
        self._client.publish(f"{BASE}/paho/ping/requester", ping.encode())
        if not self._done.wait(WAIT_S):
            return None
        return sample(begun.raw_ns, Pong.decode(self._payload), self._received_ns)


def answer_with_paho(url: str) -> None:
    clock = SystemClock()
    answerer = Answerer(clock.boot_id, "paho", clock.resolution_ns)
    client = paho(f"{BASE}/paho/ping/requester")

    def on_message(_client: Client, _userdata: object, message: MQTTMessage) -> None:
        received = read(clock)
        pong = answer(Ping.decode(bytes(message.payload)), received, "user", read(clock), answerer)
        if isinstance(pong, Pong):
            client.publish(f"{BASE}/paho/pong/requester", pong.encode())

    client.on_message = on_message
    client.connect("127.0.0.1", port_of(url))
    client.loop_forever()


def paho(topic: str) -> Client:
    client = Client(CallbackAPIVersion.VERSION2)

    def set_nodelay(_client: Client, _userdata: object, tcp: object) -> None:
        assert isinstance(tcp, socket.socket)
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def subscribe(*_: object) -> None:
        client.subscribe(topic, 0)

    client.on_socket_open = set_nodelay
    client.on_connect = subscribe
    return client


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])
