"""Which of a vehicle's addresses to use, pure: all are tried, the one that answers fastest is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from topside_agent.udp.interface import Address

MOST_ADDRESSES = 16
_ROUND = 3
"""Requests to each address in a search."""
_BETTER, _BETTER_NS = 0.9, 20_000
"""Another address is worth a change if its least delay is smaller by a tenth and 20 µs."""


class Addresses:
    """A search asks each address `_ROUND` times."""

    def __init__(self, addresses: tuple[Address, ...], preferred: Address | None = None) -> None:
        self.all = addresses[:MOST_ADDRESSES]
        self.used = preferred if preferred in self.all else None
        """The one in use; None if none answers."""
        self._delays: dict[Address, int] = {}
        self._unreachable: set[Address] = set()
        self._left = 0

    @property
    def are_unreachable(self) -> bool:
        """Whether to none of them could a datagram be sent."""
        return len(self._unreachable) == len(self.all)

    def search(self, rounds: int = _ROUND) -> None:
        """Begin to ask every address."""
        self._left = rounds
        self._delays.clear()

    @property
    def is_searching(self) -> bool:
        """Whether a search is not through yet."""
        return self._left > 0

    def to_ask(self) -> tuple[Address, ...]:
        """Where to send to next: all in a search, else the one in use."""
        if self._left:
            self._left -= 1
            return self.all
        return () if self.used is None else (self.used,)

    def sent(self, address: Address, *, sent: bool) -> None:
        """Whether a datagram could be sent there."""
        (self._unreachable.discard if sent else self._unreachable.add)(address)

    def answered(self, address: Address, delay_ns: int) -> bool:
        """That address answered; whether the one in use changed."""
        if address not in self.all:
            return False
        delays = self._delays
        delays[address] = min(delay_ns, delays.get(address, delay_ns))
        if self.used is None:
            self.used = address
            return True
        used_ns, best = delays.get(self.used), min(delays, key=delays.__getitem__)
        if used_ns is None or delays[best] >= min(_BETTER * used_ns, used_ns - _BETTER_NS):
            return False
        self.used = best
        return True

    def lost(self) -> None:
        """None of them answers."""
        self.used = None
