"""Pieces of a machine's clock history as one straight line between two instants of its RAW, pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from enum import Enum
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from schemas.clock_history import ClockPiece

_MOST = 4_096
_STEEPEST = 0.12
"""Of realtime against RAW: no clock is slewed faster."""


class Reach(Enum):
    """Why there is no line."""

    NOT_YET = "the history does not reach so far"
    CUT = "the clock was set, or the machine slept"


class Line(NamedTuple):
    """Realtime at both ends, and how far it may be from the line between them, ns."""

    first_ns: int
    last_ns: int
    error_ns: int


class Pieces:
    """The newest pieces of one machine, by their numbers."""

    def __init__(self) -> None:
        self._source: object = None
        self._pieces: dict[int, ClockPiece] = {}
        self._listed: list[ClockPiece] | None = None

    def take(self, source: object, pieces: Iterable[tuple[int, ClockPiece]]) -> None:
        """Take pieces of a boot and process; the latest of a number counts. Another source begins again."""
        if source != self._source:
            self._source = source
            self._pieces.clear()
        self._pieces.update(pieces)
        while len(self._pieces) > _MOST:
            del self._pieces[next(iter(self._pieces))]
        self._listed = None

    def forget(self, before_raw_ns: int) -> None:
        """Those that ended before."""
        over = [number for number, piece in self._pieces.items() if piece.to_raw_ns < before_raw_ns]
        for number in over:
            del self._pieces[number]
        self._listed = None if over else self._listed

    @property
    def last_number(self) -> int:
        """The number of the newest piece; 0 without one."""
        return max(self._pieces, default=0)

    def cut_after(self, raw_ns: int) -> bool:
        """Whether a piece that begins after `raw_ns` does not continue the one before."""
        begins = bisect_left(self._in_order, raw_ns, key=_begin)
        return any(piece.begins is not None for piece in self._in_order[begins:])

    def runs_between(self, first_ns: int, last_ns: int) -> list[tuple[int, int]] | None:
        """Of each run that begins and ends between two instants of RAW the least and greatest realtime.

        None while the pieces do not reach so far.
        """
        pieces = self._in_order
        if not pieces or pieces[-1].to_raw_ns < last_ns:
            return None
        found: list[tuple[int, int]] = []
        begun = False
        for piece in pieces[
            bisect_right(pieces, first_ns, key=_begin) : bisect_right(pieces, last_ns, key=_begin)
        ]:
            low, high = (
                piece.from_realtime_ns - piece.half_width_ns,
                piece.to_realtime_ns + piece.half_width_ns,
            )
            if piece.begins is not None:
                begun = True
                found.append((low, high))
            elif begun:
                found[-1] = min(found[-1][0], low), max(found[-1][1], high)
        return found[:-1]

    @property
    def _in_order(self) -> list[ClockPiece]:
        if self._listed is None:
            self._listed = sorted(self._pieces.values(), key=_begin)
        return self._listed

    def line(
        self, first_ns: int, last_ns: int, from_ns: int | None = None, to_ns: int | None = None
    ) -> Line | Reach:
        """The line from `first_ns` to `last_ns` of RAW, with its error from `from_ns` to `to_ns`."""
        begin, end = first_ns if from_ns is None else from_ns, last_ns if to_ns is None else to_ns
        pieces = self._in_order
        since = max(bisect_right(pieces, begin, key=_begin) - 1, 0)
        inside = pieces[since : bisect_right(pieces, end, key=_begin)]
        if any(piece.begins is not None and piece.from_raw_ns > begin for piece in inside):
            return Reach.CUT
        if not inside or inside[0].from_raw_ns > begin or inside[-1].to_raw_ns < end:
            return Reach.NOT_YET
        if any(after.from_raw_ns > before.to_raw_ns for before, after in pairwise(inside)):
            return Reach.NOT_YET
        first, last = _at(inside, first_ns), _at(inside, last_ns)
        moved = (last - last_ns) - (first - first_ns)
        slope = moved / max(last_ns - first_ns, 1)
        if abs(slope) > _STEEPEST:
            return Reach.CUT
        off = max(
            abs((realtime - raw) - (first - first_ns) - slope * (raw - first_ns))
            for raw, realtime in _corners(inside, begin, end)
        )
        return Line(first, last, ceil(off) + max(piece.half_width_ns for piece in inside) + 1)


def _begin(piece: ClockPiece) -> int:
    return piece.from_raw_ns


def _corners(pieces: list[ClockPiece], begin: int, end: int) -> Iterator[tuple[int, int]]:
    """RAW and realtime where the pieces begin and end between two instants, and at these."""
    for at in (begin, end):
        yield at, _at(pieces, at)
    for piece in pieces:
        if piece.from_raw_ns >= begin:
            yield piece.from_raw_ns, piece.from_realtime_ns
        if piece.to_raw_ns <= end:
            yield piece.to_raw_ns, piece.to_realtime_ns


def _at(pieces: list[ClockPiece], raw_ns: int) -> int:
    """Realtime on the last of these pieces that begins before `raw_ns`."""
    piece = next((each for each in reversed(pieces) if each.from_raw_ns <= raw_ns), pieces[0])
    length = max(piece.to_raw_ns - piece.from_raw_ns, 1)
    moved = piece.to_realtime_ns - piece.from_realtime_ns
    return piece.from_realtime_ns + (raw_ns - piece.from_raw_ns) * moved // length
