"""Holes in `seq`, pure: what is missing of one (vehicle, topside), when to ask for it, when it is lost.

A topside process counts an exchange when it has finished it, from 0 and without a break. So a number that was
skipped is a loss on the way, and a lower number with a newer origin is a new process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas.exchange import Exchange
    from tidesync.sessions.journal import Stream

_SEQ_BITS = 54
"""schemas.exchange allows `seq` up to and with 2^53."""
FIRST_ASK_NS = 500_000_000
"""Topside may be about to publish what it could not while the network was away."""
ASK_AGAIN_NS = 2_000_000_000
MOST_ASKED = 10
"""Requests unanswered by a topside that was heard meanwhile, until the exchanges count as lost."""
LARGEST_REQUEST = 1000
MOST_REQUESTS = 4
"""Requests at a time: a long outage comes back in portions."""


@dataclass(slots=True)
class MissingRange:
    """Missing exchanges, both ends included; instants are the recorder's RAW."""

    first: int
    last: int
    before_origin_ns: int
    due_ns: int
    asked: int = 0
    asked_at_ns: int | None = None
    asked_from: int = 0
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """Exchanges that cannot be had any more."""

    run: int
    first: int
    last: int
    before_origin_ns: int


class SeqWatch:
    """Follows the `seq` of one vehicle and topside; told of every exchange, duplicates too."""

    def __init__(self) -> None:
        self.run = 0
        self._first = 0
        self._next = 0
        self._newest: Exchange | None = None
        self._batch = -1
        self._heard_ns = 0
        self._holes: list[MissingRange] = []

    @property
    def missing(self) -> int:
        """Exchanges not here, lost ones of this run included."""
        return sum(hole.last - hole.first + 1 for hole in self._holes)

    @property
    def waiting(self) -> bool:
        """Whether there is a hole that may still be filled."""
        return any(not hole.lost for hole in self._holes)

    def observe(
        self, exchange: Exchange, now_ns: int, *, known: bool, batch: int | None = None
    ) -> list[Lost]:
        """Take note of an exchange (`known`: recorded before); returns what a restart lost."""
        lost: list[Lost] = []
        newest = self._newest
        if newest is None:
            self._first = self._next = exchange.seq
        elif not known and self._is_restart(exchange, newest, batch):
            lost = self._restart()
        if batch is not None:
            self._batch = batch
        if exchange.seq >= self._next:
            self._advance(exchange, now_ns)
        else:
            self._fill(exchange.seq, now_ns)
        return lost

    def requests(self, now_ns: int) -> list[tuple[int, int]]:
        """`(from, to)` to ask for now; counts them as asked.

        The newest come first: topside forgets the oldest first, so what it no longer has is found out last.
        """
        due = [hole for hole in reversed(self._holes) if hole.due_ns <= now_ns and not hole.lost]
        for hole in due[:MOST_REQUESTS]:
            self._note_asked(hole, now_ns)
        return [(hole.asked_from, hole.last) for hole in due[:MOST_REQUESTS]]

    def hurry(self) -> None:
        """Have everything that is missing asked for at the next turn.

        After a lost connection too: requests and answers may have gone down with it, so none was in vain.
        """
        for hole in self._holes:
            hole.due_ns = hole.asked = 0

    def lost(self) -> list[Lost]:
        """What has been asked for in vain often enough; told once."""
        return self._give_up([hole for hole in self._holes if hole.asked > MOST_ASKED and not hole.lost])

    def end(self) -> list[Lost]:
        """Everything still missing is lost: the recording ends."""
        return self._give_up([hole for hole in self._holes if not hole.lost])

    def _is_restart(self, exchange: Exchange, newest: Exchange, batch: int | None) -> bool:
        if exchange.seq >= self._next:  # a new process may have come this far while nobody listened
            return batch is not None and batch < self._batch
        if any(hole.first <= exchange.seq <= hole.last for hole in self._holes):
            return _newer_by_raw(exchange, newest)
        # Either recorded under another origin, or from before the first one that we saw.
        return exchange.seq >= self._first or _newer(exchange, newest)

    def _restart(self) -> list[Lost]:
        lost = self.end()
        self.run += 1
        self._first = self._next = 0
        self._holes.clear()
        return lost

    def _advance(self, exchange: Exchange, now_ns: int) -> None:
        if exchange.seq > self._next:
            due_ns = now_ns + FIRST_ASK_NS
            self._holes.append(MissingRange(self._next, exchange.seq - 1, exchange.origin_ns, due_ns))
        self._next = exchange.seq + 1
        self._newest = exchange
        self._heard_ns = now_ns

    def _fill(self, seq: int, now_ns: int) -> None:
        for index, hole in enumerate(self._holes):
            if hole.first <= seq <= hole.last:
                self._holes[index : index + 1] = _without(hole, seq, now_ns)
                return

    def _note_asked(self, hole: MissingRange, now_ns: int) -> None:
        # A topside that is silent has not refused; only one that was heard since counts.
        if hole.asked_at_ns is None or self._heard_ns > hole.asked_at_ns:
            hole.asked += 1
        hole.asked_at_ns = now_ns
        hole.asked_from = max(hole.first, hole.last - LARGEST_REQUEST + 1)
        hole.due_ns = now_ns + ASK_AGAIN_NS

    def _give_up(self, holes: list[MissingRange]) -> list[Lost]:
        for hole in holes:
            hole.lost = True
        return [Lost(self.run, hole.first, hole.last, hole.before_origin_ns) for hole in holes]


def _without(hole: MissingRange, seq: int, now_ns: int) -> list[MissingRange]:
    """What is left of `hole` once `seq` is here."""
    parts = ((hole.first, seq - 1), (seq + 1, hole.last))
    return [_part(hole, first, last, now_ns) for first, last in parts if first <= last]


def _part(hole: MissingRange, first: int, last: int, now_ns: int) -> MissingRange:
    part = MissingRange(first, last, hole.before_origin_ns, hole.due_ns, lost=hole.lost)
    if hole.asked_at_ns is None:
        return part
    if last < hole.asked_from:  # the next portion
        part.due_ns = now_ns
        return part
    part.asked_at_ns, part.asked_from = hole.asked_at_ns, hole.asked_from
    part.due_ns = now_ns + ASK_AGAIN_NS  # the answer is under way
    return part


def _newer(exchange: Exchange, newest: Exchange) -> bool:
    """By RAW, or by realtime after topside's own reboot set RAW back."""
    return exchange.origin_ns > newest.origin_ns or _newer_by_raw(exchange, newest)


def _newer_by_raw(exchange: Exchange, newest: Exchange) -> bool:
    ours, theirs = exchange.topside_realtime_minus_raw_ns, newest.topside_realtime_minus_raw_ns
    if ours is None or theirs is None:
        return exchange.origin_ns > newest.origin_ns
    return exchange.origin_ns - ours > newest.origin_ns - theirs


@dataclass(slots=True)
class Known:
    """Which exchanges are recorded, as one integer each.

    `seq` starts again with each topside process; the origin tells its exchanges from the earlier ones.
    """

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
