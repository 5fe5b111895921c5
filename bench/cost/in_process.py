"""The topside agent alone, in simulated time, with vehicles that answer at once: no socket and no broker.

What it takes of a processor is then its own code's, and ten minutes of age pass as fast as that runs.
"""

from __future__ import annotations

import heapq
import json
import random
import time
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from broker.address import parse_address
from broker.interface import Incoming
from runtime.clock import Reading
from runtime.watchdog import Loop
from topside_agent.agent import TopsideAgent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from broker.interface import Outgoing
    from topside_agent.settings import TopsideSettings

S = 1_000_000_000
_START_NS = 10**15
_DIFFERENCE_NS = 1_700_000_000 * S
_LEAST_NS, _TURNAROUND_NS, _ECHO_NS = 50_000, 20_000, 60_000
_DRIFT_PPM = 13
_READ_AT_ONCE = 100
"""Messages, as many as one read of a socket brings."""
_PONG = (
    '{"v":1,"seq":%d,"nonce":"%s","receive_ns":%d,"transmit_ns":%d,"realtime_minus_raw_ns":%d,'
    '"boot_id":"bench","instance_id":"bench","receive_stamp":"kernel","transmit_stamp":"write",'
    '"resolution_ns":1}'
)


class BenchClock:
    """Shows what the simulation says."""

    boot_id = "topside"
    resolution_ns = 1

    def __init__(self) -> None:
        self.now_ns = _START_NS

    def raw_ns(self) -> int:
        return self.now_ns

    def realtime_ns(self) -> int:
        return self.now_ns + _DIFFERENCE_NS

    @property
    def reading(self) -> Reading:
        return Reading(self.now_ns, _DIFFERENCE_NS, 1)


class Took(NamedTuple):
    """What the agent did in a time: its pings, and the processor time that it took, in us."""

    pings: int
    cpu_us: float

    @property
    def each_us(self) -> float:
        return self.cpu_us / max(self.pings, 1)


class AnsweringBroker:
    """An agent's connection: pings are answered, results and heartbeats come back, all else goes nowhere."""

    failure = last_problem = refusal = None
    up = carries_pings = True
    loop = Loop("the bench")
    reconnects = 0
    status_text = ""
    address = parse_address("mqtt://127.0.0.1:1883")
    receive_stamp, transmit_stamp = "kernel", "write"

    def __init__(self, fleet: SimulatedFleet) -> None:
        self._fleet = fleet

    def subscribe(
        self, filters: Sequence[tuple[str, int]], answered: Callable[..., None] | None = None
    ) -> None:
        if answered:
            answered(dict(filters))

    def publish(self, *messages: Outgoing) -> bool:
        for message in messages:
            self._fleet.published(message)
        return True


class SimulatedFleet:
    """A topside agent and its vehicles. `published_messages` are all but pings, while `keeps` is set."""

    def __init__(
        self, settings: TopsideSettings, vehicles: int, *, seed: int = 1, keeps: bool = False
    ) -> None:
        self.clock = BenchClock()
        self.pings = 0
        self.cpu_ns = 0
        self.cost_ns = 0
        """What handling a message takes of the simulated time."""
        self.published_messages: list[tuple[int, Outgoing]] = []
        self._keeps = keeps
        self._random = random.Random(seed)
        self._queue: list[tuple[int, int, str, bytes]] = []
        self._order = count()
        self.agent = TopsideAgent(
            settings,
            self.clock,
            connect=lambda *_arguments, **_named: AnsweringBroker(self),  # type: ignore[arg-type]
            instance_id="bench",
        )
        self._due_ns = self.clock.now_ns
        self.agent.connected()
        for number in range(vehicles):
            self._receive(
                f"tidesync/v1/vehicle/rov{number}/status", b"online", self.clock.now_ns, retain=True
            )

    def published(self, message: Outgoing) -> None:
        """Take a message of the agent's."""
        if "/ping/" in message.topic:
            self._answer(message)
            return
        if self._keeps:
            self.published_messages.append((self.clock.now_ns, message))
        if "/offset/" in message.topic or message.topic.endswith("/heartbeat"):
            self._arrives(_ECHO_NS, message.topic, message.payload)

    def run(self, seconds: float) -> Took:
        """Let so much time pass."""
        pings, cpu_ns, end_ns = self.pings, self.cpu_ns, self.clock.now_ns + round(seconds * S)
        while (next_ns := min(self._due_ns, self._queue[0][0] if self._queue else end_ns)) < end_ns:
            self.clock.now_ns = max(self.clock.now_ns, next_ns)
            for _ in range(_READ_AT_ONCE):
                if not self._queue or self._queue[0][0] > self.clock.now_ns:
                    break
                at_ns, _, topic, payload = heapq.heappop(self._queue)
                self._receive(topic, payload, at_ns)
            self._tick()
        return Took(self.pings - pings, (self.cpu_ns - cpu_ns) / 1e3)

    def _answer(self, ping: Outgoing) -> None:
        self.pings += 1
        content, now_ns = json.loads(ping.payload), self.clock.now_ns
        if ping.one_step is not None:
            ping.one_step.raw_ns = now_ns
        out_ns, back_ns = (_LEAST_NS + round(self._random.lognormvariate(11, 0.6)) for _ in range(2))
        at_ns = now_ns + out_ns + 5 * S + (now_ns - _START_NS) * _DRIFT_PPM // 10**6 + _DIFFERENCE_NS
        stamps = (at_ns, at_ns + _TURNAROUND_NS, _DIFFERENCE_NS)
        pong = _PONG % (content["seq"], content["nonce"], *stamps)
        topic = ping.topic.replace("/ping/", "/pong/")
        self._arrives(out_ns + _TURNAROUND_NS + back_ns, topic, pong.encode())

    def _arrives(self, after_ns: int, topic: str, payload: bytes) -> None:
        heapq.heappush(self._queue, (self.clock.now_ns + after_ns, next(self._order), topic, payload))

    def _receive(self, topic: str, payload: bytes, at_ns: int, *, retain: bool = False) -> None:
        message = Incoming(topic, payload, retain, Reading(at_ns, _DIFFERENCE_NS, 1), "kernel")
        began_ns = time.thread_time_ns()
        self.agent.received(message)
        self.cpu_ns += time.thread_time_ns() - began_ns
        self.clock.now_ns += self.cost_ns if "/pong/" in topic else 0

    def _tick(self) -> None:
        began_ns = time.thread_time_ns()
        wait_s = self.agent.tick(self.clock.reading)
        self.cpu_ns += time.thread_time_ns() - began_ns
        self._due_ns = self.clock.now_ns + round(wait_s * S)
