"""Pieces of a clock history as columns: 57 bytes each where an object takes a kilobyte."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import TYPE_CHECKING, get_args, overload

from schemas.base import maker
from schemas.clock_history import Begins, ClockPiece

if TYPE_CHECKING:
    from collections.abc import Iterable

_RECORD = Struct("=6qb")
PIECE_BYTES = _RECORD.size
_BEGINS: tuple[Begins | None, ...] = (None, *get_args(Begins))
_NO_LAST = -1
_LAST = Struct("=q")
_LAST_AT = 5 * _LAST.size
_make = maker(ClockPiece)


class PieceColumns(Sequence[ClockPiece]):
    """Pieces in an order; each is made where it is asked for."""

    def __init__(self, data: bytes = b"") -> None:
        """`data` is what `data` of others was."""
        self._data = bytearray(data)

    @property
    def data(self) -> bytearray:
        """All of them, `PIECE_BYTES` each, in this machine's order of bytes."""
        return self._data

    def __len__(self) -> int:
        return len(self._data) // PIECE_BYTES

    @overload
    def __getitem__(self, index: int) -> ClockPiece: ...
    @overload
    def __getitem__(self, index: slice) -> list[ClockPiece]: ...
    def __getitem__(self, index: int | slice) -> ClockPiece | list[ClockPiece]:
        places = range(len(self))[index]
        if isinstance(places, range):
            return [self[each] for each in places]
        return _piece(_RECORD.unpack_from(self._data, places * PIECE_BYTES))

    def __iter__(self) -> Iterator[ClockPiece]:
        for place in range(len(self)):
            yield _piece(_RECORD.unpack_from(self._data, place * PIECE_BYTES))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PieceColumns) and self._data == other._data

    __hash__ = None  # type: ignore[assignment]

    def last(self, place: int) -> int | None:
        """`last` of the piece at this place, which is not negative."""
        (last,) = _LAST.unpack_from(self._data, place * PIECE_BYTES + _LAST_AT)
        return None if last == _NO_LAST else last

    def extend(self, others: PieceColumns) -> None:
        """Append these."""
        self._data += others.data

    def put(self, begin: int, end: int, pieces: Iterable[ClockPiece]) -> None:
        """Have these in place of those from `begin` to before `end`."""
        self._data[begin * PIECE_BYTES : end * PIECE_BYTES] = b"".join(map(_packed, pieces))


def _packed(piece: ClockPiece) -> bytes:
    return _RECORD.pack(
        piece.from_raw_ns,
        piece.from_realtime_ns,
        piece.to_raw_ns,
        piece.to_realtime_ns,
        piece.half_width_ns,
        _NO_LAST if piece.last is None else piece.last,
        _BEGINS.index(piece.begins),
    )


def _piece(record: tuple[int, ...]) -> ClockPiece:
    """The piece as it was: it was validated when it was first made."""
    from_raw_ns, from_realtime_ns, to_raw_ns, to_realtime_ns, half_width_ns, last, begins = record
    return _make(
        {
            "from_raw_ns": from_raw_ns,
            "from_realtime_ns": from_realtime_ns,
            "to_raw_ns": to_raw_ns,
            "to_realtime_ns": to_realtime_ns,
            "half_width_ns": half_width_ns,
            "begins": _BEGINS[begins],
            "last": None if last == _NO_LAST else last,
        }
    )
