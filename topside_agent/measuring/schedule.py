"""When a vehicle's next ping is due, pure: at once in a burst, else steadily, spread over the second."""

from __future__ import annotations

import zlib

_TRAINS: tuple[tuple[int, int], ...] = ((3, 500_000_000), (2, 1_000_000_000))
"""Pings in a train, and how far apart (ns) trains may be for it.

A train sees the network in one state only: three at a time where that still leaves two looks a second, two
where it leaves one.
"""


class Schedule:
    """Due times on topside's RAW clock, in ns.

    The steady pings stand on a grid whose phase comes from the vehicle's name, so that a fleet's pings are
    spread over the interval and two topsides measure a vehicle at the same rate without meeting each time.
    They go in trains, as much less often, each ping as soon as the one before is answered: the first wakes
    broker and vehicle, the others find them awake (measured in `docs/stamps.md`).
    """

    def __init__(self, name: str, *, interval_ns: int, burst: int, burst_interval_ns: int) -> None:
        self._train = next((count for count, apart_ns in _TRAINS if count * interval_ns <= apart_ns), 1)
        self._interval_ns = self._train * interval_ns
        self._phase_ns = zlib.crc32(name.encode()) % self._interval_ns
        self._burst = burst
        self._burst_interval_ns = min(burst_interval_ns, interval_ns)
        self._left = 0
        self._behind = 0
        """Pings of the present train that have gone."""
        self.due_ns = 0

    def start_burst(self, now_raw_ns: int) -> None:
        """Measure at once, several times."""
        self._left = self._burst
        self.due_ns = now_raw_ns

    def sent(self, now_raw_ns: int) -> None:
        """Set the next due time after a ping at `now_raw_ns`."""
        in_burst = self._left > 0
        self._left = max(0, self._left - 1)
        self._behind = 0 if in_burst else self._behind + 1
        if self._left:
            self.due_ns = now_raw_ns + self._burst_interval_ns
        elif 0 < self._behind < self._train:
            self.due_ns = now_raw_ns
        else:
            self._behind = 0
            self.due_ns = self._next_on_grid(now_raw_ns)

    def _next_on_grid(self, now_raw_ns: int) -> int:
        turns = (now_raw_ns - self._phase_ns) // self._interval_ns + 1
        return turns * self._interval_ns + self._phase_ns
