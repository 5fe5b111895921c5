"""One session's exchanges on topside, pure: requests out, answers and the clock in, exchanges out.

Interleaved (RFC 9769): an answer cannot hold its kernel's transmit stamp, so the next request asks for it. An
answered exchange is held until that came, or cannot come any more; then the vehicle's own stamp counts.
"""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from schemas.datagram import (
    ANSWER,
    EARLIER_BY_KERNEL,
    RECEIVE_BY_KERNEL,
    Answer,
    Request,
    Seal,
    pack_request,
)
from topside_agent.udp.interface import DirectExchange

if TYPE_CHECKING:
    from runtime.realtime_line import RawStamp
    from runtime.stamp_clock import Look
    from topside_agent.udp.interface import PathTerms

Refusal = Literal["tag", "slept", "invalid_pi_time"]
"""Why an answer made no exchange: somebody without the key made it; this computer slept meanwhile; its stamps
contradict each other or the request's."""

_MOST_OUTSTANDING = 12
"""Fewer than the answers whose transmit stamps a vehicle keeps."""
_HOLD_NS = 1_000_000_000
_NONCE = 8


class Departures(Protocol):
    """What knows the kernel's transmit stamps of a socket."""

    def departed(self, number: int) -> RawStamp | None:
        """Topside's RAW when datagram `number` left; asked once a number. None: not known."""


class Sent(NamedTuple):
    """A request that is waited for."""

    seq: int
    nonce: bytes
    place: int
    """Which address it went to."""
    sent_raw_ns: int
    slept_ns: int
    sets: int
    generation: int


class _Held:
    """An answered exchange whose transmit stamp is asked for."""

    __slots__ = ("done", "exchange", "pi_resolution_ns", "seq", "topside_resolution_ns")

    def __init__(self, exchange: DirectExchange, answer: Answer) -> None:
        self.exchange, self.seq, self.done = exchange, answer.seq, False
        self.pi_resolution_ns = answer.resolution_ns
        self.topside_resolution_ns = exchange.resolution_ns - answer.resolution_ns

    def complete(self, answer: Answer) -> None:
        """Take the kernel's transmit stamp from the answer that has it, if it agrees with the program's."""
        exchange, half_ns = self.exchange, answer.earlier_resolution_ns
        transmit_ns = answer.earlier_transmit_raw_ns
        if answer.flags & EARLIER_BY_KERNEL and transmit_ns + half_ns >= exchange.transmit_raw_ns:
            self.exchange = exchange._replace(
                transmit_raw_ns=max(transmit_ns, exchange.transmit_raw_ns),
                transmit_stamp="kernel",
                resolution_ns=self.topside_resolution_ns + max(self.pi_resolution_ns, half_ns),
            )


