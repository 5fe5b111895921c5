"""What a session's log knows from the exchanges alone, as an index keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from schemas.base import Message, first_error
from schemas.names import Topside, Vehicle
from tidesync.sessions.clock_pieces import Machine
from tidesync.sessions.errors import TornIndexError
from tidesync.sessions.recorder.missing import SequenceWatch, WatchState
from tidesync.sessions.recorder.recorded import Numbers, RecordedExchanges
from tidesync.sessions.recorder.vehicle_log import VehicleState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tidesync.sessions.journal import Stream
    from tidesync.sessions.recorder.index_file import Index


class StreamState(Message):
    """A stream; its recorded numbers follow in the order of the streams."""

    vehicle: Vehicle
    topside: Topside
    watch: WatchState


class Snapshot(Message):
    """All but the numbers of the exchanges that are recorded."""

    streams: list[StreamState]
    vehicles: list[VehicleState]
    topsides: list[Topside]
    """Those that measured a vehicle of the session."""
    raw_ns: list[tuple[Machine, str, str, int]]


def streams_of(watches: Mapping[Stream, SequenceWatch]) -> list[StreamState]:
    """The state of every stream."""
    return [StreamState(vehicle=key[0], topside=key[1], watch=watch.state) for key, watch in watches.items()]


def parts_of(snapshot: Snapshot, recorded: RecordedExchanges) -> Iterator[bytes | memoryview]:
    """The recorded numbers of the snapshot's streams."""
    for stream in snapshot.streams:
        yield from recorded.of((stream.vehicle, stream.topside)).parts()


def read_snapshot(index: Index) -> tuple[Snapshot, RecordedExchanges]:
    """What was written; TornIndexError where it is something else."""
    try:
        snapshot = Snapshot.model_validate_json(index.state)
    except ValidationError as error:
        raise TornIndexError(first_error(error)) from error
    recorded = RecordedExchanges()
    for stream in snapshot.streams:
        recorded.put((stream.vehicle, stream.topside), Numbers.from_parts(index.parts))
    return snapshot, recorded
