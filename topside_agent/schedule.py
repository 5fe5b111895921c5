"""When a vehicle's next ping is due, pure: at once in a burst, else steadily, spread over the second."""

from __future__ import annotations

import zlib


class Schedule:
    """Due times on topside's RAW clock, in ns.

    The steady pings stand on a grid whose phase comes from the vehicle's name, so that a fleet's pings are
    spread over the interval and two topsides measure a vehicle at the same rate without meeting each time.
    """

    def __init__(self, name: str, *, interval_ns: int, burst: int, burst_interval_ns: int) -> None:
        self._interval_ns = interval_ns
        self._phase_ns = zlib.crc32(name.encode()) % interval_ns
        self._burst = burst
        self._burst_interval_ns = min(burst_interval_ns, interval_ns)
        self._left = 0
        self.due_ns = 0

    def start_burst(self, now_raw_ns: int) -> None:
        """Measure at once, several times."""
        self._left = self._burst
        self.due_ns = now_raw_ns

    def sent(self, now_raw_ns: int) -> None:
        """Set the next due time after a ping at `now_raw_ns`."""
        self._left = max(0, self._left - 1)
        if self._left:
            self.due_ns = now_raw_ns + self._burst_interval_ns
        else:
            self.due_ns = self._next_on_grid(now_raw_ns)

    def _next_on_grid(self, now_raw_ns: int) -> int:
        turns = (now_raw_ns - self._phase_ns) // self._interval_ns + 1
        return turns * self._interval_ns + self._phase_ns
