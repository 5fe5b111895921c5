"""What the recorder says: subscriptions, session states, and commands to topsides."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from broker.connection import Connection, Outgoing
from schemas import topics
from schemas.base import Message
from schemas.messages import BurstCommand, SessionState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidesync.sessions.journal import Stream
    from tidesync.sessions.recorder.recording import Recording

Filter = tuple[str, int]


class Outbox:
    """Speaks through one connection, below one topic root."""

    def __init__(self, connection: Connection, root: str) -> None:
        self._connection = connection
        self._root = root
        self._subscribed: set[Filter] = set()

    def subscribe(self, recordings: Iterable[Recording], *, anew: bool = False) -> None:
        """Have just the subscriptions that these recordings need; `anew` after a connect."""
        if anew:
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
        """Tell a topside something; while there is no broker it is not said, and decided anew later."""
        topic = topics.build(self._root, topics.TOPSIDE_COMMAND, topside=topside)
        self._connection.publish(Outgoing(topic, command.encode(), topics.TOPSIDE_COMMAND.qos))

    def state(self, state: SessionState) -> bool:
        """Publish a session's state; false while there is no broker."""
        kind = topics.SESSION_STATE
        # A refusal answers one asker; retained, it would hide what the session's recorder says of it.
        retain = kind.retain and state.state != "refused"
        topic = topics.build(self._root, kind, session=state.session)
        return self._connection.publish(Outgoing(topic, state.encode(), kind.qos, retain))

    def _filters(self, recordings: Iterable[Recording]) -> set[Filter]:
        """Commands, results and statuses at QoS 0: none may queue up for us while we are away.

        An old result says nothing, and an old order would begin a recording hours after it was given; who
        gives one repeats it until it is answered.
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
