"""The demo's witness: subscribes like any dashboard, and holds every result against the simulated truth."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.connection import Connection, Incoming, Outgoing
from broker.inbox import Inbox
from runtime.clock import Clock, Reading, SimulatedClock, read
from schemas import messages, topics
from schemas.instants import ns_from_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from broker.settings import ConnectionSettings
    from schemas.messages import OffsetResult, SessionState


@dataclass(frozen=True, slots=True)
class Verdict:
    """One result beside the truth at its own instant."""

    result: OffsetResult
    true_offset_ms: float | None
    right: bool


class Checker:
    """Keeps the latest verdict of each vehicle, and every verdict that went against us."""

    def __init__(
        self,
        settings: ConnectionSettings,
        clock: Clock,
        vehicles: Mapping[str, SimulatedClock],
        interval_s: float,
    ) -> None:
        self.latest: dict[str, Verdict] = {}
        self.wrong: list[Verdict] = []
        self.results = 0
        self.session: SessionState | None = None
        self._session_changed = threading.Condition()
        self._settings = settings
        self._clock = clock
        self._vehicles = vehicles
        self._interval_ns = round(interval_s * 1e9)
        self._inbox = Inbox(settings.topic_root)
        self.connection = Connection(settings, self, clock, name="tidesync-demo")

    def connected(self) -> None:
        """Subscribe to results and to the recorder's answers."""
        root = self._settings.topic_root
        self.connection.subscribe(
            [
                (topics.subscription(root, topics.OFFSET), 1),
                (topics.subscription(root, topics.SESSION_STATE), 1),
            ]
        )

    def disconnected(self, reason: str) -> None:
        """Nothing to do: the connection comes back by itself."""

    def tick(self, now: Reading) -> float:  # noqa: ARG002 - the connection's signature
        """Nothing is ever due."""
        return 1.0

    def received(self, message: Incoming) -> None:
        """Judge a result; pass on a recorder's answer."""
        letter = self._inbox.open(message)
        if letter is None:
            return
        if isinstance(letter.body, messages.SessionState):
            with self._session_changed:
                self.session = letter.body
                self._session_changed.notify_all()
        elif isinstance(letter.body, messages.OffsetResult):
            clock = self._vehicles.get(letter.topic.vehicle or "")
            if clock:
                self._judge(letter.body, clock, message)

    def command(self, session: str, command: messages.StartCommand | messages.StopCommand) -> None:
        """Tell the recorder, as an operator would."""
        topic = topics.build(self._settings.topic_root, topics.SESSION_COMMAND, session=session)
        outgoing = Outgoing(topic, command.encode())
        self.connection.post(lambda: self.connection.publish(outgoing))

    def wait_for_session(self, fits: Callable[[SessionState], bool], timeout_s: float) -> SessionState | None:
        """The recorder's state once it `fits`, or None when it does not in time."""
        with self._session_changed:
            self._session_changed.wait_for(lambda: self.session is not None and fits(self.session), timeout_s)
            return self.session if self.session is not None and fits(self.session) else None

    def _judge(self, result: OffsetResult, clock: SimulatedClock, message: Incoming) -> None:
        now = read(self._clock)
        if message.retain or result.measured_at is None:
            return
        at_raw_ns = ns_from_utc(result.measured_at) - now.realtime_minus_raw_ns
        true_ns = clock.true_offset_ns(Reading(at_raw_ns, now.realtime_minus_raw_ns, 0))
        verdict = Verdict(result, true_ns / 1e6, self._holds(result, clock, at_raw_ns, now))
        self.results += 1
        self.latest[result.vehicle] = verdict
        if not verdict.right:
            self.wrong.append(verdict)

    def _holds(self, result: OffsetResult, clock: SimulatedClock, at_raw_ns: int, now: Reading) -> bool:
        """Whether the bound holds the truth at `measured_at`.

        A step of the vehicle's clock after it has answered is not in that answer: for one exchange interval
        the offset before the step is right too.
        """
        assert result.lower_ms is not None
        assert result.upper_ms is not None
        for raw_ns in (at_raw_ns, at_raw_ns - self._interval_ns):
            true_ms = clock.true_offset_ns(Reading(raw_ns, now.realtime_minus_raw_ns, 0)) / 1e6
            if result.lower_ms <= true_ms <= result.upper_ms:
                return True
        return False
