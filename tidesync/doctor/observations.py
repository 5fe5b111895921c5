"""What one connection to the broker shows: the input of the checks of broker and fleet."""

from __future__ import annotations

import logging
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from broker.connection import Connection
from broker.inbox import Letter
from broker.interface import Incoming
from runtime.clock import Reading, SystemClock
from runtime.logs import broker_log_at
from schemas import topics
from schemas.base import InvalidMessageError
from schemas.presence import Heartbeat
from tidesync.client import is_up
from tidesync.fleet.model import KINDS

if TYPE_CHECKING:
    from broker.address import BrokerAddress
    from broker.errors import BrokerError
    from broker.settings import ConnectionSettings

VERSION_TOPIC = "$SYS/broker/version"
_CONNECT_S = 10.0
"""A connection that neither fails nor comes up, as over a slow link with TLS, is waited for as long."""
_LISTEN_S = 1.5
"""Longer than the period of results and heartbeats, so that each topside's is received live."""
_SECOND_LOOK_S = 2.5
"""When two processes of one name were heard: one of them alone goes on if it was a restart."""
_MOST_CHANGES = 100
_SUBACK_S = 30.0
"""A broker that is there has answered the subscriptions by then, a cluster without a leader too."""
_BURSTS = 30
_ANSWER_S = 2.0
_PAUSE_S = 0.015
"""From the last packet to the next request. Linux delays acknowledgements in a busy exchange only."""


@dataclass(frozen=True, slots=True)
class Burst:
    """A request that the broker answers with several packets at once."""

    first_ms: float
    last_ms: float
    """From the request to the arrival of the first and the last packet."""


@dataclass(slots=True)
class Observations:
    """What was observed; None and empty where there was no connection."""

    address: BrokerAddress | None = None
    """Of the broker that was reached, or tried last."""
    failure: BrokerError | None = None
    problem: str | None = None
    connect_ms: float | None = None
    round_trip_ms: float = 0.0
    """The least round trip of one packet: the time of a TCP connect."""
    nodelay: bool | None = None
    receive_stamp: str | None = None
    unstamped_because: str | None = None
    lost: list[str] = field(default_factory=list)
    version: str | None = None
    letters: list[Letter] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    """Our topics whose payload cannot be decoded, and why."""
    heartbeats: dict[str, list[str]] = field(default_factory=dict)
    """The processes that were heard live, by the name of their topside, in order, each after another one."""
    bursts: list[Burst] = field(default_factory=list)
    subscribed: bool = False
    """Whether the broker answered every subscription."""
    refused: tuple[str, ...] = ()
    """The filters of ours that the broker refuses to this account."""
    retained_sent: bool | None = None
    """Whether new subscriptions with wildcards are sent what is retained; None: nothing shows it."""
    retained_kept: bool | None = None
    """Whether a subscription to that very topic is, where those with wildcards are not."""

    @property
    def topsides_twice(self) -> set[str]:
        """Names of topsides of which a process was heard again after another one, so that both are there."""
        return {name for name, heard in self.heartbeats.items() if len(heard) > len(set(heard))}

    def note(self, heartbeat: Heartbeat) -> None:
        """Take a live heartbeat; who floods us is not remembered in full."""
        heard = self.heartbeats.setdefault(heartbeat.topside, [])
        if (not heard or heard[-1] != heartbeat.instance_id) and len(heard) < _MOST_CHANGES:
            heard.append(heartbeat.instance_id)

    @property
    def incomplete(self) -> str | None:
        """Why what was not heard may be there all the same; None if it is not."""
        if self.lost:
            return f"the connection was lost ({self.lost[0]})"
        if not self.subscribed:
            return "the broker did not answer a subscription"
        return f"the broker refuses {', '.join(self.refused)}" if self.refused else None


def observe(settings: ConnectionSettings) -> Observations:
    """Connect, observe for a few seconds, disconnect."""
    observer = _Observer(settings)
    seen, started_ns = observer.seen, time.monotonic_ns()
    with broker_log_at(logging.CRITICAL):  # the findings report it
        observer.connection.start()
        try:
            if is_up(observer.connection, _CONNECT_S):
                seen.connect_ms = (time.monotonic_ns() - started_ns) / 1e6
                seen.round_trip_ms = _tcp_ms(observer.connection.policy.settings)
                observer.observe()
                seen.problem = observer.connection.last_problem
                refusal = observer.connection.refusal
                seen.subscribed = observer.connection.wait_until_subscribed(0)
                seen.refused = refusal.filters if refusal else ()
            else:
                seen.problem = observer.connection.last_problem or f"broker {settings.brokers}: no answer"
        finally:
            observer.connection.stop()
    seen.failure, seen.address = observer.connection.failure, observer.connection.address
    return seen


