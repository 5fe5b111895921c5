"""The vehicle's side of the agreement on the direct path: a request in, an answer and a session out."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pi_agent.udp.interface import SessionTerms
from schemas.direct_path import KEY_BYTES, MOST_ADDRESSES, UDP_VERSION, UdpAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pi_agent.responder import Answerer
    from schemas.direct_path import UdpError, UdpRequest

KEY_S = 3600.0
"""A session with its key ends so many seconds after it was agreed; topside asks for the next one before."""
MOST_RATE_HZ = 200.0
"""Exchanges a second that one topside is given."""
MOST_TOPSIDES = 64
"""With a session at a time: their names come from the network."""
_PAUSE_NS = 500_000_000
"""Of one topside's requests only one in so long is answered."""


class Agreed(NamedTuple):
    """The answer to publish, and the session to answer from now on; None: there is none."""

    answer: UdpAnswer
    terms: SessionTerms | None


def random_number() -> int:
    """A session's number."""
    return 1 + secrets.randbelow(2**32 - 1)


def random_key() -> bytes:
    """A session's key."""
    return secrets.token_bytes(KEY_BYTES)


@dataclass(frozen=True, slots=True)
class _Given:
    at_ns: int
    expires_ns: int


class Sessions:
    """Agrees on sessions; whoever calls performs what it returns. Instants are the Pi's RAW, in ns.

    The key is made of the system's random numbers, for one topside and one process: a new one for every
    request, so that an answer that was overheard is worth an hour at most.
    """

    def __init__(
        self,
        answerer: Answerer,
        make_number: Callable[[], int] = random_number,
        make_key: Callable[[], bytes] = random_key,
    ) -> None:
        self.dropped: Counter[str] = Counter()
        """Requests that were not answered, by reason."""
        self._answerer = answerer
        self._make_number, self._make_key = make_number, make_key
        self._given: dict[str, _Given] = {}

    def answer(
        self, request: UdpRequest, topside: str, now_ns: int, *, addresses: Sequence[str], port: int
    ) -> Agreed | None:
        """What `topside` is answered; None for a request that comes too soon after the one before."""
        last = self._given.get(topside)
        if last is not None and now_ns - last.at_ns < _PAUSE_NS:
            self.dropped["soon"] += 1
            return None
        error = self._refused(request, topside, now_ns)
        if error is not None:
            self.dropped[error] += 1
            return Agreed(self._answer(request, error=error), None)
        expires_ns = now_ns + round(KEY_S * 1e9)
        self._given[topside] = _Given(now_ns, expires_ns)
        terms = SessionTerms(self._make_number(), self._make_key(), topside, expires_ns, request.rate)
        answer = self._answer(
            request,
            session=terms.number,
            addresses=tuple(addresses[:MOST_ADDRESSES]),
            port=port,
            key=terms.key.hex(),
            expires_s=KEY_S,
        )
        return Agreed(answer, terms)

    def _refused(self, request: UdpRequest, topside: str, now_ns: int) -> UdpError | None:
        if request.version != UDP_VERSION:
            return "version"
        if request.rate > MOST_RATE_HZ:
            return "rate"
        if topside not in self._given and len(self._given) >= MOST_TOPSIDES:
            self._given = {name: given for name, given in self._given.items() if given.expires_ns > now_ns}
            if len(self._given) >= MOST_TOPSIDES:
                return "full"
        return None

    def _answer(self, request: UdpRequest, **others: object) -> UdpAnswer:
        return UdpAnswer.model_validate(
            {
                "request_id": request.request_id,
                "boot_id": self._answerer.boot_id,
                "instance_id": self._answerer.instance_id,
                **others,
            }
        )
