"""The owner's turn in the network thread: what was posted, is due or arrived; its faults end nothing."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from broker.client.arrivals import Arrivals
from broker.client.stamps import ArrivalStamper
from broker.interface import Incoming
from runtime.clock import read

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.client.plain import PlainClient
    from broker.interface import Callbacks
    from runtime.clock import Clock
    from runtime.logs import RateLimitedLog

_log = logging.getLogger(__name__)

_MAX_WAIT_S = 0.5
_FAULT = "a fault of this program, please report it; going on"


class CallbackRunner:
    """Calls the owner's code, with a reading of the clock; its faults are logged."""

    def __init__(self, callbacks: Callbacks, clock: Clock, client: PlainClient, say: RateLimitedLog) -> None:
        self._callbacks = callbacks
        self._clock = clock
        self._posted: deque[Callable[[], object]] = deque()
        self._stamper = ArrivalStamper(clock)
        self.arrivals = Arrivals(self._stamper, client, say)
        self._fresh = False

    def post(self, work: Callable[[], object]) -> None:
        """Have `work` called at the next turn; any thread may ask."""
        self._posted.append(work)

    def take(self) -> float:
        """Do what was posted and what is due; returns how long the wait may be, in seconds."""
        while self._posted:
            self.call(self._posted.popleft())
        if self._fresh:  # a message was read just now, and the clock with it
            self._fresh = False
        else:
            self._stamper.observe(read(self._clock))
        try:
            wait_s = self._callbacks.tick(self._stamper.now)
        except Exception:  # noqa: BLE001 - whatever it is, the connection goes on
            _log.exception(_FAULT)
            return _MAX_WAIT_S
        return max(0.0, min(wait_s, _MAX_WAIT_S))

    def deliver(self, topic: str, payload: bytes, retain: bool) -> None:
        """Hand over a message that was just read."""
        received, stamp = self.arrivals.reading()
        self._fresh = True
        try:
            self._callbacks.received(Incoming(topic, payload, retain, received, stamp))
        except Exception:  # noqa: BLE001 - whatever it is, the connection goes on
            _log.exception(_FAULT)

    def call(self, work: Callable[[], object]) -> None:
        """Run the owner's code; its fault is logged and must not end the connection."""
        try:
            work()
        except Exception:  # noqa: BLE001 - whatever it is, the connection goes on
            _log.exception(_FAULT)
