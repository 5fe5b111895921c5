"""The newest of each topic of a fleet, pure: letters and the time in; what is known of it is in `state`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from schemas import topics
from schemas.messages import Event, Info, OffsetResult, SessionState
from schemas.presence import Member
from tidesync.fleet.heard import mismatched
from tidesync.fleet.removals import RowKey
from tidesync.fleet.state import FleetState
from tidesync.fleet.vehicle import VehicleInfo, event_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.inbox import Letter
    from broker.interface import Incoming
    from runtime.clock import Reading
    from schemas.topic_kind import TopicKind
    from schemas.topics import Topic
    from tidesync.fleet.history import IncidentKind
    from tidesync.fleet.vehicle import Results

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


class Fleet(FleetState):
    """A fleet as its letters describe it."""

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
                new = self._result(result, letter.incoming)
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

    def renew(self, topic: Topic, payload: bytes, received: Reading) -> bool:
        """Take a live result that has only other numbers than the last of its topic; false: decode it."""
        vehicle, topside = topic.vehicle or "", topic.topside or ""
        known = self._measured.get(vehicle, topside)
        if known is None or not known.renew(payload, received, self.version + 1):
            return False
        self._measured.heard(vehicle, topside)
        self._changed()
        return True

    def forget(self, topic: Topic) -> None:
        """A retained message was cleared: what it reported is dropped, and so is its row."""
        vehicle, topside = topic.vehicle or "", topic.topside or ""
        if topic.kind is topics.OFFSET and self._measured.drop(vehicle, topside):
            self._result_dropped(vehicle, topside)
        elif topic.kind is topics.TOPSIDE_MEMBER:
            self._group(topside, None)
        elif topic.kind is topics.SESSION_STATE and self._sessions.forget(topic.session or ""):
            self._removed(topic.session or "")
        elif topic.kind in {topics.STATUS, topics.INFO} and self._vehicles.pop(vehicle, None) is not None:
            self._info_dropped(vehicle)
        if vehicle:
            self._unshown.kept(vehicle)

    # Inside

    def _result(self, result: OffsetResult, message: Incoming) -> bool:
        known = self._measured.get(result.vehicle, result.topside)
        if known is None:
            known, new = self._first_result(result, message), True
        else:
            new = result.__dict__ != known.result.__dict__
            if known.take(result, message.received, self.version + 1, retained=message.retain):
                self._measured.heard(result.vehicle, result.topside)
                self._changed()
        if not message.retain:
            known.may_renew(message.payload)
        return new

    def _first_result(self, result: OffsetResult, message: Incoming) -> Results:
        vehicle, measured = result.vehicle, self._measured
        if vehicle in self._vehicles and vehicle not in measured:
            self._removed(RowKey(vehicle, None))  # it is replaced
        if (dropped := measured.make_room()) is not None:
            self._result_dropped(*dropped)
            self._gone(dropped[0])
        if vehicle in measured:
            self._choose_ns = 0  # at once: it has another to be compared with
        known = measured.first(result, message.received, retained=message.retain)
        known.version = known.row_version = self._changed()
        self._unshown.kept(vehicle)
        self._note_earlier(vehicle, known)
        return known

    def _result_dropped(self, vehicle: str, topside: str) -> None:
        """Of what is left of the vehicle another result is in use, or it has a row without a topside."""
        self._in_use.forget(vehicle)
        self._choose_ns = 0
        self._removed(RowKey(vehicle, topside))
        self._rows_changed(vehicle)

    def _info_dropped(self, vehicle: str) -> None:
        if vehicle in self._measured:
            self._rows_changed(vehicle)
        else:
            self._removed(RowKey(vehicle, None))

    def _gone(self, vehicle: str) -> None:
        """There was no room for all that was known of it."""
        if vehicle not in self._vehicles and vehicle not in self._measured:
            self._unshown.dropped(vehicle)

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
        if changed := self._topsides.status(topside, status):
            self._topside_changed(topside)
        return changed

    def _group(self, topside: str, group: str | None) -> bool:
        if changed := self._topsides.group(topside, group):
            self._topside_changed(topside)
        return changed

    def _topside_changed(self, topside: str) -> None:
        version = self._rows_version = self._changed()
        for (_, name), known in self._measured.items():
            if name == topside:
                known.version = known.row_version = version

    def _session(self, state: SessionState, received: Reading, *, retained: bool) -> bool:
        before, recorded = self._sessions.get(state.session), self._sessions.recorded()
        for dropped in self._sessions.take(state, received, self._changed(), retained=retained):
            self._removed(dropped)
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
                self._info_dropped(quietest)
                self._gone(quietest)
            known = VehicleInfo()
            self._unshown.kept(vehicle)
        self._vehicles[vehicle] = known
        known.version = self._changed()
        return known

    def _incident(self, vehicle: str, kind: IncidentKind, text: str, received: Reading) -> None:
        for known in self._measured.of(vehicle):
            if known.history:
                known.history.incident(kind, text, received.raw_ns / 1e9)

    def _removed(self, removed: RowKey | str) -> None:
        """A row, or the session of this name."""
        self.removals.note(self._changed(), removed)
