"""The newest of each topic of a fleet, pure: letters and the time in, a row for each vehicle and topside out.

A row is never more certain and never more current than what was heard. A live result ages from its arrival, a
retained one from `measured_at` by this computer's clock; `fresh_for_s` decides up to which age it is fresh.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from schemas import topics
from schemas.messages import Event, Info, OffsetResult, SessionState
from tidesync.figures import span
from tidesync.fleet.sessions import SessionEntry, Sessions
from tidesync.fleet.vehicle import FRESH_S, Results, Row, VehicleInfo, since_s

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from broker.inbox import Letter
    from runtime.clock import Reading
    from schemas.topic_kind import TopicKind
    from schemas.topics import Topic
    from tidesync.fleet.history import IncidentKind, ResultHistory

MOST_NAMES = 2000
"""Names come from the network: of each kind this many are kept; the one quiet for longest is dropped."""
KINDS: tuple[TopicKind, ...] = (
    topics.STATUS,
    topics.INFO,
    topics.OFFSET,
    topics.TOPSIDE_STATUS,
    topics.SESSION_STATE,
)
"""The retained topics of a fleet."""
_LONG_S = 60.0
"""From here on a step is also given in minutes, hours, days or years."""
Taken = Literal["new", "repeated", "mismatched"]
"""A letter whose names are not its topic's is mismatched: it changes nothing."""


