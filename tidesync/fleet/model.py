"""The newest of each topic of a fleet, pure: letters and the time in, a row for each vehicle and topside out.

A row is never more certain and never more current than what was heard. A live result ages from its arrival, a
retained one from `measured_at` by this computer's clock; `fresh_for_s` decides up to which age it is fresh.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from schemas import topics
from schemas.messages import Event, Info, OffsetResult, SessionState
from schemas.presence import Member
from tidesync.fleet.heard import Announced, mismatched
from tidesync.fleet.measured import Measured
from tidesync.fleet.sessions import SessionEntry, Sessions
from tidesync.fleet.unshown import Unshown
from tidesync.fleet.vehicle import FRESH_S, Row, VehicleInfo, event_text, since_s

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from broker.inbox import Letter
    from runtime.clock import Reading
    from schemas.topic_kind import TopicKind
    from schemas.topics import Topic
    from tidesync.fleet.history import IncidentKind, ResultHistory
    from tidesync.fleet.vehicle import Results

MOST_NAMES = 20_000
"""Names come from the network: of each kind this many are kept; the one quiet for longest is dropped, and
`unshown` counts it. A vehicle takes some 5 KB, and with histories 130 KB or less: see `share_of`."""
_MOST_SESSIONS = 2000
KINDS: tuple[TopicKind, ...] = (
    topics.STATUS,
    topics.INFO,
    topics.OFFSET,
    topics.TOPSIDE_STATUS,
    topics.SESSION_STATE,
)
"""The retained topics of a fleet."""
Taken = Literal["new", "repeated", "mismatched"]
"""A letter whose names are not its topic's is mismatched: it changes nothing."""


