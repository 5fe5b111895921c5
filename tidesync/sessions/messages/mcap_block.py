"""The records of an MCAP chunk as bytes: where its messages are, and the same bytes with other times.

Payloads are neither decoded nor copied one by one; times are read and written with NumPy.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from mcap.opcode import Opcode

from tidesync.sessions.messages.mcap_records import is_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Integers

_HEAD = struct.Struct("<BQ")
_CHANNEL_AT, _SEQUENCE_AT, _LOG_AT, _PUBLISH_AT, PAYLOAD_AT = 9, 11, 15, 23, 31


class Definition(NamedTuple):
    """A schema or channel record: its kind, its number, and its bytes."""

    opcode: int
    number: int
    record: bytes


class McapBlock(NamedTuple):
    """Consecutive records; the arrays have an entry for each message, in order."""

    data: bytes
    starts: Integers
    """Where its record begins in `data`."""
    ends: Integers
    channels: Integers
    sequences: Integers
    log_ns: NDArray[np.uint64]
    publish_ns: NDArray[np.uint64]
    definitions: list[Definition]
    consumed: int
    """How many bytes of `data` are whole records; what follows cannot be read."""
    others: int
    """Records of other kinds, which no chunk may have."""


def block_of(data: bytes) -> McapBlock:
    """The records in `data`."""
    starts, ends, definitions, at, others = [], [], list[Definition](), 0, 0
    for opcode, begin, end in each_record(data):
        if opcode == Opcode.MESSAGE:
            if end - begin < PAYLOAD_AT:
                break
            starts.append(begin)
            ends.append(end)
        elif not is_whole(opcode, data[begin + 9 : end]):
            break
        elif opcode in {Opcode.SCHEMA, Opcode.CHANNEL}:
            number = int.from_bytes(data[begin + 9 : begin + 11], "little")
            definitions.append(Definition(opcode, number, data[begin:end]))
        else:
            others += 1
        at = end
    first, last = np.array(starts, dtype=np.int64), np.array(ends, dtype=np.int64)
    raw = np.frombuffer(data, dtype=np.uint8)
    return McapBlock(
        data,
        first,
        last,
        _field(raw, first + _CHANNEL_AT, "<u2").astype(np.int64),
        _field(raw, first + _SEQUENCE_AT, "<u4").astype(np.int64),
        _field(raw, first + _LOG_AT, "<u8"),
        _field(raw, first + _PUBLISH_AT, "<u8"),
        definitions,
        at,
        others,
    )


def each_record(data: bytes) -> Iterator[tuple[int, int, int]]:
    """The kind, begin and end of each whole record."""
    at, size, unpack = 0, len(data), _HEAD.unpack_from
    while at + 9 <= size:
        opcode, length = unpack(data, at)
        end = at + 9 + length
        if end > size or not opcode:
            return
        yield opcode, at, end
        at = end


def _field(raw: NDArray[np.uint8], at: Integers, kind: str) -> NDArray[np.uint64]:
    """The numbers of this type at places that need no alignment."""
    width = np.dtype(kind).itemsize
    places = at[:, np.newaxis] + np.arange(width)
    found: NDArray[np.uint64] = raw[places].view(kind).reshape(-1)
    return found


class Placed(NamedTuple):
    """Records with the entries of an index for their messages."""

    data: bytes | bytearray
    starts: Integers
    channels: Integers
    log_ns: NDArray[np.uint64]


def with_times(block: McapBlock, kept: Flags, log_ns: Integers, publish_ns: Integers) -> Placed:
    """The messages that are `kept` with these times (of all messages), and everything else as it is."""
    data, starts = _without(block, ~kept)
    times = log_ns[kept].astype(np.uint64)
    raw = np.frombuffer(data, dtype=np.uint8)
    for at, values in ((_LOG_AT, times), (_PUBLISH_AT, publish_ns[kept])):
        places = (starts + at)[:, np.newaxis] + np.arange(8)
        raw[places] = np.ascontiguousarray(values, dtype="<u8").view(np.uint8).reshape(-1, 8)
    return Placed(data, starts, block.channels[kept], times)


def without(block: McapBlock, removed: Flags) -> McapBlock:
    """The block without some messages."""
    return block_of(bytes(_without(block, removed)[0]))


def with_payloads(block: McapBlock, payloads: Mapping[int, bytes]) -> McapBlock:
    """The block with other payloads of some messages, by their numbers."""
    made, done = bytearray(), 0
    for row, payload in sorted(payloads.items()):
        begin, end = int(block.starts[row]), int(block.ends[row])
        made += memoryview(block.data)[done:begin]
        made += _HEAD.pack(Opcode.MESSAGE, PAYLOAD_AT - _HEAD.size + len(payload))
        made += memoryview(block.data)[begin + _HEAD.size : begin + PAYLOAD_AT]
        made += payload
        done = end
    made += memoryview(block.data)[done:]
    return block_of(bytes(made))


def with_front(placed: Placed, front: bytes) -> Placed:
    """The records with others in front."""
    return placed._replace(data=front + placed.data, starts=placed.starts + len(front)) if front else placed


def alone(block: McapBlock, chosen: Flags) -> Placed:
    """The chosen messages as they are, and nothing else."""
    places = np.flatnonzero(chosen)
    begins, ends = block.starts[places], block.ends[places]
    data = b"".join(block.data[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True))
    lengths = ends - begins
    return Placed(data, np.cumsum(lengths) - lengths, block.channels[places], block.log_ns[places])


def _without(block: McapBlock, removed: Flags) -> tuple[bytearray, Integers]:
    """The bytes without some messages, and where the others begin in them."""
    places = np.flatnonzero(removed)
    made, done = bytearray(), 0
    for begin, end in zip(block.starts[places].tolist(), block.ends[places].tolist(), strict=True):
        made += memoryview(block.data)[done:begin]
        done = end
    made += memoryview(block.data)[done : block.consumed]
    lengths = np.where(removed, block.ends - block.starts, 0)
    return made, (block.starts - np.cumsum(lengths))[~removed]


def message(channel: int, sequence: int, log_ns: int, payload: bytes) -> bytes:
    """A message record."""
    head = struct.pack("<BQHIQQ", Opcode.MESSAGE, 22 + len(payload), channel, sequence, log_ns, log_ns)
    return head + payload
