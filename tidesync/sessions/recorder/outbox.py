"""What a recorder sends: its subscriptions, session states, and commands to the topsides of a vehicle."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from broker.interface import Outgoing
from schemas import topics
from schemas.base import Message
from schemas.clock_history import numbered
from schemas.messages import BurstCommand, SessionState, Status
from tidesync.sessions.recorder.clock_log import LIVE_NS
from tidesync.sessions.recorder.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Iterable

    from broker.interface import MqttConnection
    from schemas.clock_history import TopsideClock, VehicleClock
    from schemas.messages import OffsetResult
    from tidesync.sessions.clock_pieces import Owner
    from tidesync.sessions.journal import Stream
    from tidesync.sessions.recorder.recording import Recording

_CLOCKS = (topics.VEHICLE_CLOCK, topics.TOPSIDE_CLOCK)
_MOST = 10_000
"""Names come from the network; a flood of them must not fill the memory."""


class TopsideDirectory:
    """Which topside measures which vehicle, pure: known from results and statuses before a session starts."""

    def __init__(self, now_ns: int) -> None:
        """`now_ns`: the recorder's RAW."""
        self.reach = Reach(now_ns)
        self._results: dict[Stream, OffsetResult] = {}

    @property
    def results(self) -> Iterable[OffsetResult]:
        """The newest result of each stream; its own stamp shows its age."""
        return self._results.values()

    def note_result(self, result: OffsetResult) -> None:
        """Keep a result."""
        stream = (result.vehicle, result.topside)
        if stream in self._results or len(self._results) < _MOST:
            self._results[stream] = result

    def measured_by(self, vehicles: Iterable[str]) -> list[Stream]:
        """Which topsides to ask for a burst of each of `vehicles` (none: of all that are known)."""
        known: dict[str, list[str]] = {}
        for vehicle, topside in self._results:
            known.setdefault(vehicle, []).append(topside)
        wanted = tuple(vehicles) or tuple(known)
        return [
            (vehicle, topside) for vehicle in wanted for topside in self._alive_of(known.get(vehicle, []))
        ]

    def _alive_of(self, known: list[str]) -> list[str]:
        return [topside for topside in known if self.reach.is_online(topside)] or self.reach.online


class ClockDirectory:
    """The newest piece of each machine's clock, pure: it is from before a session that starts now."""

    def __init__(self) -> None:
        self._newest: dict[Owner, tuple[VehicleClock | TopsideClock, int]] = {}

    def note(self, owner: Owner, message: VehicleClock | TopsideClock, now_ns: int) -> None:
        """Keep the last piece of a message; `now_ns` is the recorder's RAW."""
        if owner in self._newest or len(self._newest) < _MOST:
            number, piece = numbered(message)[-1]
            newest = message.model_copy(update={"first": number, "pieces": (piece,)})
            self._newest[owner] = (newest, now_ns)

    def alive(self, now_ns: int) -> list[tuple[Owner, VehicleClock | TopsideClock]]:
        """The machines heard of late, each with its newest piece."""
        return [
            (owner, message)
            for owner, (message, heard_ns) in self._newest.items()
            if now_ns - heard_ns <= LIVE_NS
        ]


class Outbox:
    """Sends over one connection, below one topic root."""

    def __init__(self, connection: MqttConnection, root: str) -> None:
        self._connection = connection
        self._root = root
        self._subscribed: dict[str, int] = {}

    def subscribe(self, recordings: Iterable[Recording], *, reconnected: bool = False) -> None:
        """Have just the subscriptions that these recordings need; all of them again when `reconnected`."""
        if reconnected:
            self._subscribed = {}
        wanted = self._filters(recordings)
        if new := sorted(wanted.items() - self._subscribed.items()):  # a changed QoS replaces the earlier
            self._connection.subscribe(new)
        if old := sorted(self._subscribed.keys() - wanted.keys()):
            self._connection.unsubscribe(old)
        self._subscribed = wanted

    def burst(self, streams: Iterable[Stream]) -> None:
        """Ask for a burst of each (vehicle, topside)."""
        self.commands(
            (("topside", topside), BurstCommand(request_id=secrets.token_hex(8), vehicle=vehicle))
            for vehicle, topside in streams
        )

    def commands(self, commands: Iterable[tuple[Owner, Message]]) -> None:
        """Send vehicles and topsides commands; without a broker they are dropped, and decided again later."""
        self._connection.publish(*(self._command(*each) for each in commands))

    def _command(self, owner: Owner, command: Message) -> Outgoing:
        machine, name = owner
        kind = topics.TOPSIDE_COMMAND if machine == "topside" else topics.VEHICLE_COMMAND
        topic = topics.build(self._root, kind, **{machine: name})
        return Outgoing(topic, command.encode(), kind.qos)

    def state(self, state: SessionState) -> bool:
        """Publish a session's state, with what the broker refuses; false while there is no broker."""
        kind = topics.SESSION_STATE
        if self._connection.refusal and state.state == "recording":
            sentences = filter(None, (state.alarm, str(self._connection.refusal)))
            state = state.model_copy(update={"alarm": "; ".join(sentences)})
        # A refusal answers one client; retained, it would hide the state of a session of that name.
        retain = kind.retain and state.state != "refused"
        topic = topics.build(self._root, kind, session=state.session)
        return self._connection.publish(Outgoing(topic, state.encode(), kind.qos, retain))

    def _filters(self, recordings: Iterable[Recording]) -> dict[str, int]:
        """Commands, results, statuses and idle clocks at QoS 0: none is queued while the recorder is away.

        An old result is of no use, and an old command would start a recording hours after it was sent;
        clients repeat a command until it is answered.
        """
        idle = (topics.SESSION_COMMAND, topics.TOPSIDE_STATUS, topics.OFFSET, *_CLOCKS)
        filters = {topics.subscription(self._root, kind): 0 for kind in idle}
        for recording in recordings:
            filters[topics.subscription(self._root, topics.TOPSIDE_CLOCK)] = topics.TOPSIDE_CLOCK.qos
            for names in [{"vehicle": vehicle} for vehicle in recording.vehicles] or [{}]:
                for kind in (topics.EXCHANGE, topics.EVENT, topics.VEHICLE_CLOCK):
                    filters[topics.subscription(self._root, kind, **names)] = kind.qos
        return filters


def status_of(root: str, recorder: str, status: Status) -> Outgoing:
    """A recorder's status, retained: to be published, or its will."""
    kind = topics.RECORDER_STATUS
    return Outgoing(topics.build(root, kind, recorder=recorder), status.encode(), kind.qos, kind.retain)
