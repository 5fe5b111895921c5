"""Who disciplines the clock of the dashboard's own computer: on a boat that is the laptop of the topside."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from runtime.clock_daemons import Discipline, running_daemons
from runtime.kernel_clock import kernel_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.clock import Reading

_CHECK_NS = 30_000_000_000
_REST_NS = 100_000
"""Realtime minus RAW that moved by less has rested: two readings of both clocks are microseconds apart."""


def _own(rested_s: float) -> Discipline:
    return Discipline.of(kernel_state(), running_daemons(), rested_s)


class OwnClock:
    """Looked at now and then; called in one thread, `discipline` may be read in any.

    For people: a slew of less than 3 ppm between two looks counts as rest, which no bound may rest on.
    """

    def __init__(self, discipline: Callable[[float], Discipline] = _own) -> None:
        self.discipline: Discipline | None = None
        """None: not known, or not Linux."""
        self._own = discipline
        self._checked_ns: int | None = None
        self._rested: Reading | None = None

    def check(self, now: Reading) -> None:
        """Look, if that is due."""
        if self._checked_ns is not None and now.raw_ns - self._checked_ns < _CHECK_NS:
            return
        self._checked_ns = now.raw_ns
        if self._rested is None or abs(_moved_ns(self._rested, now)) > _REST_NS:
            self._rested = now
        if sys.platform == "linux":
            self.discipline = self._own((now.raw_ns - self._rested.raw_ns) / 1e9)


def _moved_ns(before: Reading, now: Reading) -> int:
    return now.realtime_minus_raw_ns - before.realtime_minus_raw_ns
