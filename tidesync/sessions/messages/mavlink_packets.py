"""Where the packets of a .tlog are: each has eight bytes of time before it, µs since 1970, the highest first.

A packet is taken if another one, or the end of the file, follows it where its length says. Where the records
do not follow each other, those are sought that do, four in a row or up to the end.

Assumption: a stamp is what was written; no checksum of MAVLink covers it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tidesync.sessions.messages.format import Loss

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

STAMP = 8
LINK = 0b11
"""The bits of a stamp that may be the number of the link."""
LINK_NS = 4_000
_V1, _V2 = 0xFE, 0xFD
_SIGNED, _SIGNATURE = 0x01, 13
_OVERHEAD_1, _OVERHEAD_2 = 6 + 2, 10 + 2
_LONGEST = STAMP + _OVERHEAD_2 + 255 + _SIGNATURE
_LATEST_HIGH = 1 << 4
"""The upper two bytes of a stamp are less than this: until the year 2106."""
_IN_A_ROW = 4
_PART = 1 << 18


class Packets(NamedTuple):
    """Consecutive records: `data[starts[i]:ends[i]]`, the stamp included."""

    data: bytes
    starts: list[int]
    ends: list[int]
    size: int
    """Bytes of the file that they took, with what was lost among them."""


def packets_of(stream: BinaryIO, size: int, losses: list[Loss]) -> Iterator[Packets]:
    """All records of the first `size` bytes of a file; what is lost is added to `losses`."""
    stream.seek(0)
    data, begin = b"", 0
    while begin < size:
        at_end = begin + len(data) >= size
        if not at_end:
            data += stream.read(min(_PART, size - begin - len(data)))
            at_end = begin + len(data) >= size
        starts, ends, done = _followed(data, begin, losses, at_end=at_end)
        yield Packets(data, starts, ends, done)
        if at_end or not done:
            return
        data, begin = data[done:], begin + done


def _followed(
    data: bytes, begin: int, losses: list[Loss], *, at_end: bool
) -> tuple[list[int], list[int], int]:
    """The records in `data`, and how many of its bytes need not be read again."""
    starts, ends, at = list[int](), list[int](), 0
    last = len(data) if at_end else len(data) - (_IN_A_ROW + 1) * _LONGEST
    while at < last:
        size = _size(data, at)
        end = at + size
        if size and _begins(data, end):
            starts.append(at)
            ends.append(end)
            at = end
            continue
        following = _next(data, at + 1, last, at_end=at_end)
        cut = at_end and following == len(data) and size
        reason = "a packet is cut off" if cut else "no packet begins here"
        losses.append(Loss(begin + at, following - at, reason))
        at = following
    return starts, ends, at


def _size(data: bytes, at: int) -> int:
    """The length of the record that begins there; 0: none does."""
    head = data[at : at + STAMP + 3]
    if len(head) < STAMP + 3 or head[0] or head[1] >= _LATEST_HIGH:
        return 0
    if head[STAMP] == _V1:
        return STAMP + _OVERHEAD_1 + head[STAMP + 1]
    if head[STAMP] == _V2:
        return STAMP + _OVERHEAD_2 + head[STAMP + 1] + _SIGNATURE * (head[STAMP + 2] & _SIGNED)
    return 0


def _begins(data: bytes, at: int) -> bool:
    """Whether a record begins there, as far as there are bytes; what follows the last one may be cut off."""
    if at > len(data):
        return False
    return at + STAMP + 3 > len(data) or _size(data, at) > 0


def _next(data: bytes, at: int, last: int, *, at_end: bool) -> int:
    """The next place from which records follow each other; `last` where there is none before that."""
    while at < last:
        end = at
        for _ in range(_IN_A_ROW):
            size = _size(data, end)
            end += size
            if not size or end > len(data):
                break
            if at_end and end == len(data):
                return at
        else:
            return at
        at += 1
    return last


def described(packets: Packets) -> Iterator[str]:
    """Of each packet the numbers of its system, its component and its message."""
    for start in packets.starts:
        at = start + STAMP
        if packets.data[at] == _V1:
            _, _, _, system, component, message = packets.data[at : at + 6]
        else:
            system, component = packets.data[at + 5 : at + 7]
            message = int.from_bytes(packets.data[at + 7 : at + 10], "little")
        yield f"{system},{component},{message}"
