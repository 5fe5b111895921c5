"""Missing exchanges, pure: which are missing, and which a restart has lost.

A topside process counts each exchange when it has finished it, from 0 and without a gap. So a skipped number
is a loss on the way, and a lower number with a newer origin is a new process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.base import Message
from schemas.exchange import Exchange
from tidesync.sessions.recorder.missing_ranges import LARGEST_REQUEST, MissingRanges

if TYPE_CHECKING:
    from tidesync.sessions.recorder.missing_ranges import MissingRange


@dataclass(frozen=True, slots=True)
class Lost:
    """Exchanges that cannot be had any more."""

    run: int
    first: int
    last: int
    before_origin_ns: int


_FEWEST_EARLIER = 16
_MARGIN_NS = 2_000_000_000
_RATE_SHARE = 10
"""A tenth: the rates of two RAW clocks differ by less."""
_NAMESAKE_NS = 2_000_000_000
"""What a process finished before it was first heard is not requested earlier: it may be a namesake's."""


class WatchState(Message):
    """A watch as an index keeps it."""

    run: int
    follows: bool
    one_process: bool
    first: int
    next: int
    newest: Exchange | None
    missing: list[tuple[int, int, int, bool]]
    """First, last, the stamp before which they are missing, and whether they are lost."""
    oldest: Exchange | None = None
    """The first one, while what came before it is looked for."""
    earlier: int = 0
    """How many of those are asked for next."""


