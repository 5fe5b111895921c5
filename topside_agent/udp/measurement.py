"""One vehicle's measurement that may go over the direct path too, pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.clock import Reading
from schemas.exchange import UDP
from topside_agent.measuring.actions import BurstDirectly
from topside_agent.measuring.measurement import Measurement
from topside_agent.udp.exchange import exchange_of

if TYPE_CHECKING:
    from schemas.exchange import Exchange
    from schemas.messages import ErrorWord, OffsetResult
    from topside_agent.measuring.actions import Action
    from topside_agent.udp.interface import DirectExchange

CHECK_NS = 5_000_000_000
"""Between trains of pings while exchanges come directly: they show a second vehicle of the name, and whether
MQTT would do if the direct path were lost."""
_SILENT_NS, _MISSED = 1_500_000_000, 2.5
"""Without a direct exchange for so long, or for so many trains, pings go on as before."""


class DirectMeasurement(Measurement):
    """While exchanges come directly pings are rare; once they do not, pings go on with a burst.

    The path's transport says so within 1.5 s (`path_lost`); if it does not, the time does.
    """

    _direct_ns: int | None = None
    """When the newest direct exchange arrived; None while none come."""
    _unanswered = False
    """Whether the newest ping was not answered, although exchanges came directly."""

    def direct(self, direct: DirectExchange, boot_id: str, instance_id: str) -> list[Action]:
        """A direct exchange, of a session with the vehicle's process `instance_id` on `boot_id`."""
        arrived = Reading(direct.destination_raw_ns, direct.topside_realtime_minus_raw_ns, 0)
        if direct.origin_raw_ns < self._broken_off_ns or self.resting:
            return []
        exchange = exchange_of(
            direct,
            topside=self._settings.topside,
            seq=self._exchanger.seq,
            boot_id=boot_id,
            topside_boot_id=self._exchanger.boot_id,
            instance_id=self._namesakes.instance_id,
        )
        admitted = self._exchanger.instances.admit(instance_id, arrived, boot_id)
        if exchange is None or not admitted:
            self._counts.rejected["other_instance" if exchange else "invalid_pi_time"] += 1
            self._refused += 1
            return self._and_next([], arrived.raw_ns)
        self._exchanger.take_seq()
        self._take(exchange, arrived.raw_ns, topside_set=direct.topside_set)
        self.offsets.changed |= self._direct_ns is None
        self._direct_ns = max(self._direct_ns or 0, arrived.raw_ns)
        return self._and_next([], arrived.raw_ns)

    def path_lost(self, now_raw_ns: int) -> list[Action]:
        """No answer comes directly any more: measure over MQTT at once."""
        self._lose(now_raw_ns)
        return self._and_next([], now_raw_ns)

    def timer(self, now: Reading, heard_raw_ns: int | None = None) -> list[Action]:
        """As of any measurement; with this path pings are rare, and none that is lost is an error.

        That the broker refuses all of them is one: if the path were lost, nothing would be measured.
        """
        if not self._in_use(now.raw_ns):
            self._lose(now.raw_ns)
            self._schedule.least_ns = 0
            return super().timer(now, heard_raw_ns)
        self._schedule.least_ns, error, timeouts = CHECK_NS, self._error, self._exchanger.timeouts
        actions = super().timer(now, heard_raw_ns)
        self._exchanger.instances.pinged_every(CHECK_NS)
        self._error, self._unanswered = error, self._unanswered or self._exchanger.timeouts > timeouts
        return actions

    def burst(self, now_raw_ns: int) -> list[Action]:
        """Measure at once, several times: directly, if exchanges come directly."""
        if self._in_use(now_raw_ns):
            return self._and_next([BurstDirectly()], now_raw_ns)
        return super().burst(now_raw_ns)

    def slept(self, slept_ns: int, now_raw_ns: int) -> list[Action]:
        """Topside slept: what the path is like now is not known."""
        self._direct_ns = None
        return super().slept(slept_ns, now_raw_ns)

    def _take(self, exchange: Exchange, now_raw_ns: int, *, topside_set: bool) -> None:
        self._unanswered &= exchange.method == UDP.name
        super()._take(exchange, now_raw_ns, topside_set=topside_set)

    def _error_word(self, now_raw_ns: int) -> ErrorWord | None:
        because = self.unanswered_because if self.offsets.direct and self._unanswered else None
        return super()._error_word(now_raw_ns) or (because if because == "not_authorized" else None)

    def _lose(self, now_raw_ns: int) -> None:
        if self._direct_ns is not None:
            self._direct_ns, self.offsets.changed = None, True
            self._schedule.start_burst(now_raw_ns)

    def _in_use(self, now_raw_ns: int) -> bool:
        return self._direct_ns is not None and now_raw_ns - self._direct_ns < self._silence_ns

    @property
    def _silence_ns(self) -> int:
        return max(_SILENT_NS, round(_MISSED * self._schedule.interval_ns * self._pace.slowdown))

    def _due_ns(self) -> int:
        due_ns = super()._due_ns()
        return due_ns if self._direct_ns is None else min(due_ns, self._direct_ns + self._silence_ns)

    def _next_result(self, now: Reading) -> OffsetResult | None:
        self.offsets.direct = self._in_use(now.raw_ns)
        return super()._next_result(now)
