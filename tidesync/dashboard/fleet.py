"""The fleet as the dashboard knows it, pure: messages and the time in; rows, sessions and histories out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas import topics
from schemas.messages import Event, Info, OffsetResult, SessionState
from tidesync.dashboard.sessions import Sessions
from tidesync.dashboard.vehicle import Track, VehicleInfo, view

if TYPE_CHECKING:
    from collections.abc import Iterator

    from broker.inbox import Letter
    from runtime.clock import Reading
    from schemas.topics import Topic
    from tidesync.dashboard.history import History, IncidentKind
    from tidesync.dashboard.views import SessionView, VehicleView

MOST_TRACKS = 300
MOST_VEHICLES = 300
MOST_TOPSIDES = 100
"""Names come from the network: beyond these the one that was quiet for longest is forgotten."""


class Fleet:
    """Every vehicle and session. `version` grows with each change, `removals` with what is forgotten."""

    def __init__(self, fresh_s: float = 3.0) -> None:
        self.version = 0
        self.removals = 0
        self._fresh_ns = round(fresh_s * 1e9)
        self._tracks: dict[tuple[str, str], Track] = {}
        self._said: dict[str, VehicleInfo] = {}
        self._topsides: dict[str, bool] = {}
        self._sessions = Sessions()

    # Messages

    def hear(self, letter: Letter) -> bool:
        """Take one message; false when its names are not its topic's, and nothing was done."""
        topic, received, stored = letter.topic, letter.incoming.received, letter.incoming.retain
        taken = True
        match letter.body:
            case OffsetResult() as result:
                taken = self._result(result, topic, received, stored=stored)
            case Event() as event:
                taken = self._event(event, topic, received)
            case Info() as info:
                taken = self._info(info, topic, received)
            case SessionState() as state:
                taken = self._session(state, topic, received, stored=stored)
            case word if topic.kind is topics.STATUS:
                self._status(topic.vehicle or "", received, online=word == "online")
            case word if topic.kind is topics.TOPSIDE_STATUS:
                self._topside(topic.topside or "", online=word == "online")
        return taken

    def forget(self, topic: Topic) -> None:
        """A retained message was cleared: what it told is gone, and so is its row."""
        gone: object = None
        if topic.kind is topics.OFFSET:
            gone = self._tracks.pop((topic.vehicle or "", topic.topside or ""), None)
        elif topic.kind is topics.SESSION_STATE:
            gone = self._sessions.forget(topic.session or "")
        elif topic.kind in {topics.STATUS, topics.INFO}:
            gone = self._said.pop(topic.vehicle or "", None)
        if gone:
            self._removed()

    # What is known

    def results(self) -> dict[tuple[str, str], OffsetResult]:
        """The newest result of every (vehicle, topside), however old."""
        return {key: track.result for key, track in self._tracks.items() if track.result}

    def rows(self, now_raw_ns: int, after: int = 0) -> Iterator[VehicleView]:
        """Every vehicle that has changed since version `after`, as it stands now."""
        measured = set()
        for (vehicle, topside), track in self._tracks.items():
            measured.add(vehicle)
            said = self._said.get(vehicle) or VehicleInfo()
            if max(track.version, said.version) > after:
                fresh = track.fresh(now_raw_ns, self._fresh_ns)
                yield self._row(vehicle, track, said, topside, now_raw_ns, fresh=fresh)
        for vehicle, said in self._said.items():
            if vehicle not in measured and said.version > after:
                yield self._row(vehicle, None, said, "", now_raw_ns, fresh=False)

    def sessions(self, now_raw_ns: int, after: int = 0) -> Iterator[SessionView]:
        """Every session that has changed since version `after`."""
        return self._sessions.views(now_raw_ns, after)

    def vehicles(self) -> set[str]:
        """Every vehicle that has been heard of."""
        return {*self._said, *(vehicle for vehicle, _ in self._tracks)}

    def knows(self, vehicle: str) -> bool:
        """Whether the vehicle has been heard of."""
        return vehicle in self._said or bool(self.topsides_of(vehicle))

    def topsides_of(self, vehicle: str) -> list[str]:
        """Who measures it, by name."""
        return sorted(topside for name, topside in self._tracks if name == vehicle)

    def topside_online(self, topside: str) -> bool | None:
        """What a topside's status says; a hint."""
        return self._topsides.get(topside)

    def history(self, vehicle: str, topside: str) -> History | None:
        """The last hours of a vehicle as one topside measured it."""
        track = self._tracks.get((vehicle, topside))
        return track.history if track else None

    # Inside

    def _row(
        self,
        vehicle: str,
        track: Track | None,
        said: VehicleInfo,
        topside: str,
        now_raw_ns: int,
        *,
        fresh: bool,
    ) -> VehicleView:
        return view(
            vehicle,
            track,
            said,
            topside_online=self._topsides.get(topside),
            recording=self._sessions.recording(vehicle),
            now_raw_ns=now_raw_ns,
            fresh=fresh,
        )

    def _result(self, result: OffsetResult, topic: Topic, received: Reading, *, stored: bool) -> bool:
        if (result.vehicle, result.topside) != (topic.vehicle, topic.topside):
            return False
        key = (result.vehicle, result.topside)
        track = self._tracks.get(key)
        if track is None:
            if result.vehicle in self._said and not self.topsides_of(result.vehicle):
                self._removed()  # its row without a topside gives way
            self._make_room(self._tracks, MOST_TRACKS)
            track = self._tracks[key] = Track(*key)
        track.hear(result, received, stored=stored)
        track.version = self._changed()
        return True

    def _event(self, event: Event, topic: Topic, received: Reading) -> bool:
        if event.vehicle != topic.vehicle:
            return False
        said = self._hearsay(event.vehicle, received)
        said.event, said.event_raw_ns = event, received.raw_ns
        what = "clock stepped" if event.kind == "step" else "suspended"
        self._incident(event.vehicle, event.kind, f"{what} {event.step_ms / 1000:+,.3f} s", received)
        return True

    def _info(self, info: Info, topic: Topic, received: Reading) -> bool:
        if info.vehicle != topic.vehicle:
            return False
        self._hearsay(info.vehicle, received).info = info
        return True

    def _status(self, vehicle: str, received: Reading, *, online: bool) -> None:
        said = self._hearsay(vehicle, received)
        if said.online is not None and said.online != online:
            kind: IncidentKind = "online" if online else "offline"
            self._incident(vehicle, kind, "its agent is back" if online else "its agent has gone", received)
        said.online = online

    def _topside(self, topside: str, *, online: bool) -> None:
        self._topsides.pop(topside, None)
        while len(self._topsides) >= MOST_TOPSIDES:
            del self._topsides[next(iter(self._topsides))]
        self._topsides[topside] = online
        version = self._changed()
        for track in self._tracks.values():
            if track.topside == topside:
                track.version = version

    def _session(self, state: SessionState, topic: Topic, received: Reading, *, stored: bool) -> bool:
        if state.session != topic.session:
            return False
        before = self._sessions.touched()
        self._removed(self._sessions.hear(state, received, self._changed(), stored=stored))
        if self._sessions.touched() != before:  # who is recorded has changed: so have the rows
            version = self._changed()
            for track in self._tracks.values():
                track.version = version
            for said in self._said.values():
                said.version = version
        return True

    def _hearsay(self, vehicle: str, received: Reading) -> VehicleInfo:
        if vehicle not in self._said:
            self._make_room(self._said, MOST_VEHICLES)
            self._said[vehicle] = VehicleInfo()
        said = self._said[vehicle]
        said.version, said.heard_raw_ns = self._changed(), received.raw_ns
        return said

    def _incident(self, vehicle: str, kind: IncidentKind, text: str, received: Reading) -> None:
        for (name, _), track in self._tracks.items():
            if name == vehicle:
                track.history.incident(kind, text, received.raw_ns / 1e9)

    def _make_room(self, entries: dict[str, VehicleInfo] | dict[tuple[str, str], Track], most: int) -> None:
        while len(entries) >= most:
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
