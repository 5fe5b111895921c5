"""A session of what is heard of some vehicles for a while: its folder is gone afterwards."""

from __future__ import annotations

import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from schemas import topics
from schemas.clock_history import TopsideClock, VehicleClock, numbered
from schemas.exchange import fault_of
from schemas.messages import ExchangeBatch
from tidesync.client import Client, connected, unheard
from tidesync.errors import NotSoError
from tidesync.sessions.clock_pieces import line_of
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.journal import lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from broker.inbox import Letter
    from broker.settings import ConnectionSettings
    from schemas.clock_history import ClockLine
    from schemas.exchange import Exchange
    from schemas.topics import Topic
    from tidesync.sessions.clock_pieces import Machine

_CONNECT_S = 10.0
_ENOUGH = 8
"""Exchanges of a vehicle by which one topside knows it."""
_LOOK_S = 0.2


class Heard:
    """What topsides published of some vehicles, each exchange and each piece of a clock's history once."""

    def __init__(self, vehicles: Sequence[str]) -> None:
        self._exchanges: dict[tuple[object, ...], Exchange] = {}
        self._pieces: dict[tuple[str, str, str, int], ClockLine] = {}
        self.counts = dict.fromkeys(vehicles, 0)
        """Exchanges, by vehicle."""

    def take(self, topic: Topic, body: object) -> None:
        """Keep what a message brings; others are left out."""
        if isinstance(body, ExchangeBatch):
            for each in body.exchanges:
                here = (each.vehicle, each.topside) == (topic.vehicle, topic.topside)
                if here and each.vehicle in self.counts and not fault_of(each):
                    key = (each.vehicle, each.topside, each.instance_id, each.seq)
                    self.counts[each.vehicle] += key not in self._exchanges
                    self._exchanges[key] = each
        elif isinstance(body, VehicleClock) and body.vehicle == topic.vehicle:
            self._keep("vehicle", body.vehicle, body)
        elif isinstance(body, TopsideClock) and body.topside == topic.topside:
            self._keep("topside", body.topside, body)

    def _keep(self, machine: Machine, name: str, message: VehicleClock | TopsideClock) -> None:
        for number, piece in numbered(message):
            line = line_of((machine, name), message.boot_id, message.instance_id, number, piece)
            self._pieces[line.key] = line

    def write(self, folder: SessionFolder) -> None:
        """As a recorder does."""
        folder.time_sync_path.mkdir()
        folder.exchanges_path.write_bytes(lines_of(self._exchanges.values()))
        folder.clock_path.write_bytes(lines_of(self._pieces.values()))


class _Listener(Client):
    def __init__(self, settings: ConnectionSettings, vehicles: Sequence[str]) -> None:
        self.found = Heard(vehicles)
        root = settings.topic_root
        filters = [
            topics.subscription(root, kind, vehicle=vehicle)
            for vehicle in vehicles
            for kind in (topics.EXCHANGE, topics.VEHICLE_CLOCK)
        ]
        filters.append(topics.subscription(root, topics.TOPSIDE_CLOCK))
        super().__init__(settings, "tidesync-pair", filters)

    def heard(self, letter: Letter) -> None:
        """Keep what it brings."""
        self.found.take(letter.topic, letter.body)


@contextmanager
def heard_session(settings: ConnectionSettings, vehicles: Sequence[str], for_s: float) -> Iterator[Path]:
    """The folder of a session with what topsides publish of `vehicles` within `for_s` seconds.

    Twice as long while one of them has too few exchanges. NotSoError where one has none.
    """
    listener = _Listener(settings, vehicles)
    counts, never = listener.found.counts, threading.Event()
    with connected(listener.connection, _CONNECT_S):
        begun_s = time.monotonic()
        while time.monotonic() - begun_s < for_s * (2 if min(counts.values()) < _ENOUGH else 1):
            if listener.connection.failure:
                raise listener.connection.failure
            never.wait(_LOOK_S)
        silent = [vehicle for vehicle in vehicles if not counts[vehicle]]
        if silent:
            why = unheard(listener.connection) or "is a topside running, and are they online?"
            raise NotSoError(f"no exchange of {', '.join(silent)} within {2 * for_s:g} s: {why}")
    with tempfile.TemporaryDirectory(prefix="tidesync-") as place:
        listener.found.write(SessionFolder(Path(place)))
        yield Path(place)