def _tcp_ms(settings: ConnectionSettings) -> float:
    started_ns = time.perf_counter_ns()
    try:
        with socket.create_connection((settings.address.host, settings.address.port), _CONNECT_S):
            return (time.perf_counter_ns() - started_ns) / 1e6
    except OSError:
        return 0.0


class _Observer:
    def __init__(self, settings: ConnectionSettings) -> None:
        self.seen = Observations()
        self._root = settings.topic_root
        self._clock = SystemClock()
        self._newest: dict[str, Letter] = {}
        self._arrivals_ns: list[int] = []
        self._retained: set[str] = set()
        """Topics of which a retained message came."""
        self._subscribed_ns = 0
        self._done = threading.Event()
        self._changed = threading.Condition()
        self.connection = Connection(settings, self, self._clock, name="tidesync-doctor")

    def observe(self) -> None:
        """Receive live results; then have the retained messages sent repeatedly: each time is a burst."""
        self.connection.wait_until_subscribed(_SUBACK_S)
        self._done.wait(_LISTEN_S + 2 * self.seen.round_trip_ms / 1000)
        if any(len(heard) > 1 for heard in self.seen.heartbeats.values()):
            self._done.wait(_SECOND_LOOK_S)
        for _ in range(_BURSTS):
            burst = self._burst()
            if burst is None:
                break  # nothing is retained
            self.seen.bursts.append(burst)
        self._look_at_retained()
        self.seen.letters = [letter for _, letter in sorted(self._newest.items())]
        self.seen.nodelay = self.connection.nodelay
        self.seen.receive_stamp = self.connection.receive_stamp
        self.seen.unstamped_because = self.connection.unstamped_because

    def _look_at_retained(self) -> None:
        """Whether what was heard live, and is retained, came again by the subscriptions of the bursts."""
        live = [
            name
            for name, letter in self._newest.items()
            if name not in self._retained and letter.topic.kind.retain
        ]
        if self._retained:
            self.seen.retained_sent = True
        elif live:
            self.seen.retained_sent = False
            self.connection.post(lambda: self.connection.subscribe([(live[0], 0)]))
            with self._changed:
                self.seen.retained_kept = self._changed.wait_for(lambda: live[0] in self._retained, _ANSWER_S)

    def _burst(self) -> Burst | None:
        with self._changed:
            self._arrivals_ns = []
            self.connection.post(self._subscribe)
            most_s = _ANSWER_S + 2 * self.seen.round_trip_ms / 1000
            if not self._changed.wait_for(lambda: self._arrivals_ns, most_s):
                return None
        self._done.wait(_PAUSE_S)
        first, last = self._arrivals_ns[0], self._arrivals_ns[-1]
        return Burst((first - self._subscribed_ns) / 1e6, (last - self._subscribed_ns) / 1e6)

    def connected(self) -> None:
        """Subscribe to all topics of ours, and to the broker's version."""
        self._subscribe()
        heartbeats = topics.subscription(self._root, topics.TOPSIDE_HEARTBEAT)
        self.connection.subscribe([(heartbeats, topics.TOPSIDE_HEARTBEAT.qos)])
        self.connection.subscribe([(VERSION_TOPIC, 0)])

    def disconnected(self, reason: str) -> None:
        """The broker ended the connection, or is gone."""
        self.seen.lost.append(reason)

    def received(self, message: Incoming) -> None:
        """Keep the newest of each topic; a result received live replaces a retained one."""
        if message.topic == VERSION_TOPIC:
            self.seen.version = message.payload[:100].decode(errors="replace")
            return
        if message.retain:
            with self._changed:
                self._retained.add(message.topic)
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
        if isinstance(letter.body, Heartbeat):
            if letter.topic.topside == letter.body.topside and not message.retain:
                self.seen.note(letter.body)
            return
        before = self._newest.get(message.topic)
        if before is None or not message.retain:
            self._newest[message.topic] = letter

    def tick(self, now: Reading) -> float:  # noqa: ARG002 - the connection's signature
        """Nothing is due."""
        return 1.0

    def _subscribe(self) -> None:
        self._subscribed_ns = self._clock.raw_ns()
        kinds = (*KINDS, topics.TOPSIDE_MEMBER)
        self.connection.subscribe([(topics.subscription(self._root, kind), 0) for kind in kinds])