class Asker:
    """Numbers and seals requests, and pairs answers with them; several may be under way."""

    def __init__(self, vehicle: str, terms: PathTerms) -> None:
        self.session = terms.session
        self.timeouts = 0
        self._vehicle = vehicle
        self._timeout_ns = round(terms.timeout_s * 1e9)
        self._seal = Seal(terms.key)
        self._seq = 0
        self._outstanding: dict[int, tuple[Sent, int, Departures]] = {}
        self._held: deque[_Held] = deque()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is waited for or held."""
        return not self._outstanding and not self._held

    def request(self) -> tuple[bytes, Request]:
        """The next request; `sent` follows."""
        self._seq += 1
        wanted = next((held.seq for held in self._held if not held.done), 0)
        request = Request(self.session, self._seq, os.urandom(_NONCE), wanted)
        return pack_request(request, self._seal), request

    def sent(self, sent: Sent, number: int, departures: Departures) -> None:
        """The request was sent as datagram `number`."""
        self._outstanding[sent.seq] = sent, number, departures
        if len(self._outstanding) > _MOST_OUTSTANDING:
            del self._outstanding[next(iter(self._outstanding))]
            self.timeouts += 1

    def expects(self, answer: Answer) -> bool:
        """Whether it bears the number and the nonce of a request that is waited for."""
        known = self._outstanding.get(answer.seq)
        return known is not None and known[0].nonce == answer.nonce

    def answered(self, data: bytes, answer: Answer, kernel: RawStamp | None, look: Look) -> Sent | Refusal:
        """Take an answer that arrived before `look`, by the kernel at `kernel`; which request it answers.

        It was found to be expected; nothing changes before its tag was found right.
        """
        if not self._seal.is_genuine(ANSWER, data):
            return "tag"
        known = self._outstanding.pop(answer.seq, None)
        if known is None or look.slept_ns != known[0].slept_ns:
            self.give_up()
            return "slept"
        sent, number, departures = known
        self._complete(answer)
        departed = departures.departed(number)
        exchange = self._exchange(sent, answer, departed, kernel, look)
        if exchange is None:
            return "invalid_pi_time"
        self._held.append(_Held(exchange, answer))
        return sent

    def finished(self) -> list[DirectExchange]:
        """What is complete, in the order of arrival."""
        found = []
        while self._held and self._held[0].done:
            found.append(self._held.popleft().exchange)
        return found

    def overdue(self, now_raw_ns: int) -> list[DirectExchange]:
        """The same, and what was held long enough; gives up requests that took `timeout_s`."""
        if not self._outstanding and not self._held:
            return []
        late = [
            seq
            for seq, (sent, _, _) in self._outstanding.items()
            if now_raw_ns - sent.sent_raw_ns >= self._timeout_ns
        ]
        for seq in late:
            del self._outstanding[seq]
        self.timeouts += len(late)
        for held in self._held:
            held.done |= now_raw_ns - held.exchange.destination_raw_ns >= _HOLD_NS
        return self.finished()

    def rest(self) -> list[DirectExchange]:
        """What is held, as it is: no request follows."""
        held, self._held = self._held, deque()
        return [each.exchange for each in held]

    def give_up(self) -> None:
        """Forget what is held and waited for: this computer slept."""
        self._held.clear()
        self._outstanding.clear()

    def _complete(self, answer: Answer) -> None:
        """Whatever asked for a departure was answered: it came, or will not."""
        if not answer.earlier_seq:
            return
        for held in self._held:
            if held.seq == answer.earlier_seq and not held.done:
                held.complete(answer)
                held.done = True

    def _exchange(
        self, sent: Sent, answer: Answer, departed: RawStamp | None, kernel: RawStamp | None, look: Look
    ) -> DirectExchange | None:
        """With the better of both stamps on each side; None if no exchange can have them."""
        half_ns = look.half_ns
        origin_ns, destination_ns = sent.sent_raw_ns, look.raw_ns
        if kernel is not None and sent.sent_raw_ns <= kernel.raw_ns + kernel.half_ns:
            destination_ns, half_ns = min(destination_ns, kernel.raw_ns), max(half_ns, kernel.half_ns)
        # A stamp of before the program sent it is another datagram's.
        if departed is not None and origin_ns - departed.half_ns <= departed.raw_ns <= destination_ns:
            origin_ns, half_ns = max(origin_ns, departed.raw_ns), max(half_ns, departed.half_ns)
        if answer.transmit_raw_ns + answer.resolution_ns < answer.receive_raw_ns:
            return None
        by_kernel = answer.flags & RECEIVE_BY_KERNEL
        return DirectExchange(
            vehicle=self._vehicle,
            session=self.session,
            origin_raw_ns=origin_ns,
            receive_raw_ns=answer.receive_raw_ns,
            transmit_raw_ns=answer.transmit_raw_ns,
            destination_raw_ns=destination_ns,
            pi_realtime_minus_raw_ns=answer.realtime_minus_raw_ns,
            topside_realtime_minus_raw_ns=look.realtime_minus_raw_ns,
            resolution_ns=answer.resolution_ns + half_ns,
            receive_stamp="kernel" if by_kernel else "user",
            transmit_stamp="user",
            topside_set=look.sets != sent.sets,
            generation=sent.generation,
        )