class SequenceWatch:
    """Follows the `seq` of one source; takes every exchange, duplicates too.

    `follows`: another process of that name came before, so that its count is wanted from 0. `one_process`:
    the source is one process, so that no lower number is a restart.
    """

    def __init__(self, run: int = 0, *, follows: bool = False, one_process: bool = False) -> None:
        self.run = run
        self.heard_ns = 0
        """When its newest exchange came."""
        self.asked_ns = 0
        """When something of it was last asked for."""
        self._follows = follows
        self._one_process = one_process
        self._first = 0
        self._next = 0
        self._newest: Exchange | None = None
        self._oldest: Exchange | None = None
        self._earlier = 0
        self._batch = -1
        self._missing = MissingRanges()

    @classmethod
    def restored(cls, state: WatchState, now_ns: int) -> SequenceWatch:
        """A watch that goes on from `state`: what was missing then is due soon."""
        watch = cls(state.run, follows=state.follows, one_process=state.one_process)
        watch._first, watch._next, watch._newest, watch.heard_ns = (
            state.first,
            state.next,
            state.newest,
            now_ns,
        )
        watch._oldest, watch._earlier = state.oldest, state.earlier
        watch._missing.restore(state.missing, now_ns)
        return watch

    @property
    def state(self) -> WatchState:
        """What `restored` goes on from."""
        return WatchState(
            run=self.run,
            follows=self._follows,
            one_process=self._one_process,
            first=self._first,
            next=self._next,
            newest=self._newest,
            missing=self._missing.state,
            oldest=self._oldest,
            earlier=self._earlier,
        )

    @property
    def newest(self) -> Exchange | None:
        """Its newest exchange."""
        return self._newest

    @property
    def newest_ns(self) -> int:
        """Topside's realtime at the end of that."""
        return self._newest.destination_ns if self._newest else 0

    @property
    def reaches_back(self) -> bool:
        """Whether it looks for exchanges before the first one."""
        return self._oldest is not None

    @property
    def missing(self) -> int:
        """Exchanges not recorded, lost ones of this process included."""
        return self._missing.count

    @property
    def awaited(self) -> int:
        """How many are missing that may still come."""
        return self._missing.awaited

    @property
    def waiting(self) -> bool:
        """Whether something is missing that may still come."""
        return self._missing.waiting

    def observe(
        self, exchange: Exchange, now_ns: int, *, known: bool, batch: int | None = None
    ) -> list[Lost]:
        """Take note of an exchange (`known`: recorded before); returns what a restart lost."""
        lost: list[Lost] = []
        newest = self._newest
        if newest is None:
            self._begin(exchange, now_ns)
        elif not (known or self._one_process) and self._is_restart(exchange, newest, batch):
            lost = self._restart()
        if batch is not None:
            self._batch = batch
        if exchange.seq >= self._next:
            self._advance(exchange, now_ns)
        else:
            self._missing.fill(exchange.seq, exchange.seq, now_ns)
            if self._oldest is not None and exchange.seq < self._oldest.seq:
                self._first, self._oldest = exchange.seq, exchange
        return lost

    def begin_to_reach_back(self) -> None:
        """A kill may have taken from the memory what came before the first exchange that is observed."""
        if self._one_process and not self._follows:
            self._earlier, self._oldest = _FEWEST_EARLIER, self._newest

    def reach_back(self, elapsed_ns: int, now_ns: int) -> None:
        """Look for exchanges before the first one, until they cover the last `elapsed_ns`.

        Topside's RAW then is reckoned from the newest exchange, too early rather than too late.
        """
        oldest, newest = self._oldest, self._newest
        if oldest is None or newest is None or self._missing.any_of(0, oldest.seq - 1):
            return
        oldest_ns, newest_ns = _raw_ns(oldest), _raw_ns(newest)
        covered_ns = elapsed_ns + elapsed_ns // _RATE_SHARE + _MARGIN_NS
        if not oldest.seq or oldest_ns is None or newest_ns is None or newest_ns - oldest_ns >= covered_ns:
            self._oldest = None
            return
        self._missing.add(max(0, oldest.seq - self._earlier), oldest.seq - 1, oldest.origin_ns, now_ns)
        self._earlier = min(2 * self._earlier, LARGEST_REQUEST)

    def is_ahead(self, exchange: Exchange) -> bool:
        """Whether `exchange` is later than all that were observed, so that its process is alive."""
        return exchange.seq >= self._next

    def begin_where_heard(self, now_ns: int) -> None:
        """The process before it goes on: what this one finished before it was heard is not of the session."""
        if self._follows:
            self._follows = False
            self._missing.fill(0, self._first - 1, now_ns)

    def requests(self, now_ns: int) -> list[tuple[int, int]]:
        """`(from, to)` of all that is due; counts them as requested."""
        return self._missing.requests(now_ns)

    def due(self, now_ns: int, late_ns: int) -> list[MissingRange]:
        """What to ask for now, if there is room; `late_ns`: how long answers wait on the way."""
        return self._missing.due(now_ns, late_ns)

    def under_way(self, now_ns: int, late_ns: int) -> int:
        """How many exchanges are asked for whose answer may still be on the way."""
        return self._missing.under_way(now_ns, late_ns)

    def ask(self, missing: MissingRange, now_ns: int) -> tuple[int, int]:
        """`(from, to)` to ask for of one that is due; counts it as requested."""
        self.asked_ns = now_ns
        return self._missing.ask(missing, now_ns)

    def request_all(self, *, again: bool = True) -> None:
        """Make everything that is missing due at once; not `again`: but for what is asked for already."""
        self._missing.request_all(again=again)

    def hear(self, now_ns: int) -> None:
        """Its process is alive: a request that it does not answer counts."""
        self.heard_ns = now_ns
        self._missing.hear(now_ns)

    def give_up(self) -> list[Lost]:
        """What was requested often enough without an answer; each is returned once."""
        return self._lost(self._missing.give_up())

    def end(self) -> list[Lost]:
        """Everything still missing is lost: the recording ends."""
        return self._lost(self._missing.end())

    def _begin(self, exchange: Exchange, now_ns: int) -> None:
        self._first = self._next = exchange.seq
        if self._follows and exchange.seq:
            self._missing.add(0, exchange.seq - 1, exchange.origin_ns, now_ns + _NAMESAKE_NS)

    def _is_restart(self, exchange: Exchange, newest: Exchange, batch: int | None) -> bool:
        if exchange.seq >= self._next:  # a new process may have come this far while nobody listened
            return batch is not None and batch < self._batch
        if exchange.seq in self._missing:
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
            self._missing.add(self._next, exchange.seq - 1, exchange.origin_ns, now_ns)
        self._next = exchange.seq + 1
        self._newest = exchange
        self.hear(now_ns)

    def _lost(self, ranges: list[MissingRange]) -> list[Lost]:
        return [Lost(self.run, lost.first, lost.last, lost.before_ns) for lost in ranges]


def _newer(exchange: Exchange, newest: Exchange) -> bool:
    """By RAW, or by realtime after topside's own reboot set RAW back."""
    return exchange.origin_ns > newest.origin_ns or _newer_by_raw(exchange, newest)


def _newer_by_raw(exchange: Exchange, newest: Exchange) -> bool:
    ours, theirs = _raw_ns(exchange), _raw_ns(newest)
    if ours is None or theirs is None:
        return exchange.origin_ns > newest.origin_ns
    return ours > theirs


def _raw_ns(exchange: Exchange) -> int | None:
    """Topside's RAW at the origin, where it is known."""
    difference_ns = exchange.topside_realtime_minus_raw_ns
    return None if difference_ns is None else exchange.origin_ns - difference_ns
