"""A ping and two readings of the clock in, a pong out, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from schemas.messages import Pong

if TYPE_CHECKING:
    from runtime.clock import Reading
    from schemas.exchange import StampKind
    from schemas.messages import Ping

Unanswerable = Literal["unrepresentable"]
"""Why a ping gets no pong: a stamp before 1970, or a reading more than a second wide."""


@dataclass(frozen=True, slots=True)
class Answerer:
    """What is the same in every pong of one process."""

    boot_id: str
    instance_id: str
    resolution_ns: int
    """The coarsest step of the clock that stamps."""


def answer(
    ping: Ping,
    received: Reading,
    receive_stamp: StampKind,
    transmit: Reading,
    answerer: Answerer,
    *,
    transmit_stamp: StampKind = "user",
) -> Pong | Unanswerable:
    """The pong to `ping`, read off the clock at `received` and, just before it is sent, at `transmit`.

    Where the connection stamps its writes (`write`), the transmit stamp moves up to the write with its RAW;
    the difference stays the one read here.

    Both stamps are RAW plus the difference at `transmit`, so that subtracting it gives both RAW readings
    back exactly, however realtime was slewed or set between them. RAW itself errs to the safe side only; the
    error of the difference, half its reading's width, is in `resolution_ns`.
    """
    try:
        return Pong(
            seq=ping.seq,
            nonce=ping.nonce,
            receive_ns=received.raw_ns + transmit.realtime_minus_raw_ns,
            transmit_ns=transmit.realtime_ns,
            realtime_minus_raw_ns=transmit.realtime_minus_raw_ns,
            boot_id=answerer.boot_id,
            instance_id=answerer.instance_id,
            receive_stamp=receive_stamp,
            transmit_stamp=transmit_stamp,
            resolution_ns=answerer.resolution_ns + -(-transmit.width_ns // 2),
        )
    except ValidationError:
        return "unrepresentable"
