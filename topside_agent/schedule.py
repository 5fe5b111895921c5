"""When a vehicle's next ping is due, pure: at once in a burst, else steadily, spread over the second."""

from __future__ import annotations

import zlib

_PAIRED_UP_TO_NS = 500_000_000
"""Pings farther apart than this stay single: pairs would leave more than a second without any."""


class Schedule:
    """Due times on topside's RAW clock, in ns.

    The steady pings stand on a grid whose phase comes from the vehicle's name, so that a fleet's pings are
    spread over the interval and two topsides measure a vehicle at the same rate without meeting each time.
    They go in pairs, half as often, the second as soon as the first is answered: the first wakes broker and
    vehicle, the second finds them awake (measured in `docs/stamps.md`).
    """

    def __init__(self, name: str, *, interval_ns: int, burst: int, burst_interval_ns: int) -> None:
        self._pairs = interval_ns <= _PAIRED_UP_TO_NS
        self._interval_ns = 2 * interval_ns if self._pairs else interval_ns
        self._phase_ns = zlib.crc32(name.encode()) % self._interval_ns
        self._burst = burst
        self._burst_interval_ns = min(burst_interval_ns, interval_ns)
        self._left = 0
        self._second = False
        self.due_ns = 0

    def start_burst(self, now_raw_ns: int) -> None:
        """Measure at once, several times."""
        self._left = self._burst
        self.due_ns = now_raw_ns

    def sent(self, now_raw_ns: int) -> None:
        """Set the next due time after a ping at `now_raw_ns`."""
        single = self._left > 0 or not self._pairs
        self._left = max(0, self._left - 1)
        if self._left:
            self.due_ns = now_raw_ns + self._burst_interval_ns
        elif not single and not self._second:
            self._second = True
            self.due_ns = now_raw_ns
        else:
            self._second = False
            self.due_ns = self._next_on_grid(now_raw_ns)

    def _next_on_grid(self, now_raw_ns: int) -> int:
        turns = (now_raw_ns - self._phase_ns) // self._interval_ns + 1
        return turns * self._interval_ns + self._phase_ns
