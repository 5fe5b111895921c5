"""The dashboard's one connection: letters go to the fleet's model, commands go out."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import TYPE_CHECKING

from broker.agent import agent_counts
from broker.connection import Connection
from broker.inbox import Inbox
from broker.interface import Incoming, Outgoing
from runtime.clock import Clock, Reading, read
from runtime.files import free_bytes
from schemas import topics
from schemas.messages import BurstCommand, SessionState
from schemas.topics import InvalidTopicError
from tidesync.dashboard.own_clock import OwnClock
from tidesync.dashboard.views import BrokerView, ComputerView
from tidesync.fleet.model import KINDS, Fleet
from tidesync.sessions.client import SessionRequest, new_request_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runtime.metrics import AgentCounts
    from schemas.messages import StartCommand, StopCommand
    from tidesync.dashboard.settings import DashboardSettings

_log = logging.getLogger(__name__)

_TICK_S = 0.2
_KINDS = (*KINDS, topics.EVENT, topics.TOPSIDE_MEMBER)
_GATHER_S = 0.2
"""A result each second of a thousand vehicles is read in five rounds: less than half the cost of a read each.
A result may seem so much younger than it is."""
Answer = Future[SessionState]


class Subscriber:
    """Subscribes to everything; other threads read `fleet` while they hold `lock`."""

    def __init__(self, settings: DashboardSettings, clock: Clock) -> None:
        self.lock = threading.Lock()
        self.fleet = Fleet(settings.fresh_s, histories=True)
        self._root = settings.topic_root
        self._clock = clock
        self._inbox = Inbox(settings.topic_root)
        self._requests: dict[Answer, SessionRequest] = {}
        self._heard_raw_ns: int | None = None
        self._own_clock = OwnClock()
        self._sessions_root = settings.root
        self.connection = Connection(settings, self, clock, name="tidesync-dashboard", gather_s=_GATHER_S)

    # Any thread

    @property
    def up(self) -> bool:
        """Whether the broker is there."""
        return self.connection.up

    def counts(self) -> AgentCounts:
        """Its counters."""
        return agent_counts("dashboard", self.connection, self._inbox.dropped)

    def now(self) -> Reading:
        """The dashboard's clocks."""
        return read(self._clock)

    def broker_view(self) -> BrokerView:
        """The state of the connection."""
        heard = self._heard_raw_ns
        silent_s = None if heard is None else max(0, self._clock.raw_ns() - heard) / 1e9
        return BrokerView(
            connected=self.up,
            address=str(self.connection.address),
            problem=self.connection.last_problem or (None if self.up else "not connected yet"),
            silent_s=silent_s,
        )

    def computer_view(self) -> ComputerView:
        """The dashboard's own computer."""
        found = self._own_clock.discipline
        return ComputerView(
            unix_ms=self.now().realtime_ns // 1_000_000,
            clock=None if found is None else str(found),
            clock_free=None if found is None else found.free,
            free_bytes=None if self._sessions_root is None else free_bytes(self._sessions_root),
        )

    def send(self, session: str, command: StartCommand | StopCommand) -> Answer:
        """Send a command to the recorders; the future is done when one answers. Cancel it to give up."""
        answer: Answer = Future()
        request = SessionRequest(self._root, session, command)
        self.connection.post(lambda: self._begin(answer, request))
        return answer

    def measure(self, vehicle: str, by: Sequence[str]) -> None:
        """Have these topsides measure `vehicle` at once."""
        command = BurstCommand(request_id=new_request_id(), vehicle=vehicle).encode()
        for topside in by:
            topic = topics.build(self._root, topics.TOPSIDE_COMMAND, topside=topside)
            message = Outgoing(topic, command, topics.TOPSIDE_COMMAND.qos)
            self.connection.post(lambda message=message: self.connection.publish(message))  # type: ignore[misc]

    # Owner of the connection: called in the network thread

    def connected(self) -> None:
        """Subscribe, at QoS 0 as `tidesync.client.Client` does; repeat the requests that are still open."""
        self.connection.subscribe([(topics.subscription(self._root, kind), 0) for kind in _KINDS])
        for request in self._requests.values():
            request.repeat_now()

    def disconnected(self, reason: str) -> None:
        """The page shows it; the connection reconnects."""
        _log.warning("lost the broker (%s)", reason)

    def received(self, message: Incoming) -> None:
        """Handle a message; an empty one clears what was retained."""
        self._heard_raw_ns = message.received.raw_ns
        if self._renews(message):
            return
        if not message.payload:
            self._cleared(message.topic)
            return
        letter = self._inbox.open(message)
        if letter is None:
            return
        with self.lock:
            taken = self.fleet.take(letter)
        if taken == "mismatched":
            self._inbox.drop("name", "its names are not the topic's", message)
        elif isinstance(letter.body, SessionState):
            self._answered(letter.body)

    def _renews(self, message: Incoming) -> bool:
        """Whether a result has other numbers than the last one, and no more: most have."""
        if message.retain or not message.payload:
            return False
        try:
            topic = topics.parse(self._root, message.topic)
        except InvalidTopicError:
            return False
        with self.lock:
            return topic.kind is topics.OFFSET and self.fleet.renew(topic, message.payload, message.received)

    def tick(self, now: Reading) -> float:
        """Publish what is due; drop requests whose client has gone."""
        self._own_clock.check(now)
        with self.lock:
            self.fleet.expire(now)
        for answer in [answer for answer in self._requests if answer.done()]:
            del self._requests[answer]
        if self.up:
            for message in self._due(now.raw_ns):
                self.connection.publish(message)
        return _TICK_S

    def _begin(self, answer: Answer, request: SessionRequest) -> None:
        self._requests[answer] = request

    def _due(self, now_raw_ns: int) -> Iterator[Outgoing]:
        for request in self._requests.values():
            if message := request.due(now_raw_ns):
                yield message

    def _answered(self, state: SessionState) -> None:
        """Answer who asked for `state`; the fleet has it by now, for what they ask next."""
        for answer, request in self._requests.items():
            if request.heard(state):
                with suppress(InvalidStateError):  # the client has given up meanwhile
                    answer.set_result(state)

    def _cleared(self, topic: str) -> None:
        with suppress(InvalidTopicError):
            parsed = topics.parse(self._root, topic)
            with self.lock:
                self.fleet.forget(parsed)