class Fleet:
    """Every vehicle, topside and session; `version` counts changes, `removals` what was dropped."""

    def __init__(self, fresh_s: float = FRESH_S, *, most: int = MOST_NAMES, histories: bool = False) -> None:
        self.version = 0
        self.removals = 0
        self.topsides: dict[str, str] = {}
        """Their statuses."""
        self._fresh_s = fresh_s
        self._most = most
        self._histories = histories
        self._results: dict[tuple[str, str], Results] = {}
        self._vehicles: dict[str, VehicleInfo] = {}
        self._sessions = Sessions(most)

    @classmethod
    def of(cls, letters: Sequence[Letter]) -> Fleet:
        """The fleet that `letters` describe, all of it."""
        fleet = cls(most=len(letters) + 1)
        for letter in letters:
            fleet.take(letter)
        return fleet

    # Messages

    def take(self, letter: Letter) -> Taken:
        """Take one letter. Brokers repeat what they retain, and messages of QoS 1."""
        if _mismatched(letter):
            return "mismatched"
        topic, received, retained = letter.topic, letter.incoming.received, letter.incoming.retain
        new = False
        match letter.body:
            case OffsetResult() as result:
                new = self._result(result, received, retained=retained)
            case Event() as event:
                new = self._event(event, received)
            case Info() as info:
                known = self._vehicle(info.vehicle, received)
                new, known.info = known.info != info, info
            case SessionState() as state:
                new = self._session(state, received, retained=retained)
            case str() as status if topic.kind is topics.STATUS:
                new = self._status(topic.vehicle or "", status, received)
            case str() as status if topic.kind is topics.TOPSIDE_STATUS:
                new = self._topside(topic.topside or "", status)
        return "new" if new else "repeated"

    def forget(self, topic: Topic) -> None:
        """A retained message was cleared: what it reported is dropped, and so is its row."""
        dropped: object = None
        if topic.kind is topics.OFFSET:
            dropped = self._results.pop((topic.vehicle or "", topic.topside or ""), None)
        elif topic.kind is topics.SESSION_STATE:
            dropped = self._sessions.forget(topic.session or "")
        elif topic.kind in {topics.STATUS, topics.INFO}:
            dropped = self._vehicles.pop(topic.vehicle or "", None)
        if dropped:
            self._removed()

    # What is known

    def rows(self, now: Reading, after: int = 0) -> list[Row]:
        """What has changed since version `after`, as it is at `now`; sorted by vehicle and topside."""
        measured = {vehicle for vehicle, _ in self._results}
        keys = [*self._results, *((name, None) for name in self._vehicles.keys() - measured)]
        changed = [key for key in keys if self._version(*key) > after]
        return [self._row(*key, now) for key in sorted(changed, key=lambda key: (key[0], key[1] or ""))]

    def sessions(self, after: int = 0) -> Iterator[SessionEntry]:
        """Every session that has changed since version `after`."""
        return self._sessions.entries(after)

    def session(self, session: str) -> SessionEntry | None:
        """The session of this name, if known."""
        return self._sessions.get(session)

    def vehicles(self) -> set[str]:
        """Every vehicle that was heard of."""
        return {*self._vehicles, *(vehicle for vehicle, _ in self._results)}

    def results(self) -> dict[tuple[str, str], OffsetResult]:
        """The newest result of every (vehicle, topside), however old."""
        return {key: known.result for key, known in self._results.items()}

    def as_known(self, letter: Letter) -> Letter:
        """`letter`, which was taken, with its result as it may be relied on."""
        body = letter.body
        known = self._results.get((body.vehicle, body.topside)) if isinstance(body, OffsetResult) else None
        return letter._replace(body=known.result) if known else letter

    def topsides_of(self, vehicle: str) -> list[str]:
        """Those that measure it, by name."""
        return sorted(topside for name, topside in self._results if name == vehicle)

    def history(self, vehicle: str, topside: str) -> ResultHistory | None:
        """The last hours of a vehicle as one topside measured it, where histories are kept."""
        known = self._results.get((vehicle, topside))
        return known.history if known else None

    # Inside

    def _version(self, vehicle: str, topside: str | None) -> int:
        info = self._vehicles.get(vehicle)
        version = info.version if info else 0
        return version if topside is None else max(version, self._results[vehicle, topside].version)

    def _row(self, vehicle: str, topside: str | None, now: Reading) -> Row:
        info = self._vehicles.get(vehicle) or VehicleInfo()
        known = {} if topside is None else self._results[vehicle, topside].known(now, self._fresh_s)
        return Row(
            vehicle,
            topside,
            status=info.status,
            info=info.info,
            event=info.event,
            event_age_s=since_s(info.event_raw_ns, now) if info.event else None,
            topside_status=self.topsides.get(topside or ""),
            recording=self._sessions.recording(vehicle),
            **known,
        )

    def _result(self, result: OffsetResult, received: Reading, *, retained: bool) -> bool:
        key = (result.vehicle, result.topside)
        known = self._results.get(key)
        if known is not None:
            new = result != known.result
            if known.take(result, received, retained=retained):
                known.version = self._changed()
            return new
        if result.vehicle in self._vehicles and not self.topsides_of(result.vehicle):
            self._removed()  # its row without a topside is replaced
        self._make_room(self._results)
        known = Results.first(result, received, retained=retained, keep_history=self._histories)
        self._results[key] = known
        known.version = self._changed()
        self._note_earlier(result.vehicle, known)
        return True

    def _note_earlier(self, vehicle: str, known: Results) -> None:
        """The vehicle's event that was heard before its first result belongs to its history too."""
        info = self._vehicles.get(vehicle)
        if known.history and info and info.event:
            known.history.incident(info.event.kind, _sentence(info.event), info.event_raw_ns / 1e9)

    def _event(self, event: Event, received: Reading) -> bool:
        known = self._vehicle(event.vehicle, received)
        if known.event == event:
            return False
        known.event, known.event_raw_ns = event, received.raw_ns
        self._incident(event.vehicle, event.kind, _sentence(event), received)
        return True

    def _status(self, vehicle: str, status: str, received: Reading) -> bool:
        known = self._vehicle(vehicle, received)
        before, known.status = known.status, status
        if before not in {None, status}:
            online = status == "online"
            text = "its agent is online again" if online else "its agent is offline"
            self._incident(vehicle, "online" if online else "offline", text, received)
        return before != status

    def _topside(self, topside: str, status: str) -> bool:
        before = self.topsides.pop(topside, None)
        while len(self.topsides) >= self._most:
            del self.topsides[next(iter(self.topsides))]
        self.topsides[topside] = status
        version = self._changed()
        for (_, name), known in self._results.items():
            if name == topside:
                known.version = version
        return before != status

    def _session(self, state: SessionState, received: Reading, *, retained: bool) -> bool:
        before, recorded = self._sessions.get(state.session), self._sessions.recorded()
        self._removed(self._sessions.take(state, received, self._changed(), retained=retained))
        if self._sessions.recorded() != recorded:  # so have the rows of vehicles
            version = self._changed()
            for known in self._results.values():
                known.version = version
            for info in self._vehicles.values():
                info.version = version
        return before is None or before.state != state

    def _vehicle(self, vehicle: str, received: Reading) -> VehicleInfo:
        if vehicle not in self._vehicles:
            self._make_room(self._vehicles)
            self._vehicles[vehicle] = VehicleInfo()
        known = self._vehicles[vehicle]
        known.version, known.heard_raw_ns = self._changed(), received.raw_ns
        return known

    def _incident(self, vehicle: str, kind: IncidentKind, text: str, received: Reading) -> None:
        for (name, _), known in self._results.items():
            if name == vehicle and known.history:
                known.history.incident(kind, text, received.raw_ns / 1e9)

    def _make_room(self, entries: dict[str, VehicleInfo] | dict[tuple[str, str], Results]) -> None:
        while len(entries) >= self._most:
            quietest = min(entries, key=lambda key: entries[key].heard_raw_ns)
            del entries[quietest]  # type: ignore[arg-type]
            self._removed()

    def _removed(self, count: int = 1) -> None:
        self.removals += count
        if count:
            self._changed()

    def _changed(self) -> int:
        self.version += 1
        return self.version


def _sentence(event: Event) -> str:
    return f"{'clock stepped' if event.kind == 'step' else 'suspended'} {_by(event.step_ms / 1e3)}"


def _by(seconds: float) -> str:
    exact = f"{seconds:+,.3f} s"
    return exact if abs(seconds) < _LONG_S else f"{'+' if seconds > 0 else '-'}{span(abs(seconds))} ({exact})"


def _mismatched(letter: Letter) -> bool:
    levels = ("vehicle", "topside", "session")
    named = {level: getattr(letter.body, level) for level in levels if hasattr(letter.body, level)}
    return any(name != getattr(letter.topic, level) for level, name in named.items())
