"""Missing exchanges, pure: which are recorded, which are missing, when to request them, when they are lost.

A topside process counts each exchange when it has finished it, from 0 and without a gap. So a skipped number
is a loss on the way, and a lower number with a newer origin is a new process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas.exchange import Exchange
    from tidesync.sessions.journal import Stream

FIRST_REQUEST_NS = 500_000_000
"""Topside may be about to publish what it could not while the network was away."""
REPEAT_REQUEST_NS = 2_000_000_000
MOST_REPEATS = 10
"""Requests unanswered by a topside that was heard meanwhile, until the exchanges count as lost."""
LARGEST_REQUEST = 1000
MOST_REQUESTS = 4
"""Requests at a time: a long outage comes back in portions."""
_SEQ_BITS = 54
"""schemas.exchange allows `seq` up to and with 2^53."""


@dataclass(slots=True)
class RecordedExchanges:
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


@dataclass(slots=True)
class MissingRange:
    """Missing exchanges, both ends included; instants are the recorder's RAW."""

    first: int
    last: int
    before_origin_ns: int
    due_ns: int
    requests: int = 0
    requested_at_ns: int | None = None
    requested_from: int = 0
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """Exchanges that cannot be had any more."""

    run: int
    first: int
    last: int
    before_origin_ns: int


class SequenceWatch:
    """Follows the `seq` of one vehicle and topside; takes every exchange, duplicates too."""

    def __init__(self) -> None:
        self.run = 0
        self._first = 0
        self._next = 0
        self._newest: Exchange | None = None
        self._batch = -1
        self._heard_ns = 0
        self._missing: list[MissingRange] = []

    @property
    def missing(self) -> int:
        """Exchanges not recorded, lost ones of this process included."""
        return sum(missing.last - missing.first + 1 for missing in self._missing)

    @property
    def waiting(self) -> bool:
        """Whether something is missing that may still come."""
        return any(not missing.lost for missing in self._missing)

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
        """`(from, to)` to ask for now; counts them as requested.

        The newest come first: topside forgets the oldest first, so those are the last to be given up.
        """
        due = [
            missing for missing in reversed(self._missing) if missing.due_ns <= now_ns and not missing.lost
        ]
        for missing in due[:MOST_REQUESTS]:
            self._note_request(missing, now_ns)
        return [(missing.requested_from, missing.last) for missing in due[:MOST_REQUESTS]]

    def request_all(self) -> None:
        """Make everything that is missing due at once.

        After a lost connection, requests and answers may be lost with it, so no request counts as unanswered.
        """
        for missing in self._missing:
            missing.due_ns = missing.requests = 0

    def give_up(self) -> list[Lost]:
        """What was requested often enough without an answer; each is returned once."""
        return self._give_up(
            [missing for missing in self._missing if missing.requests > MOST_REPEATS and not missing.lost]
        )

    def end(self) -> list[Lost]:
        """Everything still missing is lost: the recording ends."""
        return self._give_up([missing for missing in self._missing if not missing.lost])

    def _is_restart(self, exchange: Exchange, newest: Exchange, batch: int | None) -> bool:
        if exchange.seq >= self._next:  # a new process may have come this far while nobody listened
            return batch is not None and batch < self._batch
        if any(missing.first <= exchange.seq <= missing.last for missing in self._missing):
            return _newer_by_raw(exchange, newest)
        # Either recorded under another origin, or from before the first one that we saw.
        return exchange.seq >= self._first or _newer(exchange, newest)

    def _restart(self) -> list[Lost]:
        lost = self.end()
        self.run += 1
        self._first = self._next = 0
        self._missing.clear()
        return lost

    def _advance(self, exchange: Exchange, now_ns: int) -> None:
        if exchange.seq > self._next:
            due_ns = now_ns + FIRST_REQUEST_NS
            self._missing.append(MissingRange(self._next, exchange.seq - 1, exchange.origin_ns, due_ns))
        self._next = exchange.seq + 1
        self._newest = exchange
        self._heard_ns = now_ns

    def _fill(self, seq: int, now_ns: int) -> None:
        for index, missing in enumerate(self._missing):
            if missing.first <= seq <= missing.last:
                self._missing[index : index + 1] = _without(missing, seq, now_ns)
                return

    def _note_request(self, missing: MissingRange, now_ns: int) -> None:
        # A silent topside has not refused: a request counts only if topside was heard since the last one.
        if missing.requested_at_ns is None or self._heard_ns > missing.requested_at_ns:
            missing.requests += 1
        missing.requested_at_ns = now_ns
        missing.requested_from = max(missing.first, missing.last - LARGEST_REQUEST + 1)
        missing.due_ns = now_ns + REPEAT_REQUEST_NS

    def _give_up(self, ranges: list[MissingRange]) -> list[Lost]:
        for missing in ranges:
            missing.lost = True
        return [Lost(self.run, lost.first, lost.last, lost.before_origin_ns) for lost in ranges]


def _without(missing: MissingRange, seq: int, now_ns: int) -> list[MissingRange]:
    """What is left of `missing` once `seq` is recorded."""
    rest = ((missing.first, seq - 1), (seq + 1, missing.last))
    return [_narrowed(missing, first, last, now_ns) for first, last in rest if first <= last]


def _narrowed(missing: MissingRange, first: int, last: int, now_ns: int) -> MissingRange:
    rest = MissingRange(first, last, missing.before_origin_ns, missing.due_ns, lost=missing.lost)
    if missing.requested_at_ns is None:
        return rest
    if last < missing.requested_from:  # the next portion
        rest.due_ns = now_ns
        return rest
    rest.requested_at_ns, rest.requested_from = missing.requested_at_ns, missing.requested_from
    rest.due_ns = now_ns + REPEAT_REQUEST_NS  # the answer is under way
    return rest


def _newer(exchange: Exchange, newest: Exchange) -> bool:
    """By RAW, or by realtime after topside's own reboot set RAW back."""
    return exchange.origin_ns > newest.origin_ns or _newer_by_raw(exchange, newest)


def _newer_by_raw(exchange: Exchange, newest: Exchange) -> bool:
    ours, theirs = exchange.topside_realtime_minus_raw_ns, newest.topside_realtime_minus_raw_ns
    if ours is None or theirs is None:
        return exchange.origin_ns > newest.origin_ns
    return exchange.origin_ns - ours > newest.origin_ns - theirs


def _key(exchange: Exchange) -> int:
    return exchange.origin_ns << _SEQ_BITS | exchange.seq
