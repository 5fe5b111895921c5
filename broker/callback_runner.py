"""Calls an agent's code in the network thread of its connection, each time with a reading of the clock."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from broker.client.stamps import Arrivals, ArrivalStamper
from broker.interface import Callbacks, Incoming
from runtime.clock import asleep_s, read
from runtime.faults import FaultLog
from runtime.memory import note

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.client.plain import PlainClient
    from runtime.clock import Clock
    from runtime.logs import RateLimitedLog

MAX_WAIT_S = 0.5
"""The network thread waits no longer at a time."""
_FAULT = "a fault of this program with %s, please report it; the connection continues"


class CallbackRunner:
    """Calls an agent's code with a reading of the clock; exceptions are logged, never propagated."""

    def __init__(
        self,
        callbacks: Callbacks,
        clock: Clock,
        client: PlainClient,
        log: RateLimitedLog,
        gather_s: float = 0.0,
    ) -> None:
        self._callbacks = callbacks
        self._clock = clock
        self._posted: deque[Callable[[], object]] = deque()
        self._stamper = ArrivalStamper(clock)
        self.arrivals = Arrivals(self._stamper, client, log, together=gather_s > 0)
        self._faults = FaultLog()
        self._fresh = False

    def post(self, work: Callable[[], object]) -> None:
        """Have `work` called in the next loop; any thread may ask."""
        self._posted.append(work)

    def run_due(self) -> float:
        """Do what was posted and what is due; returns the longest wait, in seconds."""
        while self._posted:
            self.call(self._posted.popleft())
        if self._fresh:  # a message was read just now, and the clock with it
            self._fresh = False
        else:
            self._stamper.observe(read(self._clock))
        try:
            wait_s = self._callbacks.tick(self._stamper.now)
        except Exception as error:  # noqa: BLE001 - see the class
            self._note_fault(error, "what was due")
            return MAX_WAIT_S
        return max(0.0, min(wait_s, MAX_WAIT_S))

    def deliver(self, topic: str, payload: bytes, retain: bool) -> None:
        """Hand over a message that was just read; lost is what came as a simulated machine fell asleep."""
        if asleep_s(self._clock):
            return
        received, stamp = self.arrivals.reading()
        self._fresh = self.arrivals.fresh
        try:
            self._callbacks.received(Incoming(topic, payload, retain, received, stamp))
        except Exception as error:  # noqa: BLE001 - see the class
            self._note_fault(error, f"a message of {len(payload)} bytes")

    def call(self, work: Callable[[], object]) -> None:
        """Run the agent's code."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - see the class
            self._note_fault(error, "work of the agent")

    def _note_fault(self, error: Exception, what: str) -> None:
        if isinstance(error, MemoryError):
            note("message", what)
        else:
            self._faults.note(error, _FAULT % what, self._clock.raw_ns())
