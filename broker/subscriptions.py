"""What a connection has asked to subscribe to, and what the broker has answered (SUBACK); no sockets."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from broker.echoes import Echoes
from broker.errors import NotAuthorizedError, UnansweredError
from broker.reconnect import Backoff

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping, Sequence

    from broker.address import BrokerAddress

    Answered = Callable[[Mapping[str, int]], object]

MOST_QOS = 2
"""A code up to this is the QoS granted; any other is a refusal (MQTT 3.1.1 knows 128 alone)."""
REFUSED = 0x80
FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 10.0
"""At most, from a refusal to the next request: a cluster refuses for a moment, access lists are mended."""
SLOW_NS = 5_000_000_000
"""A broker that has not answered by then is said to be silent; a cluster without a leader may take 25 s."""


class Request(NamedTuple):
    """`(filter, QoS)` pairs of one SUBSCRIBE packet, and whom to give the answer."""

    filters: tuple[tuple[str, int], ...]
    answered: Answered | None
    at_raw_ns: int


class Subscriptions:
    """Those of the present connection. Other threads may read what is refused, and wait for `settled`."""

    def __init__(self, source: random.Random | None = None) -> None:
        self._backoff = Backoff(source, first_s=FIRST_RETRY_S, cap_s=LONGEST_RETRY_S)
        self._slow: tuple[str, ...] = ()
        self._waiting: dict[int, Request] = {}
        self._refused: dict[str, tuple[int, Answered | None]] = {}
        self._retry_at_ns: int | None = None
        self.echoes = Echoes()
        self.settled = threading.Event()
        """The broker has answered all that was asked of it over this connection, which is at least one."""

    def refusal(self, address: BrokerAddress, account: str | None) -> NotAuthorizedError | None:
        """What the broker refuses to `account`; None when nothing is known to be refused."""
        refused, missing = self.refused, self.echoes.missing
        return NotAuthorizedError(address, account, refused, missing) if refused or missing else None

    def silence(self, address: BrokerAddress) -> UnansweredError | None:
        """What the broker had not answered after `SLOW_NS`, when `due` was called; None: nothing."""
        return UnansweredError(address, self._slow) if self._slow else None

    @property
    def refused(self) -> tuple[str, ...]:
        """The filters that the broker refuses this account, sorted."""
        return tuple(sorted(self._refused.copy()))

    @property
    def waiting(self) -> tuple[str, ...]:
        """The filters that the broker has not answered, in the order asked."""
        return tuple(name for asked in self._waiting.values() for name, _ in asked.filters)

    def begin(self) -> None:
        """A new connection: nothing has been asked."""
        self._waiting.clear()
        self._refused = {}
        self._slow = ()
        self._retry_at_ns = None
        self._backoff.reset()
        self.echoes.begin()
        self.settled.clear()

    def end(self) -> None:
        """The connection has ended: nothing that was asked will be answered."""
        self._slow = ()
        self.settled.clear()

    def asked(self, mid: int, request: Request) -> None:
        """A SUBSCRIBE packet with identifier `mid` was sent."""
        filters = request.filters
        self._waiting[mid] = request
        self.echoes.asked(filters)
        self.settled.clear()

    def answer(self, mid: int, codes: Sequence[int], now_raw_ns: int) -> Mapping[str, int]:
        """The code of each filter of packet `mid`: a granted QoS, or `REFUSED`, also where it is missing.

        Empty for a packet that was not sent. What was refused is due again after a while, each time a longer
        one.
        """
        asked = self._waiting.pop(mid, None)
        if asked is None:
            return {}
        padded = [*codes, *[REFUSED] * len(asked.filters)]
        result = {
            name: code if code <= MOST_QOS else REFUSED
            for (name, _), code in zip(asked.filters, padded, strict=False)
        }
        refused = self._refused.copy()
        for name, qos in asked.filters:
            refused.pop(name, None)
            if result[name] == REFUSED:
                refused[name] = qos, asked.answered
        self._refused = refused
        if not refused:
            self._backoff.reset()
        elif self._retry_at_ns is None:
            self._retry_at_ns = now_raw_ns + round(self._backoff.next_s() * 1e9)
        self.echoes.answered({name: code != REFUSED for name, code in result.items()}, now_raw_ns)
        try:
            if asked.answered is not None:
                asked.answered(result)
        finally:
            if not self._waiting:
                self._slow = ()
                self.settled.set()
        return result

    def due(self, now_raw_ns: int) -> list[Request]:
        """What was refused and is to be asked for again now."""
        self._slow = tuple(
            name
            for asked in self._waiting.values()
            if now_raw_ns - asked.at_raw_ns > SLOW_NS
            for name, _ in asked.filters
        )
        if self._retry_at_ns is None or now_raw_ns < self._retry_at_ns:
            return []
        self._retry_at_ns = None
        again: dict[Answered | None, list[tuple[str, int]]] = {}
        for name, (qos, answered) in self._refused.items():
            again.setdefault(answered, []).append((name, qos))
        return [Request(tuple(filters), answered, now_raw_ns) for answered, filters in again.items()]

    def forget(self, filters: Sequence[str]) -> None:
        """These are no longer wanted."""
        self._refused = {name: asked for name, asked in self._refused.items() if name not in filters}
