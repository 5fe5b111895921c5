"""The doctor's visit at the broker: one connection, and what is seen over it."""

from __future__ import annotations

import logging
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from broker.connection import Connection, Incoming
from broker.inbox import Letter
from runtime.clock import Reading, SystemClock
from runtime.logs import broker_log_at
from schemas import topics
from schemas.base import InvalidMessageError
from tidesync.doctor.bursts import Burst
from tidesync.fleet.rows import KINDS

if TYPE_CHECKING:
    from broker.errors import BrokerError
    from broker.settings import ConnectionSettings

VERSION_TOPIC = "$SYS/broker/version"
_CONNECT_S = 3.0
_LISTEN_S = 1.2
"""Every topside that measures publishes a result meanwhile."""
_BURSTS = 30
_ANSWER_S = 0.3
_PAUSE_S = 0.015
"""From the last packet to the next request. Linux delays an acknowledgement only in a lively conversation."""


@dataclass(slots=True)
class Seen:
    """What the visit brought; None and empty where there was no connection."""

    failure: BrokerError | None = None
    problem: str | None = None
    connect_ms: float | None = None
    round_trip_ms: float = 0.0
    """The least that one packet takes there and back, as the TCP connect shows."""
    nodelay: bool | None = None
    receive_stamp: str | None = None
    unstamped_because: str | None = None
    lost: list[str] = field(default_factory=list)
    version: str | None = None
    letters: list[Letter] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    """Topics of ours with a payload that is not what it should be, and why."""
    bursts: list[Burst] = field(default_factory=list)


def visit(settings: ConnectionSettings) -> Seen:
    """Connect, look around for a few seconds, leave."""
    visitor = _Visitor(settings)
    seen, started_ns = visitor.seen, time.monotonic_ns()
    with broker_log_at(logging.CRITICAL):  # the findings say it
        visitor.connection.start()
        try:
            if _is_up(visitor.connection, _CONNECT_S):
                seen.connect_ms = (time.monotonic_ns() - started_ns) / 1e6
                seen.round_trip_ms = _tcp_ms(settings)
                visitor.look_around()
            else:
                seen.problem = visitor.connection.last_problem or f"broker {settings.address}: no answer"
        finally:
            visitor.connection.stop()
    seen.failure = visitor.connection.failure
    return seen


def _is_up(connection: Connection, timeout_s: float) -> bool:
    """Whether the connection comes in time; a refused account ends the waiting."""
    until_s = time.monotonic() + timeout_s
    while time.monotonic() < until_s and not connection.wait_until_finished(0):
        if connection.wait_until_up(0.05):
            return True
    return False


def _tcp_ms(settings: ConnectionSettings) -> float:
    started_ns = time.perf_counter_ns()
    try:
        with socket.create_connection((settings.address.host, settings.address.port), _CONNECT_S):
            return (time.perf_counter_ns() - started_ns) / 1e6
    except OSError:
        return 0.0


class _Visitor:
    def __init__(self, settings: ConnectionSettings) -> None:
        self.seen = Seen()
        self._root = settings.topic_root
        self._clock = SystemClock()
        self._newest: dict[str, Letter] = {}
        self._arrivals_ns: list[int] = []
        self._asked_ns = 0
        self._done = threading.Event()
        self._changed = threading.Condition()
        self.connection = Connection(settings, self, self._clock, name="tidesync-doctor")

    def look_around(self) -> None:
        """Listen for results, and have what is retained sent again and again: those are the bursts."""
        self._done.wait(_LISTEN_S)
        for _ in range(_BURSTS):
            burst = self._burst()
            if burst is None:
                break  # nothing is retained
            self.seen.bursts.append(burst)
        self.seen.letters = [letter for _, letter in sorted(self._newest.items())]
        self.seen.nodelay = self.connection.nodelay
        self.seen.receive_stamp = self.connection.receive_stamp
        self.seen.unstamped_because = self.connection.unstamped_because

    def _burst(self) -> Burst | None:
        with self._changed:
            self._arrivals_ns = []
            self.connection.post(self._ask)
            most_s = _ANSWER_S + 2 * self.seen.round_trip_ms / 1000
            if not self._changed.wait_for(lambda: self._arrivals_ns, most_s):
                return None
        self._done.wait(_PAUSE_S)
        first, last = self._arrivals_ns[0], self._arrivals_ns[-1]
        return Burst((first - self._asked_ns) / 1e6, (last - self._asked_ns) / 1e6)

    def connected(self) -> None:
        """Listen to everything of ours, and to the broker's own version."""
        self._ask()
        self.connection.subscribe([(VERSION_TOPIC, 0)])

    def disconnected(self, reason: str) -> None:
        """Somebody threw us out, or the broker went."""
        self.seen.lost.append(reason)

    def received(self, message: Incoming) -> None:
        """Keep the newest of each topic; a result heard live counts for more than a retained one."""
        if message.topic == VERSION_TOPIC:
            self.seen.version = message.payload[:100].decode(errors="replace")
            return
        if message.retain:
            with self._changed:
                self._arrivals_ns.append(message.received.raw_ns)
                self._changed.notify_all()
        try:
            topic = topics.parse(self._root, message.topic)
            letter = Letter(topic, topic.kind.decode(message.payload), message)
        except topics.InvalidTopicError:
            return
        except InvalidMessageError as error:
            if message.payload:
                self.seen.unreadable[message.topic] = str(error)
            return
        before = self._newest.get(message.topic)
        if before is None or not message.retain:
            self._newest[message.topic] = letter

    def tick(self, now: Reading) -> float:  # noqa: ARG002 - the connection's signature
        """Nothing is ever due."""
        return 1.0

    def _ask(self) -> None:
        self._asked_ns = self._clock.raw_ns()
        self.connection.subscribe([(topics.subscription(self._root, kind), 0) for kind in KINDS])
