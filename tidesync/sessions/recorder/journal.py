"""Append-only JSON lines, pure: what a whole line is, and which exchange is here already."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from schemas.base import InvalidMessageError, Message
from schemas.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Iterable

Stream = tuple[str, str]
"""(vehicle, topside): whose exchanges share one count of `seq`."""

Identity = tuple[str, str, int, int]

_SEQ_BITS = 54
"""schemas.exchange allows `seq` up to and with 2^53."""


def identity(exchange: Exchange) -> Identity:
    """What tells two exchanges apart: `seq` begins anew with each topside process, the origin does not."""
    return (exchange.vehicle, exchange.topside, exchange.seq, exchange.origin_ns)


def lines_of(messages: Iterable[Message]) -> bytes:
    """Each message's JSON and a newline: to be appended in one write."""
    return b"".join(message.encode() + b"\n" for message in messages)


def is_exchange(line: bytes) -> bool:
    """Whether a line is a whole exchange, so that at most its newline is missing."""
    try:
        Exchange.decode(line)
    except InvalidMessageError:
        return False
    return True


def decode_exchanges(data: bytes) -> tuple[list[Exchange], int]:
    """The exchanges in whole lines, and how many lines are none (they stay in the file)."""
    exchanges, faults = [], 0
    for line in data.split(b"\n"):
        if not line.strip():
            continue
        try:
            exchanges.append(Exchange.decode(line))
        except InvalidMessageError:
            faults += 1
    return exchanges, faults


@dataclass(slots=True)
class Known:
    """The identities of every exchange recorded, small: one integer each."""

    _by_stream: dict[Stream, set[int]] = field(default_factory=dict)

    def __contains__(self, exchange: Exchange) -> bool:
        return _key(exchange) in self._by_stream.get((exchange.vehicle, exchange.topside), ())

    def add(self, exchange: Exchange) -> bool:
        """Remember it; whether it was new."""
        keys = self._by_stream.setdefault((exchange.vehicle, exchange.topside), set())
        before = len(keys)
        keys.add(_key(exchange))
        return len(keys) > before


def _key(exchange: Exchange) -> int:
    return exchange.origin_ns << _SEQ_BITS | exchange.seq
