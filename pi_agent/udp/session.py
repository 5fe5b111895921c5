"""A session as the vehicle keeps it: which requests it may answer, and when the last answers left."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

from runtime.realtime_line import Even
from schemas.datagram import Seal

if TYPE_CHECKING:
    from pi_agent.udp.interface import SessionTerms
    from runtime.realtime_line import RawStamp
    from runtime.stamp_clock import Look

KEPT = 16
"""Answers whose departure may be asked for."""
_WINDOW = 64
_RATE_FACTOR, _LEAST_RATE = 4.0, 10.0
_BURST = 64.0
"""Answers at once: a burst of exchanges, each asked for again."""


class Departures(Protocol):
    """What knows the kernel's transmit stamps."""

    def departed(self, number: int, sent_raw_ns: int) -> RawStamp | None:
        """The agent's RAW when datagram `number`, sent after that, left; asked once. None: not known."""


class ReplayWindow:
    """Each sequence number once, and none more than 63 behind the highest (RFC 4303 §3.4.3)."""

    def __init__(self) -> None:
        self._highest = self._seen = 0

    def admit(self, seq: int) -> bool:
        """Whether `seq` is new, and from now on it is not; for genuine datagrams only."""
        ahead = seq - self._highest
        if ahead > 0:
            self._seen = (self._seen << min(ahead, _WINDOW) | 1) & ((1 << _WINDOW) - 1)
            self._highest = seq
            return True
        if ahead <= -_WINDOW or seq <= 0 or self._seen >> -ahead & 1:
            return False
        self._seen |= 1 << -ahead
        return True


class TokenBucket:
    """At most `rate` a second, `burst` at once; instants are RAW, ns."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate_ns, self._burst = rate / 1e9, burst
        self._tokens, self._filled_ns = burst, 0

    def take(self, now_ns: int) -> bool:
        """Whether one more may go."""
        if self._filled_ns:
            gained = (now_ns - self._filled_ns) * self._rate_ns
            self._tokens = min(self._burst, self._tokens + gained)
        self._filled_ns = now_ns
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class _Departure:
    """An answer's: the number that the socket gave it, and then its stamp."""

    __slots__ = ("arrived", "even", "look", "number", "stamp", "transmit_raw_ns")

    def __init__(self, number: int, arrived: RawStamp | None, look: Look, transmit_raw_ns: int) -> None:
        self.number: int | None = number
        self.arrived, self.look = arrived, look
        self.even = Even()
        self.transmit_raw_ns = transmit_raw_ns
        self.stamp: RawStamp | None = None


class Session:
    """State of one session; nothing of it changes before a request's tag was found right."""

    def __init__(self, terms: SessionTerms) -> None:
        self.terms = terms
        self.seal = Seal(terms.key)
        self.window = ReplayWindow()
        self.bucket = TokenBucket(max(_LEAST_RATE, _RATE_FACTOR * terms.rate), _BURST)
        self._departures: OrderedDict[int, _Departure] = OrderedDict()

    def sent(self, seq: int, number: int, arrived: RawStamp | None, look: Look, transmit_raw_ns: int) -> None:
        """The answer to `seq`, with `look`'s difference, was sent as `number` after `transmit_raw_ns`.

        `arrived` is the kernel's stamp that is in it, if one is.
        """
        self._departures[seq] = _Departure(number, arrived, look, transmit_raw_ns)
        if len(self._departures) > KEPT:
            self._departures.popitem(last=False)

    def departed(self, seq: int, departures: Departures) -> tuple[RawStamp | None, Even]:
        """When the answer to `seq` left, by the kernel; None: not known, or no longer.

        And whether realtime ran evenly from the request's arrival to then.
        """
        departure = self._departures.get(seq)
        if departure is None:
            return None, Even()
        if departure.number is not None:
            stamp = departures.departed(departure.number, departure.transmit_raw_ns)
            departure.number = None
            # One before the program sent it is another datagram's.
            if stamp is not None and stamp.raw_ns + stamp.half_ns >= departure.transmit_raw_ns:
                half_ns = max(stamp.half_ns, departure.look.half_at(stamp.raw_ns))
                departure.stamp = stamp._replace(half_ns=half_ns)
                if departure.arrived is not None:
                    difference_ns = departure.look.realtime_minus_raw_ns
                    departure.even = Even.between(departure.arrived, stamp, difference_ns)
        return departure.stamp, departure.even
