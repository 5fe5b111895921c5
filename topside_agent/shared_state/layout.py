"""The layout of the shared file; little-endian, version 1. Imports nothing heavy: readers import it.

    header      magic, version, places, entries of each place, size, the machine's boot id, CRC
    directory   a name for each place, each with its CRC
    places      one for each vehicle: two heads, then a ring of entries

No reader and no writer waits for the other, and no order of the stores is relied on: x86 keeps it, ARM does
not. An entry never changes once a head counts it, until the ring overwrites it with a higher number. A head
is written alternately in two places, by its sequence. Every record ends with the CRC-32 of all of it: a
reader that meets a record half written takes the other head, or what it read before. So a torn record is
taken for a whole one with a chance of 2⁻³².

A head is void `VOID_NS` after it was written by BOOTTIME, which counts while the machine sleeps.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from struct import Struct
from typing import NamedTuple
from zlib import crc32

from runtime.clock import machine_boot_id

MAGIC, VERSION = b"tidesync", 1
PLACES = 64
"""Vehicles, at most."""
ENTRIES = 2_048
"""Of each vehicle: about half an hour, an entry a second."""
KEPT = ENTRIES - 64
"""So many are counted at most: the others may be overwritten while a reader decodes."""
TAIL, SPANS = 24, 32
VOID_NS = 3_000_000_000
_AHEAD_NS = -1_000_000_000
"""A head may be written after its reader has looked at the clock."""

HEADER = Struct("<8sIIII64s")
NAME = Struct("<64s")
ENTRY = Struct("<9q")
HEAD = Struct("<5q2i")
SPAN = Struct("<3q")
CRC = Struct("<I")
SEQUENCE = Struct("<q")

NAME_BYTES = NAME.size + CRC.size
ENTRY_BYTES = ENTRY.size + 8
HEAD_BYTES = (HEAD.size + TAIL * ENTRY.size + SPANS * SPAN.size + CRC.size + 63) // 64 * 64
DIRECTORY = 128
PLACE = (DIRECTORY + PLACES * NAME_BYTES + 4095) // 4096 * 4096
PLACE_BYTES = (2 * HEAD_BYTES + ENTRIES * ENTRY_BYTES + 4095) // 4096 * 4096
SIZE = PLACE + PLACES * PLACE_BYTES

OK, CONDITIONAL = 0, 1
"""How an entry is known."""
PASSED, DOUBT = 0, 1
"""What a span is: the clock showed it, and no entry (any more) says when; or nobody knows whether it did."""
EVER_NS = 2**62


class Entry(NamedTuple):
    """While the vehicle's clock showed `from_ns` to `to_ns`: topside's less that, and the greatest error, ns.

    It may have shown either `reach_ns` later and earlier than these, too.
    The difference is straight between `first_ns` at the beginning and `last_ns` at the end. Within a `run`
    the vehicle's clock only rose.
    """

    number: int
    run: int
    from_ns: int
    to_ns: int
    first_ns: int
    last_ns: int
    half_ns: int
    reach_ns: int
    kind: int


class Span(NamedTuple):
    """Times of the vehicle's clock without an entry; see PASSED, DOUBT."""

    from_ns: int
    to_ns: int
    kind: int


class Head(NamedTuple):
    """What is known of a vehicle now."""

    sequence: int
    written_ns: int
    """BOOTTIME."""
    first: int
    """The number of the oldest entry that is kept."""
    following: int
    """The number of the next entry."""
    tail: tuple[Entry, ...]
    """What follows the last entry, and may still change."""
    spans: tuple[Span, ...]


def sealed(record: bytes) -> bytes:
    """A record and its CRC."""
    return record + CRC.pack(crc32(record))


def is_whole(record: bytes) -> bool:
    """Whether the last four bytes are the CRC of the others."""
    (expected,) = CRC.unpack_from(record, len(record) - CRC.size)
    return crc32(record[: -CRC.size]) == int(expected)


def encode_header() -> bytes:
    """The header of a file of this boot."""
    return sealed(HEADER.pack(MAGIC, VERSION, PLACES, ENTRIES, SIZE, machine_boot_id().encode()))


def encode_name(vehicle: str) -> bytes:
    """An entry of the directory."""
    return sealed(NAME.pack(vehicle.encode()))


def encode_entry(entry: Entry) -> bytes:
    """An entry of a ring."""
    return sealed(ENTRY.pack(*entry)) + b"\0\0\0\0"


def decode_entry(record: bytes) -> Entry | None:
    """The entry; None where it is torn."""
    record = record[: ENTRY.size + CRC.size]
    return Entry(*ENTRY.unpack_from(record)) if is_whole(record) else None


def encode_head(head: Head) -> bytes:
    """A head, of HEAD_BYTES."""
    counts = len(head.tail), len(head.spans)
    record = HEAD.pack(head.sequence, head.written_ns, head.first, head.following, 0, *counts)
    record += b"".join(ENTRY.pack(*entry) for entry in head.tail)
    record += b"".join(SPAN.pack(*span) for span in head.spans)
    return sealed(record.ljust(HEAD_BYTES - CRC.size, b"\0"))


def decode_head(record: bytes) -> Head | None:
    """The head; None where it is torn, or was never written."""
    if not is_whole(record):
        return None
    sequence, written_ns, first, following, _, tail, spans = HEAD.unpack_from(record)
    begin = HEAD.size + tail * ENTRY.size
    return Head(
        sequence,
        written_ns,
        first,
        following,
        tuple(Entry(*each) for each in ENTRY.iter_unpack(record[HEAD.size : begin])),
        tuple(Span(*each) for each in SPAN.iter_unpack(record[begin : begin + spans * SPAN.size])),
    )


def place_of(index: int) -> int:
    """Where a vehicle's place begins."""
    return PLACE + index * PLACE_BYTES


def entry_at(index: int, number: int) -> int:
    """Where an entry is."""
    return place_of(index) + 2 * HEAD_BYTES + number % ENTRIES * ENTRY_BYTES


def is_fresh(written_ns: int, now_ns: int) -> bool:
    """Whether a head is not void."""
    return _AHEAD_NS < now_ns - written_ns < VOID_NS


def boottime_ns() -> int:
    """BOOTTIME; where a system has none, a clock that may stand still while the machine sleeps."""
    if sys.platform != "win32" and _BOOTTIME is not None:
        return time.clock_gettime_ns(_BOOTTIME)
    return time.monotonic_ns()


_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def default_paths() -> list[Path]:
    """Where the file is if nothing else is stated, the likeliest first; none where there is no BOOTTIME.

    The folder that systemd gives a service, that of the user's session, that of the system.
    """
    given = (os.environ.get(name, "").partition(":")[0] for name in ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"))
    service, own = given
    folders = [service] if service else []
    folders += [f"{own}/tidesync"] if own else []
    return [Path(folder) / "state" for folder in (*folders, "/run/tidesync")] if _BOOTTIME is not None else []
