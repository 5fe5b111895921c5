"""Asks the broker for subscriptions, asks again for what is refused, and says what is refused or silent."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from broker.subscriptions import Request, Subscriptions

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from broker.client.plain import PlainClient
    from broker.errors import BrokerError, NotAuthorizedError
    from broker.reconnect import ReconnectPolicy
    from broker.subscriptions import Answered
    from runtime.logs import RateLimitedLog

_log = logging.getLogger(__name__)


class Subscriber:
    """The subscriptions of one connection, in its network thread; `raw_ns` reads the clock."""

    def __init__(
        self,
        client: PlainClient,
        policy: ReconnectPolicy,
        raw_ns: Callable[[], int],
        limited_log: RateLimitedLog,
    ) -> None:
        self._client = client
        self._policy = policy
        self._raw_ns = raw_ns
        self._limited_log = limited_log
        self._subscriptions = Subscriptions()
        self.echoes = self._subscriptions.echoes

    # Any thread

    @property
    def settled(self) -> threading.Event:
        """The broker has answered all that was asked of it over this connection, which is at least one."""
        return self._subscriptions.settled

    @property
    def refusal(self) -> NotAuthorizedError | None:
        """What the broker refuses to this account; None when nothing is known to be refused."""
        settings = self._policy.settings
        return self._subscriptions.refusal(settings.address, settings.account)

    @property
    def problem(self) -> BrokerError | None:
        """What the broker refuses, or has not answered for a while."""
        return self.refusal or self._subscriptions.silence(self._policy.settings.address)

    # The network thread

    @property
    def waiting(self) -> tuple[str, ...]:
        """The filters that the broker has not answered, in the order asked."""
        return self._subscriptions.waiting

    def begin(self) -> None:
        """A new connection: nothing has been asked."""
        self._subscriptions.begin()

    def end(self) -> None:
        """The connection has ended."""
        self._subscriptions.end()

    def subscribe(self, filters: Sequence[tuple[str, int]], answered: Answered | None = None) -> None:
        """Ask for `(filter, QoS)` pairs, in one packet."""
        self._ask(Request(tuple(filters), answered, self._raw_ns()))

    def unsubscribe(self, filters: Sequence[str]) -> None:
        """Undo `subscribe`."""
        self._subscriptions.forget(filters)
        self._client.unsubscribe(list(filters))

    def answered(self, mid: int, codes: Sequence[int]) -> None:
        """A SUBACK came."""
        before = self.refusal
        try:
            self._subscriptions.answer(mid, codes, self._raw_ns())
        finally:
            refusal = self.refusal
            if refusal is not None:
                self._limited_log.warning(str(refusal))
            elif before is not None:
                _log.info("broker %s refuses no subscription any more", self._policy.settings.address)

    def upkeep(self, now_raw_ns: int) -> None:
        """Ask again for what was refused; log what is silent, and what does not come back."""
        for request in self._subscriptions.due(now_raw_ns):
            self._ask(request)
        if self.echoes.overdue(now_raw_ns):
            self._limited_log.warning(str(self.refusal))
        elif silence := self._subscriptions.silence(self._policy.settings.address):
            self._limited_log.warning(str(silence))

    def _ask(self, request: Request) -> None:
        _, mid = self._client.subscribe(list(request.filters))
        if mid is not None:
            self._subscriptions.asked(mid, request)
