"""The direct path to one vehicle, pure: when to ask which address, and whether the path is alive.

Instants are topside's RAW, ns. A lost datagram holds nothing up: the next request is due when the answer is
late by the delays seen so far, long before the time-out; a late answer still makes its exchange.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal, NamedTuple

from topside_agent.measuring.timing import PingSchedule
from topside_agent.udp.addresses import Addresses
from topside_agent.udp.asker import Asker, Sent
from topside_agent.udp.interface import PathCounts, PathState

if TYPE_CHECKING:
    from runtime.realtime_line import RawStamp
    from runtime.stamp_clock import Look
    from schemas.datagram import Answer, Request
    from topside_agent.udp.asker import Departures
    from topside_agent.udp.interface import Address, DirectExchange, PathTerms

_FIRST_PATIENCE_NS, _LEAST_PATIENCE_NS = 200_000_000, 50_000_000
_PATIENCE = 1.5
"""Times the largest delay of the last ones."""
_RETRY_NS = 100_000_000
"""Between requests while none is answered."""
_LOST_NS, _LOST_AFTER = 800_000_000, 6
"""A path is lost this long after the first unanswered request, of at least so many."""
_SEARCH_NS = (1_000_000_000, 1_000_000_000, 1_000_000_000, 2_000_000_000, 5_000_000_000)
"""Between searches while no address answers: quickly after a loss, then every five seconds."""
_LOOK_AROUND_NS = 30_000_000_000
"""Between requests to the addresses that are not in use."""
_OVERDUE_NS = 750_000_000
"""Between looks for what was held or waited for too long."""
_ROUND_NS = 20_000_000
_BURST, _BURST_INTERVAL_NS = 16, 20_000_000


class ToSend(NamedTuple):
    """A datagram to be sent now; `was_sent` follows."""

    address: Address
    place: int
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
        self._sent_ns = self._overdue_ns = self._failures = 0
        self._search_ns = now_ns
        self._askers: list[Asker] = []
        """Of the session, after that of the one before while something of it is under way."""
        self._take(terms, None, now_ns)

    def renew(self, terms: PathTerms, now_ns: int) -> list[DirectExchange | PathState]:
        """Go on with new terms."""
        events = [event for asker in self._askers for event in self._count(asker.rest())]
        self._timeouts += self._asker.timeouts
        before = self._addresses.in_use
        self._take(terms, before, now_ns)
        if self.alive and self._addresses.in_use is None:
            events += self._lost("silent", now_ns)
        return events

    @property
    def sessions(self) -> list[int]:
        """Whose answers belong to this path."""
        return [each.session for each in self._askers]

    @property
    def counts(self) -> PathCounts:
        """For other threads."""
        timeouts = self._timeouts + self._asker.timeouts
        return PathCounts(self.exchanges, timeouts, dict(self.refused), self.alive, self._addresses.in_use)

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

    def serve(self, now_ns: int) -> tuple[list[ToSend], list[DirectExchange | PathState]]:
        """What to send now, and what came to its end."""
        events: list[DirectExchange | PathState] = []
        if now_ns >= self._overdue_ns:
            events += self._take_overdue(now_ns)
        if self.alive and self._is_silent(now_ns):
            events += self._lost("unreachable" if self._addresses.are_unreachable else "silent", now_ns)
        if now_ns < self._ask_ns:
            return [], events
        if now_ns >= self._search_ns:
            self._begin_search(now_ns)
        places = self._addresses.to_ask()
        self._sent_ns = now_ns
        if self.alive:
            self._schedule.sent(now_ns)
        if places and self._silent_since_ns is None:
            self._silent_since_ns = now_ns
        self._unanswered += bool(places)
        addresses = self._addresses.all
        return [ToSend(addresses[place], place, *self._asker.request()) for place in places], events

    def was_sent(
        self,
        to_send: ToSend,
        number: int,
        departures: Departures,
        *,
        sent_ns: int,
        last: Look,
        generation: int,
    ) -> None:
        """It was sent as datagram `number`, after `sent_ns`; `last` is the last look before."""
        self._addresses.sent(to_send.place, sent=True)
        seq, nonce = to_send.request.seq, to_send.request.nonce
        sent = Sent(seq, nonce, to_send.place, sent_ns, last.slept_ns, last.sets, generation)
        self._asker.sent(sent, number, departures)

    def was_not_sent(self, to_send: ToSend) -> None:
        """The system could not send it."""
        self._addresses.sent(to_send.place, sent=False)

    # What arrives

    def expects(self, answer: Answer) -> bool:
        """Whether it bears the nonce of a request that is waited for; its tag is still to be checked."""
        for asker in self._askers:
            if asker.session == answer.session and asker.expects(answer):
                return True
        self.refused["unknown"] += 1
        return False

    def answered(
        self, data: bytes, answer: Answer, kernel: RawStamp | None, look: Look
    ) -> list[DirectExchange | PathState]:
        """An answer arrived that is expected; `look` was taken after it."""
        asker = self._asker
        if asker.session != answer.session:
            asker = self._askers[0]
        sent = asker.answered(data, answer, kernel, look)
        if isinstance(sent, str):
            self.refused[sent] += 1
            return []
        events = self._count(asker.finished() if asker is self._asker else asker.rest())
        delay_ns = look.raw_ns - sent.sent_raw_ns
        self._delay_ns = max(delay_ns, self._delay_ns * 7 // 8)
        self._unanswered, self._silent_since_ns, self._failures = 0, None, 0
        changed = asker is self._asker and self._addresses.answered(sent.place, delay_ns)
        if changed or not self.alive:
            return [*events, *self._came_up(look.raw_ns)]
        return events

    def slept(self) -> None:
        """This computer slept: nothing that is under way can be used."""
        for asker in self._askers:
            asker.give_up()

    def end(self) -> list[DirectExchange | PathState]:
        """No more of it; what is unfinished is handed out as it is."""
        events: list[DirectExchange | PathState] = []
        for asker in self._askers:
            events += self._count(asker.rest())
        return [
            *events,
            PathState(self.vehicle, self._asker.session, alive=False, address=None, reason="stopped"),
        ]

    # Inside

    def _take(self, terms: PathTerms, preferred: Address | None, now_ns: int) -> None:
        self._asker = Asker(self.vehicle, terms)
        self._askers = [*self._askers[-1:], self._asker]
        self._addresses = Addresses(terms.addresses, preferred)
        self._timeout_ns = round(terms.timeout_s * 1e9)
        self._schedule = PingSchedule(
            self.vehicle,
            interval_ns=round(1e9 / terms.rate),
            burst=_BURST,
            burst_interval_ns=_BURST_INTERVAL_NS,
            train=terms.train,
        )
        self._search_ns = now_ns
        self._unanswered, self._silent_since_ns = 0, None

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
        if self._unanswered:
            due_ns = self._sent_ns + max(self._patience_ns, _RETRY_NS if self._unanswered > 1 else 0)
        else:
            due_ns = self._schedule.due_ns
        return min(due_ns, max(self._search_ns, self._sent_ns + _ROUND_NS))

    def _take_overdue(self, now_ns: int) -> list[DirectExchange | PathState]:
        self._overdue_ns = now_ns + _OVERDUE_NS
        events = [event for asker in self._askers for event in self._count(asker.overdue(now_ns))]
        if len(self._askers) > 1 and self._askers[0].is_empty:
            del self._askers[0]
        return events

    def _is_silent(self, now_ns: int) -> bool:
        since_ns = self._silent_since_ns
        if since_ns is None or self._unanswered < _LOST_AFTER:
            return False
        return now_ns - since_ns >= max(_LOST_NS, 4 * self._patience_ns)

    def _begin_search(self, now_ns: int) -> None:
        """Ask every address: soon after a loss, and now and then whether another one is better."""
        if self.alive:
            self._addresses.search(1)
            self._search_ns = now_ns + _LOOK_AROUND_NS
            return
        self._addresses.search()
        self._search_ns = now_ns + _SEARCH_NS[min(self._failures, len(_SEARCH_NS) - 1)]
        self._failures += 1

    def _came_up(self, now_ns: int) -> list[DirectExchange | PathState]:
        if not self.alive:
            self.alive = True
            self._search_ns = now_ns + _LOOK_AROUND_NS
            self._schedule.start_burst(now_ns)
        return [self._state("answers")]

    def _lost(
        self, reason: Literal["silent", "unreachable"], now_ns: int
    ) -> list[DirectExchange | PathState]:
        self.alive = False
        self._addresses.lost()
        self._search_ns = now_ns
        self._delay_ns = self._failures = 0
        self._silent_since_ns, self._unanswered = None, 0
        return [*self._count(self._asker.rest()), self._state(reason)]

    def _state(self, reason: Literal["answers", "silent", "unreachable"]) -> PathState:
        return PathState(
            self.vehicle, self._asker.session, alive=self.alive, address=self._addresses.in_use, reason=reason
        )

    def _count(self, finished: list[DirectExchange]) -> list[DirectExchange | PathState]:
        self.exchanges += len(finished)
        return list(finished)
