"""The records of a dataflash log (.BIN): two bytes, the type, and what the FMT record of the type says.

A record is taken if another one, or the end of the file, follows it. Where records do not follow each other,
the next that do are sought.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tidesync.sessions.messages.format import Loss

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import BinaryIO

    from numpy.typing import NDArray

    from topside_agent.estimator.blocks import Floats, Integers

HEAD = b"\xa3\x95"
FMT, _FMT_BYTES = 128, 89
_PART, _LONGEST = 1 << 20, 3 * 256
_KINDS = {
    "b": "i1",
    "B": "u1",
    "M": "u1",
    "h": "<i2",
    "H": "<u2",
    "c": "<i2",
    "C": "<u2",
    "g": "<f2",
    "i": "<i4",
    "I": "<u4",
    "L": "<i4",
    "e": "<i4",
    "E": "<u4",
    "f": "<f4",
    "d": "<f8",
    "q": "<i8",
    "Q": "<u8",
    "n": "S4",
    "N": "S16",
    "Z": "S64",
    "a": "S64",
}
_HUNDREDTHS = frozenset("cCeE")


class Kind(NamedTuple):
    """What an FMT record says of a type."""

    name: str
    size: int
    """Of its records, all bytes."""
    format: str
    columns: tuple[str, ...]

    @property
    def timed(self) -> bool:
        """Whether its records begin with the time since boot, µs."""
        return self.format.startswith("Q") and self.columns[:1] == ("TimeUS",)


class Records(NamedTuple):
    """Consecutive records."""

    data: bytes
    begin: int
    """Where `data` begins in the file."""
    starts: Integers
    types: Integers
    size: int
    """Bytes of the file that they took, with what was lost among them."""

    def at(self, places: Integers) -> Integers:
        """Where the records at these places begin in the file."""
        return self.begin + self.starts[places]

    def numbers(self, places: Integers, kind: Kind, column: str) -> Floats:
        """A column of the records at these places, which are of the kind."""
        number = kind.columns.index(column)
        sizes = [np.dtype(_KINDS[each]).itemsize for each in kind.format]
        letter = kind.format[number]
        found = self.field(places, 3 + sum(sizes[:number]), _KINDS[letter]).astype(np.float64)
        return found / 100 if letter in _HUNDREDTHS else found

    def field(self, places: Integers, at: int, kind: str) -> NDArray[np.generic]:
        """The values of this type, `at` bytes behind each record's begin."""
        raw, width = np.frombuffer(self.data, dtype=np.uint8), np.dtype(kind).itemsize
        found: NDArray[np.generic] = raw[self.starts[places, np.newaxis] + at + np.arange(width)].view(kind)
        return found.reshape(-1)


def records_of(stream: BinaryIO, size: int, kinds: dict[int, Kind], losses: list[Loss]) -> Iterator[Records]:
    """All records of the first `size` bytes; `kinds` and `losses` are added to."""
    stream.seek(0)
    kinds.setdefault(FMT, Kind("FMT", _FMT_BYTES, "BBnNZ", ("Type", "Length", "Name", "Format", "Columns")))
    data, begin, at_end = b"", 0, False
    while not at_end:
        data += stream.read(min(_PART, size - begin - len(data)))
        at_end = begin + len(data) >= size
        starts, types, done = _followed(data, begin, kinds, losses, at_end=at_end)
        yield Records(data, begin, np.array(starts, np.int64), np.array(types, np.int64), done)
        if not done:
            return
        data, begin = data[done:], begin + done


def _followed(
    data: bytes, begin: int, kinds: dict[int, Kind], losses: list[Loss], *, at_end: bool
) -> tuple[Sequence[int], Sequence[int], int]:
    starts, types, at = list[int](), list[int](), 0
    last = len(data) if at_end else len(data) - _LONGEST
    while at < last:
        end = _end(data, at, kinds)
        if end and (end == len(data) or data.startswith(HEAD, end) or 0 < len(data) - end < 2):  # noqa: PLR2004
            starts.append(at)
            types.append(data[at + 2])
            if types[-1] == FMT:
                _learn(data[at:end], kinds)
            at = end
            continue
        following = _next(data, at + 1, last, kinds)
        reason = "a record is cut off" if at_end and following == len(data) else "no record begins here"
        losses.append(Loss(begin + at, following - at, reason))
        at = following
    return starts, types, at


def _end(data: bytes, at: int, kinds: Mapping[int, Kind]) -> int:
    """The end of the record that begins there; 0: none does, or it is cut off."""
    if not data.startswith(HEAD, at) or at + 2 >= len(data):
        return 0
    kind = kinds.get(data[at + 2])
    return 0 if kind is None or at + kind.size > len(data) else at + kind.size


def _next(data: bytes, at: int, last: int, kinds: Mapping[int, Kind]) -> int:
    """The next record that another one follows; `last` where there is none before that."""
    while 0 <= (at := data.find(HEAD, at)) < last:
        end = _end(data, at, kinds)
        if end and (end == len(data) or _end(data, end, kinds)):
            return at
        at += 1
    return last


def _learn(record: bytes, kinds: dict[int, Kind]) -> None:
    """Take what an FMT record says."""
    texts = (record[begin:end].split(b"\0")[0] for begin, end in ((5, 9), (9, 25), (25, 89)))
    name, form, columns = (text.decode("ascii", "replace") for text in texts)
    if set(form) <= set(_KINDS):
        size = len(HEAD) + 1 + sum(np.dtype(_KINDS[each]).itemsize for each in form)
        kind = Kind(name, record[4], form, tuple(columns.split(",")))
        if size == record[4] and len(form) == len(kind.columns):
            kinds.setdefault(record[3], kind)
