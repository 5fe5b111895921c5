"""The direct path to one vehicle, pure: when to ask which address, and whether the path is alive.

Instants are topside's RAW, ns. A lost datagram holds nothing up: the next request is due when the answer is
late by the delays seen so far, long before the time-out; a late answer still makes its exchange.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal, NamedTuple

from topside_agent.measuring.timing import PingSchedule
from topside_agent.udp.addresses import MOST_ADDRESSES, Addresses
from topside_agent.udp.interface import PathCounts, PathState
from topside_agent.udp.requester import HOLD_NS, Requester, Sent

if TYPE_CHECKING:
    from runtime.stamp_clock import Look
    from schemas.datagram import Answer, Request
    from topside_agent.udp.interface import Address, DirectExchange, PathTerms
    from topside_agent.udp.requester import Departures, KernelStamps, Refusal

_FIRST_PATIENCE_NS, _LEAST_PATIENCE_NS = 200_000_000, 50_000_000
_PATIENCE = 1.5
"""Times the largest delay of the last ones."""
_RETRY_NS = 100_000_000
"""Between requests while none is answered."""
_LOST_NS, _LOST_AFTER = 800_000_000, 6
"""A path is lost this long after the first unanswered request, of at least so many."""
_LOST_PATIENCE = 2
"""And this many times as long as an answer is waited for."""
_SEARCH_NS, _LATER_NS, _SEARCHES = 1_000_000_000, 1_500_000_000, 4
"""Between searches while no address answers: soon at first, after so many with one request to each address:
two seconds after a path opens, however long it was closed, exchanges come again."""
_LOOK_AROUND_NS = 30_000_000_000
"""Between requests to the addresses that are not in use."""
_OVERDUE_NS = 750_000_000
"""Between looks for what was held or waited for too long."""
_ROUND_NS = 20_000_000
_BURST, _BURST_INTERVAL_NS = 16, 20_000_000


class ToSend(NamedTuple):
    """A datagram to be sent now; `was_sent` follows."""

    address: Address
    is_trial: bool
    data: bytes
    request: Request


class DirectPath:
    """A path by the terms that were agreed last."""

    def __init__(self, vehicle: str, terms: PathTerms, now_ns: int) -> None:
        self.vehicle = vehicle
        self.alive = False
        self.exchanges = 0
        self.refused: Counter[str] = Counter()
        self._timeouts = 0
        self._delay_ns = 0
        """The largest of the last ones, forgotten by and by."""
        self._unanswered = 0
        self._silent_since_ns: int | None = None
        """When the first request was sent that no later answer followed."""
        self._collects = False
        """Whether the next request only asks for a transmit stamp: the one that is due comes too late."""
        self._sent_ns = self._overdue_ns = self._failures = 0
        self._search_ns = now_ns
        self._requesters: list[Requester] = []
        """Of the session, after that of the one before while something of it is under way."""
        self._addresses = Addresses(terms.addresses)
        self._begin(terms)
        self._take(terms)

    def renew(self, terms: PathTerms, now_ns: int) -> list[PathState]:
        """Go on with new terms, or with others of the same session."""
        if terms.session != self._requester.session:
            for requester in self._requesters:
                requester.close()
            self._timeouts += self._requester.timeouts
            self._begin(terms)
        if terms.addresses[:MOST_ADDRESSES] != self._addresses.all:
            self._addresses = Addresses(terms.addresses, self._addresses.used)
            self._search_ns = now_ns
        self._take(terms)
        if not self.alive:
            self._search_ns, self._failures = now_ns, 0
        return self._lost("silent", now_ns) if self.alive and self._addresses.used is None else []

    @property
    def sessions(self) -> list[int]:
        """Whose answers belong to this path."""
        return [each.session for each in self._requesters]

    @property
    def counts(self) -> PathCounts:
        """For other threads."""
        timeouts = self._timeouts + self._requester.timeouts
        return PathCounts(self.exchanges, timeouts, dict(self.refused), self.alive, self._addresses.used)

    def burst(self, now_ns: int) -> None:
        """Make `_BURST` exchanges as soon as possible."""
        self._schedule.start_burst(now_ns)

    # What is due

    @property
    def due_ns(self) -> int:
        """When `serve` is to be called next."""
        ask_ns = self._ask_ns
        if ask_ns - self._sent_ns <= _OVERDUE_NS:
            return ask_ns  # what is held then comes with that request's answer
        return min(ask_ns, self._overdue_ns)

    def serve(self, now_ns: int) -> tuple[list[ToSend], list[PathState]]:
        """What to send now, and what became of the path; without anything to send `settle` may follow."""
        states: list[PathState] = []
        if now_ns >= self._overdue_ns:
            self._expire(now_ns)
        if self.alive and self._is_silent(now_ns):
            states = self._lost("unreachable" if self._addresses.are_unreachable else "silent", now_ns)
        if now_ns < self._ask_ns:
            return [], states
        if now_ns >= self._search_ns:
            self._begin_search(now_ns)
        is_trial = self._addresses.is_searching
        addresses = self._addresses.to_ask()
        self._sent_ns = now_ns
        if self.alive and not self._collects:
            self._schedule.sent(now_ns)
        if addresses and self._silent_since_ns is None:
            self._silent_since_ns = now_ns
        self._unanswered += bool(addresses)
        to_send = [ToSend(each, is_trial, *self._requester.request()) for each in addresses]
        return to_send, states

    def was_sent(
        self,
        to_send: ToSend,
        number: int,
        departures: Departures,
        *,
        sent_ns: int,
        look: Look,
        generation: int,
    ) -> None:
        """It was sent as datagram `number`, after `sent_ns`; `look` is the last one."""
        self._addresses.sent(to_send.address, sent=True)
        seq, nonce = to_send.request.seq, to_send.request.nonce
        self._requester.sent(
            Sent(seq, nonce, to_send.address, to_send.is_trial, sent_ns, look, generation, number, departures)
        )

    def was_not_sent(self, to_send: ToSend) -> None:
        """The system could not send it."""
        self._addresses.sent(to_send.address, sent=False)

    # What arrives

    def answered(
        self, data: bytes, answer: Answer, arrived_ns: int, now_ns: int
    ) -> list[PathState] | Refusal:
        """An answer of one of `sessions` arrived, by the kernel at realtime `arrived_ns` (0: not known)."""
        requester = self._requester if answer.session == self._requester.session else self._requesters[0]
        sent = requester.answered(data, answer, arrived_ns, now_ns)
        if isinstance(sent, str):
            self.refused[sent] += 1
            return sent
        delay_ns = now_ns - sent.sent_raw_ns
        self._delay_ns = max(delay_ns, self._delay_ns * 7 // 8)
        self._unanswered, self._silent_since_ns, self._failures = 0, None, 0
        if requester is not self._requester:
            requester.close()
            return []
        self._collects = not self._collects and self._schedule.due_ns - now_ns > HOLD_NS
        changed = self._addresses.answered(sent.address, delay_ns)
        return self._came_up(now_ns) if changed or not self.alive else []

    @property
    def has_finished(self) -> bool:
        """Whether `settle` has something to give."""
        return any(requester.has_finished for requester in self._requesters)

    @property
    def holds_many(self) -> bool:
        """Whether `settle` should not wait for the end of a train: requests follow each other without one."""
        return self._requester.holds_many

    def settle(self, look: Look, kernel: KernelStamps) -> list[DirectExchange]:
        """Finished exchanges; `look` was taken after the last answer: one for a train."""
        found = [each for requester in self._requesters for each in requester.finished(look, kernel)]
        self.exchanges += len(found)
        if len(self._requesters) > 1 and self._requesters[0].is_empty:
            del self._requesters[0]
        return found

    def slept(self) -> None:
        """This computer slept: nothing that is under way can be used."""
        for requester in self._requesters:
            self.refused["slept"] += requester.give_up()

    def end(self) -> PathState:
        """No more of it; `settle` gives what is unfinished."""
        for requester in self._requesters:
            requester.close()
        return PathState(self.vehicle, self._requester.session, alive=False, address=None, reason="stopped")

    # Inside

    def _begin(self, terms: PathTerms) -> None:
        """A session; a path that is made again has another one."""
        self._requester = Requester(self.vehicle, terms)
        self._requesters = [*self._requesters[-1:], self._requester]
        self._unanswered, self._silent_since_ns = 0, None

    def _take(self, terms: PathTerms) -> None:
        self._timeout_ns = round(terms.timeout_s * 1e9)
        self._schedule = PingSchedule(
            self.vehicle,
            interval_ns=round(1e9 / terms.rate),
            burst=_BURST,
            burst_interval_ns=_BURST_INTERVAL_NS,
            train=terms.train,
        )

    @property
    def _patience_ns(self) -> int:
        """How long the next request waits for an answer."""
        usual_ns = round(_PATIENCE * self._delay_ns) if self._delay_ns else _FIRST_PATIENCE_NS
        return min(max(usual_ns, _LEAST_PATIENCE_NS), self._timeout_ns)

    @property
    def _ask_ns(self) -> int:
        """When the next request is due."""
        if self._addresses.is_searching:
            return self._sent_ns + _ROUND_NS
        if not self.alive:
            return self._search_ns
        if self._collects and not self._unanswered:
            due_ns = self._sent_ns
        elif self._unanswered:
            due_ns = self._sent_ns + (self._patience_ns if self._unanswered == 1 else _RETRY_NS)
        else:
            due_ns = self._schedule.due_ns
        return min(due_ns, max(self._search_ns, self._sent_ns + _ROUND_NS))

    def _expire(self, now_ns: int) -> None:
        self._overdue_ns = now_ns + _OVERDUE_NS
        for requester in self._requesters:
            requester.expire(now_ns)
        if len(self._requesters) > 1 and self._requesters[0].is_empty:
            del self._requesters[0]

    def _is_silent(self, now_ns: int) -> bool:
        since_ns = self._silent_since_ns
        if since_ns is None or self._unanswered < _LOST_AFTER:
            return False
        return now_ns - since_ns >= max(_LOST_NS, _LOST_PATIENCE * self._patience_ns)

    def _begin_search(self, now_ns: int) -> None:
        """Ask every address: soon after a loss, and now and then whether another one is better."""
        if self.alive:
            self._addresses.search(1)
            self._search_ns = now_ns + _LOOK_AROUND_NS
            return
        if self._failures < _SEARCHES:
            self._addresses.search()
            self._search_ns = now_ns + _SEARCH_NS
        else:
            self._addresses.search(1)
            self._search_ns = now_ns + _LATER_NS
        self._failures += 1

    def _came_up(self, now_ns: int) -> list[PathState]:
        if not self.alive:
            self.alive = True
            self._search_ns = now_ns + _LOOK_AROUND_NS
            self._schedule.start_burst(now_ns)
        return [self._state("answers")]

    def _lost(self, reason: Literal["silent", "unreachable"], now_ns: int) -> list[PathState]:
        self.alive = False
        self._addresses.lost()
        self._search_ns = now_ns
        self._delay_ns = self._failures = 0
        self._silent_since_ns, self._unanswered = None, 0
        self._requester.close()
        return [self._state(reason)]

    def _state(self, reason: Literal["answers", "silent", "unreachable"]) -> PathState:
        return PathState(
            self.vehicle,
            self._requester.session,
            alive=self.alive,
            address=self._addresses.used,
            reason=reason,
        )
