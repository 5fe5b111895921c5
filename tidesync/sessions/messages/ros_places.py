"""Where the stamps of many messages of one ROS type are, at once: as `ros_stamps` walks one, with NumPy.

That goes for types whose only parts of variable length are text and sequences of numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Integers

STAMP, FIXED, COUNTED, STAMPS, VARIABLE = range(5)
"""Kinds of a `Leaf`; COUNTED: its length is in front of it; STAMPS and VARIABLE have to be walked."""
FRONT = 4
"""Bytes of CDR in front, which say how the rest is written."""
LITTLE_CDR = b"\x00\x01"
PADDING = 7
"""So many bytes of CDR may follow."""


class Leaf(NamedTuple):
    """What a type consists of, in order."""

    kind: int
    align: int = 1
    size: int = 0
    """Bytes; of COUNTED those of an element."""


def places_of(
    leaves: Sequence[Leaf], data: bytes, begins: Integers, ends: Integers, *, is_cdr: bool
) -> tuple[Flags, Integers]:
    """Which payloads are what the type says, and of each (also of others) the places of its stamps in `data`.

    `begins` and `ends` are those of payloads in `data`; the places have a row for each.
    """
    raw, places = np.frombuffer(data, dtype=np.uint8), []
    front = begins + (FRONT if is_cdr else 0)
    whole = front <= ends
    if is_cdr:
        for number, byte in enumerate(LITTLE_CDR):
            whole &= raw[np.where(whole, begins + number, 0)] == byte
    at = np.minimum(front, ends)
    for kind, align, size in leaves:
        length = np.full(at.shape, size)
        if kind == COUNTED:
            at = _aligned(at, front, 4, is_cdr=is_cdr)
            whole &= at + 4 <= ends
            length = _count(raw, np.where(whole, at, 0)) * size
            at = at + 4
        at = np.where(length > 0, _aligned(at, front, align, is_cdr=is_cdr), at)
        if kind == STAMP:
            places.append(at)
        at = at + length
        whole &= at <= ends
        at = np.minimum(at, ends)
    whole &= ends - at <= (PADDING if is_cdr else 0)
    return whole, np.stack(places, axis=1)


def _count(raw: NDArray[np.uint8], at: Integers) -> Integers:
    found: Integers = raw[at[:, np.newaxis] + np.arange(4)].view("<u4").reshape(-1).astype(np.int64)
    return found


def _aligned(at: Integers, front: Integers, size: int, *, is_cdr: bool) -> Integers:
    return at + (front - at) % size if is_cdr else at
