"""What was measured in a session, kept compressed for whoever needs one stream after the other again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from tidesync.sessions.folder import Measured
from tidesync.sessions.isolation import StreamFaults
from tidesync.sessions.journal import Stream
from topside_agent.estimator import PackedExchanges, PackedRows, Rows, Track

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Kept(NamedTuple):
    exchanges: PackedExchanges
    rows: PackedRows
    track: Track
    """Without its rows."""


class KeptTracks(Mapping[Stream, Measured]):
    """Each stream is unpacked each time it is asked for: hold one no longer than it is needed."""

    def __init__(self) -> None:
        self.failed = StreamFaults()
        self._kept: dict[Stream, _Kept] = {}

    def keep(self, measured: Measured) -> None:
        """Add what one topside measured of one vehicle."""
        track = measured.track
        packed = PackedExchanges.of(measured.exchanges), PackedRows(Rows.of(track.rows))
        self._kept[measured.vehicle, measured.topside] = _Kept(*packed, replace(track, rows=()))

    def __getitem__(self, stream: Stream) -> Measured:
        kept = self._kept[stream]
        return Measured(*stream, kept.exchanges.unpacked(), replace(kept.track, rows=kept.rows.unpacked()))

    def __iter__(self) -> Iterator[Stream]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)
