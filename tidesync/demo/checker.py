"""The demo's checker: subscribes as a dashboard does, and compares every result with the simulated truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.connection import Connection
from broker.inbox import Inbox
from broker.interface import Incoming
from runtime.clock import Clock, Reading, SimulatedClock, read
from schemas import topics
from schemas.instants import ns_from_utc
from schemas.messages import OffsetResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from broker.settings import ConnectionSettings


@dataclass(frozen=True, slots=True)
class Verdict:
    """One result, and the true offset at its instant."""

    result: OffsetResult
    true_offset_ms: float | None
    right: bool


class Checker:
    """Keeps the latest verdict of each vehicle, and every wrong result."""

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
        self._settings = settings
        self._clock = clock
        self._vehicles = vehicles
        self._interval_ns = round(interval_s * 1e9)
        self._inbox = Inbox(settings.topic_root)
        self.connection = Connection(settings, self, clock, name="tidesync-demo")

    def connected(self) -> None:
        """Subscribe to results."""
        self.connection.subscribe([(topics.subscription(self._settings.topic_root, topics.OFFSET), 1)])

    def disconnected(self, reason: str) -> None:
        """Nothing to do: the connection reconnects."""

    def tick(self, now: Reading) -> float:  # noqa: ARG002 - the connection's signature
        """Nothing is due."""
        return 1.0

    def received(self, message: Incoming) -> None:
        """Check a result of a vehicle whose clock is known."""
        letter = self._inbox.open(message)
        if letter and isinstance(letter.body, OffsetResult):
            clock = self._vehicles.get(letter.topic.vehicle or "")
            if clock:
                self._check(letter.body, clock, message)

    def _check(self, result: OffsetResult, clock: SimulatedClock, message: Incoming) -> None:
        now = read(self._clock)
        if message.retain or result.measured_at is None:
            return
        at_raw_ns = ns_from_utc(result.measured_at) - now.realtime_minus_raw_ns
        true_ns = clock.true_offset_ns(Reading(at_raw_ns, now.realtime_minus_raw_ns, 0))
        verdict = Verdict(result, true_ns / 1e6, self._bound_holds(result, clock, at_raw_ns, now))
        self.results += 1
        self.latest[result.vehicle] = verdict
        if not verdict.right:
            self.wrong.append(verdict)

    def _bound_holds(self, result: OffsetResult, clock: SimulatedClock, at_raw_ns: int, now: Reading) -> bool:
        """Whether the bound contains the true offset at `measured_at`.

        An answer cannot contain a step that came after it: for one exchange interval the offset before
        the step is correct too. The checker knows its own clock within its reading's bracket only, which is
        wide where it is interrupted between two readings.
        """
        assert result.lower_ms is not None
        assert result.upper_ms is not None
        unknown_ms = self._unknown_ns(result, now) / 1e6
        for raw_ns in (at_raw_ns, at_raw_ns - self._interval_ns):
            true_ms = clock.true_offset_ns(Reading(raw_ns, now.realtime_minus_raw_ns, 0)) / 1e6
            if result.lower_ms - unknown_ms <= true_ms <= result.upper_ms + unknown_ms:
                return True
        return False

    def _unknown_ns(self, result: OffsetResult, now: Reading) -> float:  # noqa: ARG002 - of each result elsewhere
        """How far the truth may be from what the checker computes."""
        return now.width_ns / 2
