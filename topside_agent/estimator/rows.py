"""The rows of a track as columns: 56 bytes each where an object takes four hundred."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, get_args, overload

import numpy as np
from numpy.typing import NDArray

from topside_agent.estimator.blocks import Floats, Integers

RowState = Literal["ok", "holdover", "ambiguous", "outside"]

_STATES: tuple[RowState, ...] = get_args(RowState)
_RECORD = np.dtype(
    [
        ("topside_unix_ns", "i8"),
        ("offset_ns", "i8"),
        ("lower_ns", "i8"),
        ("upper_ns", "i8"),
        ("u95_ns", "i8"),
        ("realtime_ns", "f8"),
        ("segment", "i4"),
        ("state", "u1"),
    ]
)
_WHOLE = ("topside_unix_ns", "offset_ns", "lower_ns", "upper_ns", "u95_ns")
_PACK = struct.Struct("=5qdiB").pack
_NO_U95 = -1
_LEAST_NS, _MOST_NS = -(2**63), 2**63 - 1
_FAR_NS = 2**61
_CHUNK = 4096


class Row(NamedTuple):
    """The offset (Pi − topside, ns) at the destination of one exchange; a line of `offsets.csv`.

    `pi_unix_ns` is `topside_unix_ns + offset_ns`. `ambiguous` rows lie so near to a cut that they may belong
    to either side; so does the last one before a cut, as the Pi read its clock before the destination, and
    the last of all if its answer was under way for more than a second.
    """

    vehicle: str
    topside: str
    topside_unix_ns: int
    pi_unix_ns: int
    offset_ns: int
    lower_ns: int
    upper_ns: int
    u95_ns: int | None
    segment: int
    state: RowState

    @property
    def max_error_ns(self) -> int:
        """How far the offset can be from the truth."""
        return max(self.upper_ns - self.offset_ns, self.offset_ns - self.lower_ns)


class RowColumns:
    """Gathers the rows of one track."""

    def __init__(self) -> None:
        self._data = bytearray()

    def add(
        self,
        at_ns: int,
        offset_ns: int,
        bound_ns: tuple[int, int],
        u95_ns: int | None,
        segment: int,
        *,
        state: RowState = "ok",
        realtime_ns: float = 0.0,
    ) -> None:
        """Append a row; `realtime_ns`: how much of its bound is for what the wall clocks may have done.

        Bounds are limited to 64 bits: no clock reads more (`schemas.base.LATEST_NS`).
        """
        numbers = (at_ns, offset_ns, *bound_ns, _NO_U95 if u95_ns is None else u95_ns)
        others = realtime_ns, segment, _STATES.index(state)
        try:
            self._data += _PACK(*numbers, *others)
        except struct.error:
            self._data += _PACK(*(min(max(each, _LEAST_NS), _MOST_NS) for each in numbers), *others)

    def taken(self, stream: tuple[str, str]) -> Rows:
        """All of them, of this vehicle and topside; nothing can be added afterwards."""
        return Rows(stream, np.frombuffer(self._data, dtype=_RECORD))


class Rows(Sequence[Row]):
    """The rows of one vehicle's and topside's track; each is made where it is asked for."""

    def __init__(
        self, stream: tuple[str, str], table: NDArray[np.void], places: NDArray[np.uint32] | None = None
    ) -> None:
        """`places`: those of a table that several share; None: all of it."""
        self._stream, self._table, self._places = stream, table, places

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Rows:
        """These rows, as they are where they are columns already."""
        if isinstance(rows, Rows):
            return rows
        columns, stream = RowColumns(), ["", ""]
        for row in rows:
            *stream, at_ns, _, offset_ns, lower_ns, upper_ns, u95_ns, segment, state = row
            columns.add(at_ns, offset_ns, (lower_ns, upper_ns), u95_ns, segment, state=state)
        return columns.taken((stream[0], stream[1]))

    def __len__(self) -> int:
        return self._table.size if self._places is None else self._places.size

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Rows: ...
    def __getitem__(self, index: int | slice) -> Row | Rows:
        if isinstance(index, slice):
            return self.at(index)
        return self._row(self._table[index if self._places is None else self._places[index]].item())

    def __iter__(self) -> Iterator[Row]:
        for chunk in self._chunks(_CHUNK):
            yield from map(self._row, chunk.tolist())

    def _chunks(self, size: int) -> Iterator[NDArray[np.void]]:
        for begin in range(0, len(self), size):
            here = slice(begin, begin + size)
            yield self._table[here if self._places is None else self._places[here]]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(other) != len(self):
            return False
        return all(one == another for one, another in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def _row(self, record: tuple[int, int, int, int, int, float, int, int]) -> Row:
        at_ns, offset_ns, lower_ns, upper_ns, u95_ns, _, segment, state = record
        u95 = None if u95_ns == _NO_U95 else u95_ns
        pi_ns, named = at_ns + offset_ns, _STATES[state]
        return Row(*self._stream, at_ns, pi_ns, offset_ns, lower_ns, upper_ns, u95, segment, named)

    def at(self, places: slice | NDArray[np.integer] | NDArray[np.bool_]) -> Rows:
        """The rows at these places of this order; the table is not copied."""
        if self._places is None and isinstance(places, slice):
            return Rows(self._stream, self._table[places])
        own = np.arange(self._table.size, dtype=np.uint32) if self._places is None else self._places
        return Rows(self._stream, self._table, own[places])

    WORDS: ClassVar = 7
    """Of a row in `each_words`."""

    @property
    def stream(self) -> tuple[str, str]:
        """The vehicle and topside."""
        return self._stream[0], self._stream[1]

    def each_words(self, size: int) -> Iterator[Integers]:
        """So many rows at a time as 64-bit words, shape (rows, WORDS)."""
        for part in self._chunks(size):
            words = np.empty((part.size, self.WORDS), dtype=np.int64)
            for column, name in enumerate(_WHOLE):
                words[:, column] = part[name]
            words[:, -2] = np.ascontiguousarray(part["realtime_ns"]).view(np.int64)
            words[:, -1] = (part["segment"].astype(np.int64) << 8) | part["state"]
            yield words

    @classmethod
    def of_words(cls, stream: tuple[str, str], size: int, parts: Iterable[Integers]) -> Rows:
        """The `size` rows of which these words were made."""
        table, begin = np.empty(size, dtype=_RECORD), 0
        for words in parts:
            part = table[begin : begin + len(words)]
            begin += len(words)
            for column, name in enumerate(_WHOLE):
                part[name] = words[:, column]
            part["realtime_ns"] = np.ascontiguousarray(words[:, -2]).view(np.float64)
            part["segment"], part["state"] = words[:, -1] >> 8, words[:, -1] & 0xFF
        return cls(stream, table)

    def see_ambiguous(self, flags: NDArray[np.bool_]) -> None:
        """Note which of them lie near a cut, before anyone has seen them."""
        self._table["state"][np.flatnonzero(flags) if self._places is None else self._places[flags]] = (
            _STATES.index("ambiguous")
        )

    def are(self, state: RowState, places: Integers) -> NDArray[np.bool_]:
        """Which of those at `places` are in this state."""
        found: NDArray[np.bool_] = self._field("state")[places] == _STATES.index(state)
        return found

    def contradict(
        self, places: Integers, base_ns: Integers, low_ns: Integers, high_ns: Integers
    ) -> NDArray[np.bool_]:
        """Which of those at `places` cannot have an offset of `base_ns` + `low_ns` to `high_ns`, or none can.

        No offset is near the 64 bits.
        """
        rows = self._table[places]
        found: NDArray[np.bool_] = (
            (low_ns > high_ns)
            | (base_ns + low_ns > rows["upper_ns"])
            | (base_ns + high_ns < rows["lower_ns"])
        )
        return found

    def narrow(self, places: Integers, base_ns: Integers, low_ns: Integers, high_ns: Integers) -> None:
        """Before anyone has seen them: those at `places` have that offset, which they do not contradict.

        What they are to be on RAW is as wide as it was, or theirs with what the readings leave open added,
        whichever is narrower (`realtime_ns`).
        """
        rows = self._table[places]
        before, near = rows.copy(), (rows["upper_ns"] < _FAR_NS) & (rows["lower_ns"] > -_FAR_NS)
        rows["lower_ns"] = np.maximum(rows["lower_ns"], base_ns + low_ns)
        rows["upper_ns"] = np.minimum(rows["upper_ns"], base_ns + high_ns)
        rows["offset_ns"] = np.clip(rows["offset_ns"], rows["lower_ns"], rows["upper_ns"])
        below, above = rows["offset_ns"] - rows["lower_ns"], rows["upper_ns"] - rows["offset_ns"]
        moved = np.maximum(rows["lower_ns"] - before["lower_ns"], before["upper_ns"] - rows["upper_ns"])
        realtime = np.maximum(np.floor(rows["realtime_ns"] - moved), -np.ceil(rows["realtime_ns"]))
        rows["realtime_ns"] = np.minimum(realtime, np.minimum(below, above))
        rows["u95_ns"] = np.minimum(rows["u95_ns"], np.maximum(below, above))  # also where there is none
        self._table[places[near]] = rows[near]

    def in_states(self, *states: RowState) -> Rows:
        """The rows in these states."""
        return self.at(np.isin(self._field("state"), [_STATES.index(state) for state in states]))

    def column(self, name: str) -> Integers:
        """`topside_unix_ns`, `offset_ns`, `lower_ns`, `upper_ns` or `segment` of each row."""
        return self._field(name).astype(np.int64)

    def _field(self, name: str) -> NDArray[Any]:
        field: NDArray[Any] = self._table[name]
        return field if self._places is None else field[self._places]

    @property
    def realtime_ns(self) -> Floats:
        """How much wider each row is on either side for what the wall clocks may have done.

        Below 0, and so much narrower, where they ran so evenly that no reading of them counts.
        """
        return np.array(self._field("realtime_ns"))

    @property
    def u95_ns(self) -> Floats:
        """NaN where a row has none."""
        u95_ns = self._field("u95_ns").astype(np.float64)
        return np.where(u95_ns == _NO_U95, np.nan, u95_ns)

    @property
    def max_error_ns(self) -> NDArray[np.uint64]:
        """`Row.max_error_ns` of each; a difference of two of them may take all 64 bits."""
        offset, lower, upper = (
            self._field(name).astype(np.uint64) for name in ("offset_ns", "lower_ns", "upper_ns")
        )
        errors: NDArray[np.uint64] = np.maximum(upper - offset, offset - lower)
        return errors
