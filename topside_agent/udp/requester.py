"""One session's exchanges on topside, pure: requests out, answers and the clock in, exchanges out.

Interleaved (RFC 9769): an answer cannot hold its kernel's transmit stamp, so the next request asks for it. An
answered exchange is held until that came, or cannot come any more; then the vehicle's own stamp counts.
"""

from __future__ import annotations

import os
from collections import deque
from math import ceil
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from runtime.clock import FASTEST_SLEW_PPM
from runtime.realtime_line import Even
from schemas.datagram import (
    ANSWER,
    EARLIER_BY_HARDWARE,
    EARLIER_BY_KERNEL,
    RECEIVE_BY_HARDWARE,
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
    from schemas.exchange import StampKind
    from topside_agent.udp.interface import Address, PathTerms

Refusal = Literal["unknown", "tag", "slept", "invalid_pi_time"]
"""Why an answer made no exchange: it answers no request that is waited for (late, repeated, forged); somebody
without the key made it; this computer slept meanwhile; its stamps contradict each other."""

_MOST_OUTSTANDING = 12
"""Fewer than the answers whose transmit stamps a vehicle keeps."""
HOLD_NS = 1_000_000_000
"""How long an exchange waits for its transmit stamp."""
_NONCE, _DRAWN = 8, 64
"""Bytes of a nonce, and how many are drawn at once."""


class KernelStamps(Protocol):
    """Puts the kernel's stamps on topside's RAW; None: it cannot."""

    def raw_of(self, realtime_ns: int) -> RawStamp | None:
        """An arrival; it may be too late."""

    def departed_at(self, realtime_ns: int, sent_raw_ns: int) -> RawStamp | None:
        """A departure after `sent_raw_ns`."""


class Departures(Protocol):
    """What knows the kernel's transmit stamps of a socket."""

    def left(self, number: int) -> int:
        """When datagram `number` left, ns of realtime; asked once a number. 0: not known."""


class Sent(NamedTuple):
    """A request that is waited for."""

    seq: int
    nonce: bytes
    address: Address
    is_trial: bool
    """Whether it went to all addresses: that some of them do not answer is no time-out."""
    sent_raw_ns: int
    look: Look
    """The last one before."""
    generation: int
    number: int
    departures: Departures


class _Held:
    """An answered exchange: first its stamps are put on RAW, then its transmit stamp is waited for."""

    __slots__ = (
        "answer",
        "arrived_ns",
        "even",
        "heard_raw_ns",
        "left_ns",
        "own",
        "own_stamps",
        "pi_even",
        "sent",
        "transmit",
        "transmit_stamp",
        "wanted",
    )

    def __init__(self, sent: Sent, answer: Answer, arrived_ns: int, heard_raw_ns: int) -> None:
        self.sent, self.answer = sent, answer
        self.left_ns, self.arrived_ns = sent.departures.left(sent.number), arrived_ns
        """Both by the kernel, realtime; 0: not known."""
        self.heard_raw_ns = heard_raw_ns
        self.wanted = True
        """Whether its transmit stamp may still come."""
        self.transmit: tuple[int, int] | None = None
        """The kernel's transmit stamp and its resolution."""
        self.transmit_stamp: StampKind = "user"
        self.own: tuple[int, int, int, int, int] | None = None
        """Topside's origin, destination, realtime − RAW then, what these may be wrong by, `Look.sets`."""
        self.even = self.pi_even = Even()
        """Of topside's realtime and of the vehicle's."""
        self.own_stamps: tuple[StampKind, StampKind] = ("user", "user")
        """Of the first two."""

    def put_on_raw(self, look: Look, kernel: KernelStamps) -> None:
        """By a look after the arrival, long after it where this program was interrupted.

        Where realtime did not run evenly from origin to destination, as far as is known, the difference may
        have been another one at any instant between them; where it was set, it is that of the look.
        """
        origin_ns, destination_ns = self.sent.sent_raw_ns, self.heard_raw_ns
        origin_stamp: StampKind = "user"
        destination_stamp: StampKind = "user"
        if look.sets != self.sent.look.sets:
            destination_ns = max(destination_ns, look.read_ns)
        difference_ns, half_ns = look.realtime_minus_raw_ns, look.half_at(destination_ns)
        arrived = kernel.raw_of(self.arrived_ns) if self.arrived_ns else None
        if arrived is not None and origin_ns <= arrived.raw_ns + arrived.half_ns:
            if arrived.raw_ns < destination_ns:
                destination_ns, destination_stamp = arrived.raw_ns, _kind(arrived)
            difference_ns, half_ns = arrived.realtime_minus_raw_ns, max(look.half_ns, arrived.half_ns)
        left = kernel.departed_at(self.left_ns, origin_ns) if self.left_ns else None
        # A stamp of before the program sent it is another datagram's.
        if left is not None and origin_ns - left.half_ns <= left.raw_ns <= destination_ns:
            if left.raw_ns > origin_ns:
                origin_ns, origin_stamp = left.raw_ns, _kind(left)
            half_ns = max(half_ns, left.half_ns)
            if arrived is not None and (origin_ns, destination_ns) == (left.raw_ns, arrived.raw_ns):
                self.even = Even.between(left, arrived, difference_ns)
        if arrived is None or kernel.departed_at(self.arrived_ns, self.sent.sent_raw_ns) is None:
            half_ns += ceil(look.rate * max(destination_ns - self.sent.sent_raw_ns, 0))
        self.own = origin_ns, destination_ns, difference_ns, half_ns, look.sets
        self.own_stamps = origin_stamp, destination_stamp

    def answered(self, following: Answer) -> None:
        """The answer to the request that asked for the transmit stamp: it has it, or nobody has."""
        self.wanted = False
        transmit_ns, half_ns = following.earlier_transmit_raw_ns, following.earlier_resolution_ns
        if following.flags & EARLIER_BY_KERNEL and transmit_ns + half_ns >= self.answer.transmit_raw_ns:
            self.transmit = max(transmit_ns, self.answer.transmit_raw_ns), half_ns
            self.transmit_stamp = "hardware" if following.flags & EARLIER_BY_HARDWARE else "kernel"
            if transmit_ns >= self.answer.transmit_raw_ns and self.answer.flags & RECEIVE_BY_KERNEL:
                self.pi_even = Even(following.earlier_even_ns, following.earlier_even_within_ns)

    @property
    def _pi_half_ns(self) -> int:
        """Without the kernel's stamp nothing shows that the vehicle's clock kept its rate until then."""
        answering_ns = self.answer.transmit_raw_ns - self.answer.receive_raw_ns
        return self.answer.resolution_ns + max(0, answering_ns) * FASTEST_SLEW_PPM // 1_000_000 + 1

    def exchange(self, vehicle: str, session: int) -> DirectExchange:
        """With the better of both stamps each."""
        assert self.own is not None
        sent, answer = self.sent, self.answer
        origin_ns, destination_ns, difference_ns, half_ns, sets = self.own
        transmit_ns, pi_half_ns = self.transmit or (answer.transmit_raw_ns, self._pi_half_ns)
        even_ns = min(self.even.for_ns, self.pi_even.for_ns)
        return DirectExchange(
            vehicle=vehicle,
            session=session,
            origin_raw_ns=origin_ns,
            receive_raw_ns=answer.receive_raw_ns,
            transmit_raw_ns=transmit_ns,
            destination_raw_ns=destination_ns,
            pi_realtime_minus_raw_ns=answer.realtime_minus_raw_ns,
            topside_realtime_minus_raw_ns=difference_ns,
            resolution_ns=half_ns + max(answer.resolution_ns, pi_half_ns),
            receive_stamp=_received_by(answer.flags),
            transmit_stamp=self.transmit_stamp,
            topside_set=sets != sent.look.sets,
            generation=sent.generation,
            even_ns=even_ns,
            even_within_ns=self.even.within_ns + self.pi_even.within_ns if even_ns else 0,
            origin_stamp=self.own_stamps[0],
            destination_stamp=self.own_stamps[1],
        )


def _kind(stamp: RawStamp) -> StampKind:
    return "hardware" if stamp.by_hardware else "kernel"


def _received_by(flags: int) -> StampKind:
    if not flags & RECEIVE_BY_KERNEL:
        return "user"
    return "hardware" if flags & RECEIVE_BY_HARDWARE else "kernel"


class Requester:
    """Numbers and seals requests, and pairs answers with them; several may be under way."""

    def __init__(self, vehicle: str, terms: PathTerms) -> None:
        self.session = terms.session
        self.timeouts = 0
        self._vehicle = vehicle
        self._timeout_ns = round(terms.timeout_s * 1e9)
        self._seal = Seal(terms.key)
        self._seq = 0
        self._nonces: list[bytes] = []
        self._outstanding: dict[int, Sent] = {}
        self._held: deque[_Held] = deque()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is waited for or held."""
        return not self._outstanding and not self._held

    @property
    def has_finished(self) -> bool:
        """Whether `finished` has something to give."""
        return bool(self._held) and not self._held[0].wanted

    @property
    def holds_many(self) -> bool:
        """Whether so many are held that looking through them takes long."""
        return len(self._held) > _MOST_OUTSTANDING

    def request(self) -> tuple[bytes, Request]:
        """The next request; `sent` follows."""
        self._seq += 1
        earlier_seq = 0
        for held in self._held:
            if held.wanted:
                earlier_seq = held.sent.seq
                break
        if not self._nonces:
            drawn = os.urandom(_NONCE * _DRAWN)
            self._nonces = [drawn[at : at + _NONCE] for at in range(0, len(drawn), _NONCE)]
        request = Request(self.session, self._seq, self._nonces.pop(), earlier_seq)
        return pack_request(request, self._seal), request

    def sent(self, sent: Sent) -> None:
        """The request was sent."""
        self._outstanding[sent.seq] = sent
        if len(self._outstanding) > _MOST_OUTSTANDING:
            self._give_up(next(iter(self._outstanding)))

    def answered(self, data: bytes, answer: Answer, arrived_ns: int, heard_raw_ns: int) -> Sent | Refusal:
        """Take an answer, by the kernel of realtime `arrived_ns` (0: not known); which request it answers.

        Nothing changes before nonce and tag were found right.
        """
        sent = self._outstanding.get(answer.seq)
        if sent is None or sent.nonce != answer.nonce or answer.session != self.session:
            return "unknown"
        if not self._seal.is_genuine(ANSWER, data):
            return "tag"
        del self._outstanding[answer.seq]
        if answer.earlier_seq:
            for held in self._held:
                if held.wanted and held.sent.seq == answer.earlier_seq:
                    held.answered(answer)
        if answer.transmit_raw_ns + answer.resolution_ns < answer.receive_raw_ns:
            return "invalid_pi_time"
        self._held.append(_Held(sent, answer, arrived_ns, heard_raw_ns))
        return sent

    def finished(self, look: Look, kernel: KernelStamps) -> list[DirectExchange]:
        """What is complete, in the order of arrival; `look` was taken after the last answer."""
        found = []
        for held in self._held:
            if held.own is None:
                held.put_on_raw(look, kernel)
        while self._held and not self._held[0].wanted:
            found.append(self._held.popleft().exchange(self._vehicle, self.session))
        return found

    def expire(self, now_raw_ns: int) -> None:
        """Give up requests that took `timeout_s`, and departures that were waited for long enough."""
        for seq, sent in list(self._outstanding.items()):
            if now_raw_ns - sent.sent_raw_ns >= self._timeout_ns:
                self._give_up(seq)
        for held in self._held:
            held.wanted &= now_raw_ns - held.heard_raw_ns < HOLD_NS

    def _give_up(self, seq: int) -> None:
        self.timeouts += not self._outstanding.pop(seq).is_trial

    def close(self) -> None:
        """No request follows: what is held is complete as it is."""
        for held in self._held:
            held.wanted = False

    def give_up(self) -> int:
        """Forget what is held and waited for, and how many: this computer slept."""
        count = len(self._held) + len(self._outstanding)
        self._held.clear()
        self._outstanding.clear()
        return count
