"""What a session's log knows from its journals, as an index keeps it."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from pydantic import ValidationError

from schemas.base import Message, first_error
from schemas.exchange import Identifier
from schemas.names import Topside, Vehicle
from tidesync.sessions.clock_pieces import ClockPieces, Machine
from tidesync.sessions.errors import TornIndexError
from tidesync.sessions.journal import Source
from tidesync.sessions.piece_columns import PIECE_BYTES, PieceColumns
from tidesync.sessions.recorder.piece_watch import PieceWatchState
from tidesync.sessions.recorder.recorded import Numbers, RecordedExchanges
from tidesync.sessions.recorder.sources import SourceState
from tidesync.sessions.recorder.vehicle_log import VehicleState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tidesync.sessions.recorder.index_file import Index


class Snapshot(Message):
    """All but the numbers of the exchanges and the pieces of clock histories that are recorded."""

    watches: list[SourceState]
    recorded: list[tuple[Vehicle, Topside, Identifier | None]]
    """The sources whose recorded numbers follow, in this order."""
    vehicles: list[VehicleState]
    topsides: list[Topside]
    """Those that measured a vehicle of the session."""
    raw_ns: list[tuple[Machine, str, str, int]]
    clocks: list[PieceWatchState]
    """The processes whose pieces follow, in this order."""
    resumed: bool = False
    """Whether a kill may have taken what came first of a source that is not among these."""


def parts_of(
    snapshot: Snapshot, recorded: RecordedExchanges, clocks: Iterable[ClockPieces]
) -> Iterator[bytes | memoryview]:
    """The recorded numbers of the snapshot's sources, and the pieces of its clocks."""
    for source in snapshot.recorded:
        yield from recorded.of(Source(*source)).parts()
    for pieces in clocks:
        yield from pieces.parts()


def read_snapshot(index: Index) -> tuple[Snapshot, RecordedExchanges, list[ClockPieces]]:
    """What was written; TornIndexError where it is something else."""
    try:
        snapshot = Snapshot.model_validate_json(index.state)
    except ValidationError as error:
        raise TornIndexError(first_error(error)) from error
    recorded = RecordedExchanges()
    for source in snapshot.recorded:
        recorded.put(Source(*source), Numbers.from_parts(index.parts))
    clocks = [
        ClockPieces.restored(
            clock.boot_id,
            array("q", index.parts.take(8 * clock.pieces)),
            PieceColumns(index.parts.take(PIECE_BYTES * clock.pieces)),
        )
        for clock in snapshot.clocks
    ]
    return snapshot, recorded, clocks
