"""What a recorder sends: its subscriptions, session states, and commands to the topsides of a vehicle."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from broker.interface import Outgoing
from schemas import topics
from schemas.base import Message
from schemas.messages import BurstCommand, SessionState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from broker.interface import MqttConnection
    from schemas.messages import OffsetResult
    from tidesync.sessions.journal import Stream
    from tidesync.sessions.recorder.recording import Recording

Filter = tuple[str, int]

_MOST = 10_000
"""Names come from the network; a flood of them must not fill the memory."""


class TopsideDirectory:
    """Which topside measures which vehicle, pure: known from results and statuses before a session starts."""

    def __init__(self) -> None:
        self._results: dict[Stream, OffsetResult] = {}
        self._online: dict[str, bool] = {}

    @property
    def results(self) -> Iterable[OffsetResult]:
        """The newest result of each stream; its own stamp shows its age."""
        return self._results.values()

    def note_result(self, result: OffsetResult) -> None:
        """Keep a result."""
        stream = (result.vehicle, result.topside)
        if stream in self._results or len(self._results) < _MOST:
            self._results[stream] = result

    def note_status(self, topside: str, *, online: bool) -> None:
        """Keep a topside's status, which is a hint."""
        if topside in self._online or len(self._online) < _MOST:
            self._online[topside] = online

    def measured_by(self, vehicles: Iterable[str]) -> list[Stream]:
        """Which topsides to ask for a burst of each of `vehicles` (none: of all that are known)."""
        wanted = tuple(vehicles) or tuple(dict.fromkeys(vehicle for vehicle, _ in self._results))
        return [(vehicle, topside) for vehicle in wanted for topside in self._topsides(vehicle)]

    def _topsides(self, vehicle: str) -> list[str]:
        known = [topside for other, topside in self._results if other == vehicle]
        online = [topside for topside in known if self._online.get(topside, True)]
        return online or [topside for topside, online in self._online.items() if online]


class Outbox:
    """Sends over one connection, below one topic root."""

    def __init__(self, connection: MqttConnection, root: str) -> None:
        self._connection = connection
        self._root = root
        self._subscribed: set[Filter] = set()

    def subscribe(self, recordings: Iterable[Recording], *, reconnected: bool = False) -> None:
        """Have just the subscriptions that these recordings need; all of them again when `reconnected`."""
        if reconnected:
            self._subscribed = set()
        wanted = self._filters(recordings)
        if new := sorted(wanted - self._subscribed):
            self._connection.subscribe(new)
        if old := sorted(self._subscribed - wanted):
            self._connection.unsubscribe([topic for topic, _ in old])
        self._subscribed = wanted

    def burst(self, streams: Iterable[Stream]) -> None:
        """Ask for a burst of each (vehicle, topside)."""
        for vehicle, topside in streams:
            self.command(topside, BurstCommand(request_id=secrets.token_hex(8), vehicle=vehicle))

    def command(self, topside: str, command: Message) -> None:
        """Send a topside a command; without a broker it is dropped, and decided again later."""
        topic = topics.build(self._root, topics.TOPSIDE_COMMAND, topside=topside)
        self._connection.publish(Outgoing(topic, command.encode(), topics.TOPSIDE_COMMAND.qos))

    def state(self, state: SessionState) -> bool:
        """Publish a session's state; false while there is no broker."""
        kind = topics.SESSION_STATE
        # A refusal answers one client; retained, it would hide the state of a session of that name.
        retain = kind.retain and state.state != "refused"
        topic = topics.build(self._root, kind, session=state.session)
        return self._connection.publish(Outgoing(topic, state.encode(), kind.qos, retain))

    def _filters(self, recordings: Iterable[Recording]) -> set[Filter]:
        """Commands, results and statuses at QoS 0, so that none is queued while the recorder is away.

        An old result is of no use, and an old command would start a recording hours after it was sent;
        clients repeat a command until it is answered.
        """
        filters = {
            (topics.subscription(self._root, topics.SESSION_COMMAND), 0),
            (topics.subscription(self._root, topics.TOPSIDE_STATUS), 0),
            (topics.subscription(self._root, topics.OFFSET), 0),
        }
        for recording in recordings:
            for names in [{"vehicle": vehicle} for vehicle in recording.vehicles] or [{}]:
                for kind in (topics.EXCHANGE, topics.EVENT):
                    filters.add((topics.subscription(self._root, kind, **names), kind.qos))
        return filters