class Fleet:
    """Every vehicle, topside and session; `version` counts changes, `removals` what was dropped."""

    def __init__(self, fresh_s: float = FRESH_S, *, most: int = MOST_NAMES, histories: bool = False) -> None:
        self.version = 0
        self.removals = 0
        self._rows_version = 0  # when rows changed last without a letter of theirs
        self.topsides: dict[str, str] = {}
        """Their statuses."""
        self._groups: dict[str, str] = {}  # of topsides that share vehicles
        self._fresh_s = fresh_s
        self._most = most
        self._measured = Measured(most, histories=histories)
        self._vehicles: dict[str, VehicleInfo] = {}
        """The one quiet for longest first."""
        self._announced = Announced()
        self._unshown = Unshown()
        self._sessions = Sessions(min(most, _MOST_SESSIONS))

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
        if mismatched(letter):
            return "mismatched"
        topic, received, retained = letter.topic, letter.incoming.received, letter.incoming.retain
        new = False
        match letter.body:
            case OffsetResult() as result:
                new = self._result(result, received, retained=retained)
            case Event() as event:
                new = self._event(event, received)
            case Info() as info:
                known = self._vehicle(info.vehicle)
                new, known.info = known.info != info, info
            case Member() as member:
                new = self._group(member.topside, member.group)
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
            dropped = self._measured.drop(topic.vehicle or "", topic.topside or "")
        elif topic.kind is topics.TOPSIDE_MEMBER:
            self._group(topic.topside or "", None)
        elif topic.kind is topics.SESSION_STATE:
            dropped = self._sessions.forget(topic.session or "")
        elif topic.kind in {topics.STATUS, topics.INFO}:
            dropped = self._vehicles.pop(topic.vehicle or "", None)
        if topic.vehicle:
            self._unshown.kept(topic.vehicle)
        if dropped:
            self._removed()

    def expire(self, now: Reading) -> None:
        """Forget every `online` that has not been repeated for too long: it may hold no more."""
        for vehicle in self._announced.silent(now.raw_ns):
            if known := self._vehicles.get(vehicle):
                known.status, known.version = None, self._changed()
                self._rows_version = self.version

    # What is known

    @property
    def unshown(self) -> int:
        """How many vehicles there is no room for: they have no row."""
        return len(self._unshown)

    def rows(self, now: Reading, after: int = 0) -> list[Row]:
        """What has changed since version `after`, as it is at `now`; sorted by vehicle and topside."""
        self.expire(now)
        changed = sorted((vehicle, by or "") for vehicle, by, _ in self.changes(after))
        return [self.row(vehicle, by or None, now) for vehicle, by in changed]

    def changes(self, after: int = 0) -> Iterator[tuple[str, str | None, Results | None]]:
        """The rows that have changed since version `after`; with the results where only its numbers have."""
        return self._measured.changes(self._vehicles, after, any_row=self._rows_version > after)

    def row(self, vehicle: str, topside: str | None, now: Reading) -> Row:
        """A vehicle that is known, as `topside` measures it at `now`."""
        info = self._vehicles.get(vehicle) or VehicleInfo()
        results = self._measured.get(vehicle, topside) if topside else None
        known = results.known(now, self._fresh_s) if results else {}
        return Row(
            vehicle,
            topside,
            status=info.status,
            info=info.info,
            event=info.event,
            event_age_s=since_s(info.event_raw_ns, now) if info.event else None,
            topside_status=self.topsides.get(topside or ""),
            group=self._groups.get(topside or ""),
            recording=self._sessions.recording(vehicle),
            **known,
        )

    def sessions(self, after: int = 0) -> Iterator[SessionEntry]:
        """Every session that has changed since version `after`."""
        return self._sessions.entries(after)

    def session(self, session: str) -> SessionEntry | None:
        """The session of this name, if known."""
        return self._sessions.get(session)

    def vehicles(self) -> set[str]:
        """Every vehicle that was heard of."""
        return self._vehicles.keys() | self._measured.topsides.keys()

    def result(self, vehicle: str, topside: str) -> OffsetResult | None:
        """The newest result of a vehicle by one topside, however old."""
        known = self._measured.get(vehicle, topside)
        return known.result if known else None

    def as_known(self, letter: Letter) -> Letter:
        """`letter`, which was taken, with its result as it may be relied on."""
        body = letter.body
        known = self._measured.get(body.vehicle, body.topside) if isinstance(body, OffsetResult) else None
        return letter._replace(body=known.result) if known else letter

    def topsides_of(self, vehicle: str) -> list[str]:
        """Those that measure it, by name."""
        return list(self._measured.topsides.get(vehicle, ()))

    def history(self, vehicle: str, topside: str) -> ResultHistory | None:
        """The last hours of a vehicle as one topside measured it, where histories are kept."""
        known = self._measured.get(vehicle, topside)
        return known.history if known else None

    # Inside

    def _result(self, result: OffsetResult, received: Reading, *, retained: bool) -> bool:
        known = self._measured.get(result.vehicle, result.topside)
        if known is None:
            self._first_result(result, received, retained=retained)
            return True
        new = result.__dict__ != known.result.__dict__
        if known.take(result, received, self.version + 1, retained=retained):
            self._measured.heard(result)
            self._changed()
        return new

    def _first_result(self, result: OffsetResult, received: Reading, *, retained: bool) -> None:
        vehicle, measured = result.vehicle, self._measured
        if vehicle in self._vehicles and vehicle not in measured:
            self._removed()  # its row without a topside is replaced
        if (dropped := measured.make_room()) is not None:
            self._dropped(dropped)
        known = measured.first(result, received, retained=retained)
        known.version = known.row_version = self._changed()
        self._unshown.kept(vehicle)
        self._note_earlier(vehicle, known)

    def _dropped(self, vehicle: str) -> None:
        if vehicle not in self._vehicles and vehicle not in self._measured:
            self._unshown.dropped(vehicle)
        self._removed()

    def _note_earlier(self, vehicle: str, known: Results) -> None:
        """The vehicle's event that was heard before its first result belongs to its history too."""
        if known.history and (info := self._vehicles.get(vehicle)) and info.event:
            known.history.incident(info.event.kind, event_text(info.event), info.event_raw_ns / 1e9)

    def _event(self, event: Event, received: Reading) -> bool:
        known = self._vehicle(event.vehicle)
        if known.event == event:
            return False
        known.event, known.event_raw_ns = event, received.raw_ns
        self._incident(event.vehicle, event.kind, event_text(event), received)
        return True

    def _status(self, vehicle: str, status: str, received: Reading) -> bool:
        known = self._vehicle(vehicle)
        before, known.status = known.status, status
        self._announced.heard(vehicle, status, received.raw_ns)
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
        self._topside_changed(topside)
        return before != status

    def _group(self, topside: str, group: str | None) -> bool:
        before = self._groups.pop(topside, None)
        if group is not None:
            while len(self._groups) >= self._most:
                del self._groups[next(iter(self._groups))]
            self._groups[topside] = group
        if before != group:
            self._topside_changed(topside)
        return before != group

    def _topside_changed(self, topside: str) -> None:
        version = self._rows_version = self._changed()
        for (_, name), known in self._measured.items():
            if name == topside:
                known.version = known.row_version = version

    def _session(self, state: SessionState, received: Reading, *, retained: bool) -> bool:
        before, recorded = self._sessions.get(state.session), self._sessions.recorded()
        self._removed(self._sessions.take(state, received, self._changed(), retained=retained))
        if self._sessions.recorded() != recorded:  # so have the rows of vehicles
            version = self._rows_version = self._changed()
            for known in self._measured.values():
                known.version = known.row_version = version
            for info in self._vehicles.values():
                info.version = version
        return before is None or before.state != state

    def _vehicle(self, vehicle: str) -> VehicleInfo:
        known = self._vehicles.pop(vehicle, None)
        if known is None:
            while len(self._vehicles) >= self._most:
                del self._vehicles[quietest := next(iter(self._vehicles))]
                self._dropped(quietest)
            known = VehicleInfo()
            self._unshown.kept(vehicle)
        self._vehicles[vehicle] = known
        known.version = self._changed()
        return known

    def _incident(self, vehicle: str, kind: IncidentKind, text: str, received: Reading) -> None:
        for known in self._measured.of(vehicle):
            if known.history:
                known.history.incident(kind, text, received.raw_ns / 1e9)

    def _removed(self, count: int = 1) -> None:
        self.removals += count
        if count:
            self._changed()

    def _changed(self) -> int:
        self.version += 1
        return self.version
