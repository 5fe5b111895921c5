"""What pieces of a clock history say: realtime at an instant of RAW, and RAW at an instant of realtime.

RAW and realtime are those of one machine, of one boot; every instant is in integer nanoseconds. The guarantee
is the pieces' own, and rests on the assumption that `runtime.clock_pieces` states.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from schemas.clock_history import ClockPiece


class Instant(NamedTuple):
    """An instant of one clock, and the half-width within which it is known, ns."""

    ns: int
    half_width_ns: int


class _Run:
    """Consecutive pieces without a step, a suspend or a missing piece between: realtime rises throughout."""

    def __init__(self) -> None:
        self.pieces: list[ClockPiece] = []
        self.starts: list[int] = []
        """Of each piece, its first realtime."""

    def continues(self, piece: ClockPiece) -> bool:
        return piece.begins is None and piece.from_raw_ns == self.pieces[-1].to_raw_ns

    def append(self, piece: ClockPiece) -> None:
        self.pieces.append(piece)
        self.starts.append(piece.from_realtime_ns)

    def raw_at(self, realtime_ns: int) -> Instant | None:
        if not self.starts[0] <= realtime_ns <= self.pieces[-1].to_realtime_ns:
            return None
        piece = self.pieces[max(0, bisect_right(self.starts, realtime_ns) - 1)]
        raw_span, span = piece.to_raw_ns - piece.from_raw_ns, piece.to_realtime_ns - piece.from_realtime_ns
        if raw_span <= 0 or span <= 0:
            return Instant(piece.from_raw_ns, piece.half_width_ns)
        raw_ns = piece.from_raw_ns + (realtime_ns - piece.from_realtime_ns) * raw_span // span
        return Instant(raw_ns, -(-piece.half_width_ns * raw_span // span) + 1)


class ClockHistory:
    """Looks up instants in the pieces of one boot of one machine."""

    def __init__(self, pieces: Sequence[ClockPiece]) -> None:
        self._pieces = pieces
        self._starts = [piece.from_raw_ns for piece in pieces]
        self._runs: list[_Run] = []
        for piece in pieces:
            if not self._runs or not self._runs[-1].continues(piece):
                self._runs.append(_Run())
            self._runs[-1].append(piece)

    @classmethod
    def from_pieces(cls, pieces: Iterable[ClockPiece]) -> ClockHistory:
        """Of the pieces of one boot, in any order; of a piece published several times, the `latest`."""
        return cls(sorted(pieces, key=lambda piece: (piece.from_raw_ns, piece.to_raw_ns)))

    def realtime_at(self, raw_ns: int) -> Instant | None:
        """Realtime when RAW was `raw_ns`; None where no piece covers it.

        Between the last reading before a step or a suspend and the first one after it, nothing is covered.
        """
        index = bisect_right(self._starts, raw_ns) - 1
        if index < 0 or raw_ns > self._pieces[index].to_raw_ns:
            return None
        piece = self._pieces[index]
        raw_span = piece.to_raw_ns - piece.from_raw_ns
        if raw_span == 0:
            return Instant(piece.from_realtime_ns, piece.half_width_ns)
        span = piece.to_realtime_ns - piece.from_realtime_ns
        realtime_ns = piece.from_realtime_ns + (raw_ns - piece.from_raw_ns) * span // raw_span
        return Instant(realtime_ns, piece.half_width_ns + 1)

    def raw_at(self, realtime_ns: int) -> list[Instant]:
        """RAW each time that realtime was `realtime_ns`, the earliest first.

        Several where the clock was set back; none where it was set forward past that instant, or no piece
        covers it. A realtime that the clock also showed between two pieces, unseen, is not in the list.
        """
        return [instant for run in self._runs if (instant := run.raw_at(realtime_ns)) is not None]


def latest(numbered: Iterable[tuple[int, ClockPiece]]) -> list[tuple[int, ClockPiece]]:
    """Of pieces of one process, in the order of their publication: each number once, the latest issue.

    A piece that was merged from several takes the place of those.
    """
    found = dict(numbered)
    kept: list[tuple[int, ClockPiece]] = []
    covered = -1
    for number in sorted(found):
        if number > covered:
            kept.append((number, found[number]))
            last = found[number].last
            covered = number if last is None else last
    return kept
