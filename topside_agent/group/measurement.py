"""One vehicle's measurement by a topside of a group, pure: it can rest while another one measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topside_agent.group.decisions import OwnResult
from topside_agent.group.followed import KEEP_NS, destination_raw_ns
from topside_agent.measuring.backlog import Backlog
from topside_agent.measuring.timing import ResultSchedule
from topside_agent.udp.measurement import DirectMeasurement

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.clock import Reading
    from schemas.exchange import Exchange
    from topside_agent.measuring.actions import Action

_MOST_KNOWN = 600
"""Of one's own exchanges and of others', each; of a vehicle that is measured often for less long."""
_USEFUL = {"acquiring", "locked", "holdover"}


class SharedMeasurement(DirectMeasurement):
    """At rest it sends no ping and publishes no result; what it hears of either clock it takes in.

    It keeps its finished exchanges, which a recorder may still ask for, and the numbers that follow them.
    """

    _others: Backlog | None = None
    """The exchanges that it has taken over."""

    @property
    def own_result(self) -> OwnResult:
        """The last result, and whether it is one that is worth to be handed over."""
        result = None if self.resting else self._result
        if result is None:
            return OwnResult(useful=False, max_error_ms=None)
        return OwnResult(useful=result.state in _USEFUL, max_error_ms=result.max_error_ms)

    def rest(self) -> None:
        """Another topside measures the vehicle; the next result rests on an exchange that is yet to come."""
        self.resting = True
        self.disconnected()
        self._others = None
        self._direct_ns = None
        self._results = ResultSchedule(self.vehicle, self._pace)
        self._result = self._error = self._last_reached_raw_ns = None

    def resume(self, known: Iterable[Exchange], now_raw_ns: int) -> list[Action]:
        """Measure the vehicle; `known` are exchanges that others made by this computer's clock, in order."""
        self.resting = False
        self._others = Backlog(KEEP_NS)
        began_ns = self.offsets.began_ns
        for exchange in known:
            raw_ns = destination_raw_ns(exchange) or 0
            self._others.add(exchange, raw_ns)
            if raw_ns > began_ns:  # what it has met itself goes further
                self.offsets.add(exchange)
        return self.appeared(now_raw_ns)

    def known(self, now_raw_ns: int) -> list[bytes]:
        """Encoded batches of the exchanges of the last `KEEP_NS`, those of others first."""
        since_ns = max(now_raw_ns - KEEP_NS, self._broken_off_ns)
        kept = [self._backlog] if self._others is None else [self._others, self._backlog]
        return [batch for each in kept for batch in each.latest(since_ns, _MOST_KNOWN)]

    def timer(self, now: Reading, heard_raw_ns: int | None = None) -> list[Action]:
        """As of any measurement, but nothing at rest."""
        return [] if self.resting else super().timer(now, heard_raw_ns)

    def publish(self, now: Reading) -> list[Action]:
        """As of any measurement, but nothing at rest."""
        return [] if self.resting else super().publish(now)

    def _and_next(self, actions: list[Action], now_raw_ns: int) -> list[Action]:
        return actions if self.resting else super()._and_next(actions, now_raw_ns)
