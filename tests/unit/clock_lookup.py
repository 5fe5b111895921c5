"""Looks up what pieces of a clock history say, by integers alone, to compare them with the truth."""

from bisect import bisect_right
from typing import NamedTuple


class Instant(NamedTuple):
    """An instant of one clock, and the half-width within which it is known, ns."""

    ns: int
    half_width_ns: int


class _Run:
    """Consecutive pieces without a step, a suspend or a missing piece between: realtime rises throughout."""

    def __init__(self):
        self.pieces = []
        self.starts = []
        """Of each piece, its first realtime."""

    def continues(self, piece):
        return piece.begins is None and piece.from_raw_ns == self.pieces[-1].to_raw_ns

    def append(self, piece):
        self.pieces.append(piece)
        self.starts.append(piece.from_realtime_ns)

    def raw_at(self, realtime_ns):
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

    def __init__(self, pieces):
        self._pieces = pieces
        self._starts = [piece.from_raw_ns for piece in pieces]
        self._runs = []
        for piece in pieces:
            if not self._runs or not self._runs[-1].continues(piece):
                self._runs.append(_Run())
            self._runs[-1].append(piece)

    @classmethod
    def from_pieces(cls, pieces):
        """Of the pieces of one boot, in any order; of a piece published several times, the `latest`."""
        return cls(sorted(pieces, key=lambda piece: (piece.from_raw_ns, piece.to_raw_ns)))

    def realtime_at(self, raw_ns):
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

    def raw_at(self, realtime_ns):
        """RAW each time that realtime was `realtime_ns`, the earliest first.

        Several where the clock was set back; none where it was set forward past that instant, or no piece
        covers it. A realtime that the clock also showed between two pieces, unseen, is not in the list.
        """
        return [instant for run in self._runs if (instant := run.raw_at(realtime_ns)) is not None]
