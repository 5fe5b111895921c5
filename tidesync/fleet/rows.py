"""What is known of every vehicle, pure: letters in, one row a vehicle and topside out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas import topics
from schemas.instants import ns_from_utc
from schemas.messages import Event, Info, OffsetResult, SessionState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.inbox import Letter
    from runtime.clock import Reading
    from schemas.topics import TopicKind

OLD_S = 3.5
"""A topside that runs publishes every second; a result that nobody has renewed for so long is old."""
KINDS: tuple[TopicKind, ...] = (
    topics.STATUS,
    topics.INFO,
    topics.OFFSET,
    topics.TOPSIDE_STATUS,
    topics.SESSION_STATE,
)
"""What is retained of a fleet."""


@dataclass(frozen=True, slots=True)
class Row:
    """A vehicle as one topside measures it, or as it is known otherwise."""

    vehicle: str
    topside: str | None
    result: OffsetResult | None
    age_s: float | None
    """Since the result was heard, or since `measured_at` by this computer's clock if it was retained."""
    status: str | None
    info: Info | None
    since_s: float | None = None
    """How long the state has been what it is, as far as it was watched."""
    since_exact: bool = False
    """Whether the change to this state was seen; else `since_s` is only how long it was watched."""

    @property
    def old(self) -> bool:
        """Whether nobody renews the result."""
        return self.age_s is None or self.age_s > OLD_S


@dataclass(frozen=True, slots=True)
class _Heard:
    result: OffsetResult
    retained: bool
    at_raw_ns: int
    since_raw_ns: int
    since_exact: bool


class Fleet:
    """Takes letters, remembers the newest of each topic."""

    def __init__(self) -> None:
        self.statuses: dict[str, str] = {}
        self.infos: dict[str, Info] = {}
        self.topsides: dict[str, str] = {}
        self.sessions: dict[str, SessionState] = {}
        self._results: dict[tuple[str, str], _Heard] = {}
        self._last: dict[str, bytes] = {}

    @classmethod
    def of(cls, letters: Sequence[Letter]) -> Fleet:
        """The fleet that `letters` tell of."""
        fleet = cls()
        for letter in letters:
            fleet.take(letter)
        return fleet

    def take(self, letter: Letter) -> bool:
        """Take one letter; whether it says anything new (brokers repeat what they retain, and at QoS 1)."""
        topic, message = letter.topic, letter.incoming
        if isinstance(letter.body, OffsetResult):
            self._take_result((topic.vehicle or "", topic.topside or ""), letter.body, letter)
        elif isinstance(letter.body, Info):
            self.infos[topic.vehicle or ""] = letter.body
        elif isinstance(letter.body, SessionState):
            self.sessions[topic.session or ""] = letter.body
        elif topic.kind is topics.STATUS:
            self.statuses[topic.vehicle or ""] = str(letter.body)
        elif topic.kind is topics.TOPSIDE_STATUS:
            self.topsides[topic.topside or ""] = str(letter.body)
        elif not isinstance(letter.body, Event):
            return False
        new = self._last.get(message.topic) != message.payload
        self._last[message.topic] = message.payload
        return new

    def rows(self, now: Reading) -> list[Row]:
        """All that is known, by vehicle and topside, at `now` by this computer's clocks."""
        rows = [self._measured(key, heard, now) for key, heard in self._results.items()]
        measured = {vehicle for vehicle, _ in self._results}
        unmeasured = (self.statuses.keys() | self.infos.keys()) - measured
        rows += [self._row(vehicle, None, None, None) for vehicle in unmeasured]
        return sorted(rows, key=lambda row: (row.vehicle, row.topside or ""))

    def _take_result(self, key: tuple[str, str], result: OffsetResult, letter: Letter) -> None:
        before, now_ns = self._results.get(key), letter.incoming.received.raw_ns
        since_ns, exact = now_ns, before is not None
        if before and before.result.state == result.state:
            since_ns, exact = before.since_raw_ns, before.since_exact
        retained = letter.incoming.retain
        if retained and before and before.result == result:
            return  # told again at a reconnect: no news, and it may have been heard live
        self._results[key] = _Heard(result, retained, now_ns, since_ns, exact)

    def _measured(self, key: tuple[str, str], heard: _Heard, now: Reading) -> Row:
        since_s = (now.raw_ns - heard.since_raw_ns) / 1e9
        age_s = retained_age_s(heard.result, now) if heard.retained else (now.raw_ns - heard.at_raw_ns) / 1e9
        return self._row(*key, heard.result, age_s, since_s, exact=heard.since_exact)

    def _row(
        self,
        vehicle: str,
        topside: str | None,
        result: OffsetResult | None,
        age_s: float | None,
        since_s: float | None = None,
        *,
        exact: bool = False,
    ) -> Row:
        status, info = self.statuses.get(vehicle), self.infos.get(vehicle)
        return Row(vehicle, topside, result, age_s, status, info, since_s, exact)


def retained_age_s(result: OffsetResult, now: Reading) -> float | None:
    """Seconds since `measured_at` by this computer's clock; None where nothing was ever measured."""
    if result.measured_at is None:
        return None
    return (now.realtime_ns - ns_from_utc(result.measured_at)) / 1e9
