"""Leaves the processor to others while a flood of datagrams comes that are not answered."""

from __future__ import annotations

_PERIOD_NS = 100_000_000
_MOST = 500
"""Refused in a period, of some 8 µs each."""


class FloodBrake:
    """Counts what is refused; instants are RAW, ns."""

    def __init__(self) -> None:
        self._period_ns = 0
        self._refused = 0

    def refused(self, now_ns: int) -> float:
        """One more was; seconds to wait before the next is read. The kernel drops what finds no room."""
        if now_ns - self._period_ns >= _PERIOD_NS:
            self._period_ns, self._refused = now_ns, 0
        self._refused += 1
        if self._refused <= _MOST:
            return 0.0
        return (self._period_ns + _PERIOD_NS - now_ns) / 1e9
