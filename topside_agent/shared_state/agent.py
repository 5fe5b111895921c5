"""A topside agent that shares what it knows of the vehicles' clocks with the programs of its computer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from runtime.clock import read
from schemas.messages import DUPLICATES
from topside_agent.group.agent import GroupAgent
from topside_agent.shared_state import layout
from topside_agent.shared_state.past import Past

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.clock import Clock, Reading
    from schemas.clock_history import ClockPiece
    from topside_agent.measuring.measurement import Measurement
    from topside_agent.settings import TopsideSettings
    from topside_agent.shared_state.writer import SharedFile

_log = logging.getLogger(__name__)
_EVERY_NS = 950_000_000
_LOOK_NS = 50_000_000
"""A fleet's agent handles thousands of messages a second; so often it looks whether a clock was cut."""


class SharingAgent(GroupAgent):
    """Writes the vehicles' places once a second and at each cut."""

    def __init__(
        self,
        settings: TopsideSettings,
        clock: Clock,
        shared: SharedFile,
        *,
        boottime_ns: Callable[[], int] = layout.boottime_ns,
        **others: Any,
    ) -> None:
        super().__init__(settings, clock, **others)
        self._shared: SharedFile | None = shared
        self._boottime_ns = boottime_ns
        self._wander = settings.estimator.wander_limit
        self._look_due_ns = self._share_due_ns = 0
        self._own_number = 0
        self._given_up: set[str] = set()
        self._cuts: list[tuple[object, ...]] = []

    def tick(self, now: Reading) -> float:
        """Do what is due, and share what came of it."""
        pause_s, boottime_ns = super().tick(now), self._boottime_ns()
        if self._shared and boottime_ns >= self._look_due_ns:
            self._look_due_ns = boottime_ns + _LOOK_NS
            self._look(self._shared, boottime_ns)
        return pause_s

    def stop(self) -> None:
        """End; readers have nothing from then on."""
        super().stop()
        self._unshare()

    def _look(self, shared: SharedFile, boottime_ns: int) -> None:
        cuts = []
        for measurement in self._vehicles:
            if measurement.offsets.past is not None:
                measurement.offsets.past.boottime_ns = boottime_ns
                cuts.append(measurement.offsets.cuts)
        if boottime_ns >= self._share_due_ns or cuts != self._cuts:
            self._share_due_ns, self._cuts = boottime_ns + _EVERY_NS, cuts
            self._share(shared, boottime_ns)

    def _share(self, shared: SharedFile, boottime_ns: int) -> None:
        own = self.watcher.pieces(self._own_number, self.watcher.number)
        self._own_number = own[-1][0] if own else self._own_number
        for measurement in self._vehicles:
            index = None if measurement.vehicle in self._given_up else shared.place(measurement.vehicle)
            if index is None:
                continue
            try:
                self._share_one(shared, index, measurement, own, boottime_ns)
            except Exception:  # noqa: BLE001 - measuring goes on, and the other vehicles are shared
                _log.exception("%s is no longer in the shared state", measurement.vehicle)
                self._given_up.add(measurement.vehicle)

    def _share_one(
        self,
        shared: SharedFile,
        index: int,
        measurement: Measurement,
        own: Sequence[tuple[int, ClockPiece]],
        boottime_ns: int,
    ) -> None:
        offsets, now = measurement.offsets, read(self._clock)
        if offsets.past is None:
            offsets.past = Past(self._wander)
            offsets.past.boottime_ns = boottime_ns
        past = offsets.past
        result = measurement.snapshot(now.raw_ns).result
        past.doubt(doubtful=result is not None and result.error in DUPLICATES)
        made, unknown = past.advance(own), offsets.heard.unknown
        current = offsets.current and not unknown
        shared.write(
            index,
            made,
            tail=past.tail(now, current=current),
            spans=past.spans(now, current=current, unknown=unknown),
            counts=(past.runs.first, past.runs.following),
            written_ns=boottime_ns,
        )

    def _unshare(self) -> None:
        if self._shared is not None:
            self._shared.close()
            self._shared = None
