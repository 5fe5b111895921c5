"""One-step timestamps: a transmit stamp written into its packet, in place, just before it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, SupportsIndex, overload

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTH = 19
"""As many digits as the largest 64-bit number has; shorter ones get spaces in front, which JSON allows."""


@dataclass(slots=True)
class OneStepTimestamp:
    """The number at `position` of a payload, to become RAW + `plus_ns` when the packet goes to the socket."""

    position: int
    plus_ns: int
    raw_ns: int | None = None
    """RAW just before the packet's first byte was handed over; None until then, or if it was not stamped."""
    latest_ns: int | None = None
    """A packet that goes later than at this RAW keeps the number it has; None: none does."""


def with_room(payload: bytes, key: str) -> tuple[bytes, int]:
    """`payload` with the number of its JSON `key` padded to nineteen characters, and its position.

    The number there before is valid too, only earlier: a packet that is not stamped is not wrong.
    """
    after = payload.partition(b'"%b":' % key.encode())[2]
    number = after[: WIDTH + 1].partition(b",")[0].partition(b"}")[0]
    if not number.isdigit():
        raise ValueError(f"no number {key!r} to be stamped in {payload[:80]!r}")
    start = len(payload) - len(after)
    return payload[:start] + number.rjust(WIDTH) + after[len(number) :], start


class OneStepPacket(bytearray):
    """MQTT packets that paho slices right before each `send`; the slice from the first byte stamps one.

    A packet that could not be sent is sliced from 0 again later and stamped then; one that was
    sent in part is sliced further on and keeps its stamp. So the stamp is never later than the departure.
    """

    def __init__(
        self,
        packet: bytes | bytearray,
        position: int,
        stamp: OneStepTimestamp,
        raw_ns: Callable[[], int],
    ):
        """`position`: the stamp's in `packet`."""
        super().__init__(packet)
        self._position, self._stamp = position, stamp
        self._raw_ns = raw_ns

    @overload
    def __getitem__(self, key: SupportsIndex, /) -> int: ...
    @overload
    def __getitem__(self, key: slice, /) -> bytearray: ...
    def __getitem__(self, key: SupportsIndex | slice, /) -> int | bytearray:
        """The bytes asked for, stamped first when they begin with the packet's first."""
        if type(key) is slice and key.start == 0:
            raw_ns, position, stamp = self._raw_ns(), self._position, self._stamp
            number = b"%19d" % (raw_ns + stamp.plus_ns)
            in_time = stamp.latest_ns is None or raw_ns <= stamp.latest_ns
            if in_time and len(number) == WIDTH:  # else the length of the packet would be wrong
                self[position : position + WIDTH] = number
                stamp.raw_ns = raw_ns
        return bytearray.__getitem__(self, key)  # allocates nothing that could trigger garbage collection
