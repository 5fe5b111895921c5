"""The vehicle's part of a direct exchange, pure: a datagram and the clock in, an answer or a refusal out."""

from __future__ import annotations

from collections import Counter
from threading import Lock
from typing import TYPE_CHECKING, Literal, NamedTuple

from pi_agent.udp.session import Session
from runtime.realtime_line import Even
from schemas.datagram import (
    EARLIER_BY_HARDWARE,
    EARLIER_BY_KERNEL,
    RECEIVE_BY_HARDWARE,
    RECEIVE_BY_KERNEL,
    REQUEST,
    SIZE,
    WIDEST_NS,
    Answer,
    Request,
    pack_answer,
    parse_request,
)

if TYPE_CHECKING:
    from pi_agent.udp.interface import SessionTerms
    from pi_agent.udp.session import Departures
    from runtime.realtime_line import RawStamp
    from runtime.stamp_clock import Look

Refusal = Literal["length", "kind", "session", "tag", "replay", "rate"]
"""Why a datagram is not answered, in the order of the checks."""

_OF_A_TOPSIDE = 2
_MOST_SESSIONS = 128
_LATEST_NS = 2**63 - 1


class Admitted(NamedTuple):
    """A request that is to be answered."""

    session: Session
    request: Request


class Answerer:
    """All sessions of one process. `open` and `close` may be called from any thread."""

    def __init__(self) -> None:
        self._sessions: dict[int, Session] = {}
        self._changing = Lock()
        self.answered = 0
        self.dropped: Counter[str] = Counter()

    @property
    def is_idle(self) -> bool:
        """Whether there is no session."""
        return not self._sessions

    def open(self, terms: SessionTerms) -> None:
        """Answer this session too; of its topside the newest one before it is kept, no older one."""
        session = Session(terms)
        with self._changing:
            sessions = {number: each for number, each in self._sessions.items() if number != terms.number}
            same = [number for number, each in sessions.items() if each.terms.topside == terms.topside]
            for number in same[: 1 - _OF_A_TOPSIDE]:
                del sessions[number]
            if len(sessions) >= _MOST_SESSIONS:
                del sessions[min(sessions, key=lambda number: sessions[number].terms.expires_raw_ns)]
            sessions[terms.number] = session
            self._sessions = sessions

    def close(self, number: int) -> None:
        """Answer this session no more."""
        with self._changing:
            self._sessions = {each: session for each, session in self._sessions.items() if each != number}

    def expire(self, now_raw_ns: int) -> None:
        """Forget the sessions that have expired."""
        for number, session in self._sessions.items():
            if session.terms.expires_raw_ns <= now_raw_ns:
                self.close(number)

    def admit(self, data: bytes, now_raw_ns: int) -> Admitted | Refusal:
        """Whether to answer. The order is the defence: before the tag was right, nothing is changed."""
        request = parse_request(data)
        if request is None:
            return self._refuse("length" if len(data) != SIZE else "kind")
        session = self._sessions.get(request.session)
        if session is None or session.terms.expires_raw_ns <= now_raw_ns:
            return self._refuse("session")
        reason: Refusal
        if not session.seal.is_genuine(REQUEST, data):
            reason = "tag"
        elif not session.window.admit(request.seq):
            reason = "replay"
        elif not session.bucket.take(now_raw_ns):
            reason = "rate"
        else:
            return Admitted(session, request)
        return self._refuse(reason)

    def answer(
        self,
        admitted: Admitted,
        kernel: RawStamp | None,
        look: Look,
        departures: Departures,
        transmit_raw_ns: int,
    ) -> bytes | None:
        """The answer, to be sent at once; None if the clock shows what no datagram can carry.

        `kernel` is the kernel's receive stamp, `look` was taken after the arrival, `transmit_raw_ns` is the
        agent's RAW just now.
        """
        session, (number, seq, nonce, earlier_seq) = admitted
        flags, receive_raw_ns, resolution_ns = 0, look.raw_ns, look.half_at(transmit_raw_ns)
        if kernel is not None and _precedes(kernel, look):
            flags = RECEIVE_BY_KERNEL | RECEIVE_BY_HARDWARE * kernel.by_hardware
            receive_raw_ns, resolution_ns = kernel.raw_ns, max(resolution_ns, kernel.half_ns)
        earlier, even = session.departed(earlier_seq, departures) if earlier_seq else (None, Even())
        earlier_ns = earlier_resolution_ns = 0
        if earlier is not None and earlier.half_ns <= WIDEST_NS:
            flags |= EARLIER_BY_KERNEL | EARLIER_BY_HARDWARE * earlier.by_hardware
            earlier_ns, earlier_resolution_ns = earlier.raw_ns, earlier.half_ns
        if resolution_ns > WIDEST_NS or abs(look.realtime_minus_raw_ns) > _LATEST_NS:
            return None
        answer = Answer(
            flags,
            number,
            seq,
            nonce,
            receive_raw_ns,
            transmit_raw_ns,
            earlier_ns,
            look.realtime_minus_raw_ns,
            resolution_ns,
            earlier_resolution_ns,
            earlier_seq,
            *even,
        )
        return pack_answer(answer, session.seal)

    def sent(
        self,
        admitted: Admitted,
        number: int | None,
        kernel: RawStamp | None,
        look: Look,
        transmit_raw_ns: int,
    ) -> None:
        """The answer was sent as datagram `number`; None: it could not be sent. The rest as in `answer`."""
        if number is None:
            self.dropped["send"] += 1
            return
        self.answered += 1
        arrived = kernel if kernel is not None and _precedes(kernel, look) else None
        admitted.session.sent(admitted.request.seq, number, arrived, look, transmit_raw_ns)

    def _refuse(self, reason: Refusal) -> Refusal:
        self.dropped[reason] += 1
        return reason


def _precedes(kernel: RawStamp, look: Look) -> bool:
    """Whether the program read its clock after that arrival; else the stamp is of another datagram."""
    return kernel.raw_ns <= look.raw_ns + kernel.half_ns
