"""When results are of, on this computer's RAW clock, from what another computer's clock says; pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.clock import Reading

_LONGEST_S = 10.0
"""A result is on its way for less; else the other clock was set."""
_RATE = 200e-6
"""By how much the two clocks' rates may differ in the long run."""


@dataclass(slots=True)
class MeasuredInstants:
    """Arrivals, each less the time that its result was on its way, as one topside's clock shows it.

    Where the clocks may differ, the shortest way that was seen lately counts as none: all instants are then
    late by as much, and their distances are right. Never earlier than the last one.
    """

    _ahead_s: float | None = None
    """RAW clock here minus topside's clock."""
    _same: bool = True
    """Whether topside's clock may be the one of this computer."""
    _last_s: float = -inf

    def raw_s(self, measured_unix_ms: int | None, received: Reading) -> float:
        """The instant of a result that was `received`; of one that was never measured, its arrival."""
        at_s = received.raw_ns / 1e9
        if measured_unix_ms is not None:
            at_s = measured_unix_ms / 1e3 + self._ahead(measured_unix_ms / 1e3, received)
        self._last_s = max(self._last_s, at_s)
        return self._last_s

    def _ahead(self, measured_s: float, received: Reading) -> float:
        now_s = received.raw_ns / 1e9
        arrived_s, if_same_s = now_s - measured_s, -received.realtime_minus_raw_ns / 1e9
        plausible = 0 <= arrived_s - if_same_s < _LONGEST_S
        known_s = arrived_s
        if self._ahead_s is not None:
            known_s = self._ahead_s + max(0.0, now_s - self._last_s) * _RATE
        if self._ahead_s is None or arrived_s - known_s > _LONGEST_S:
            known_s, self._same = arrived_s, True
        self._same = self._same and plausible
        self._ahead_s = if_same_s if self._same else min(known_s, arrived_s)
        return self._ahead_s
