"""How many requests of one address are answered a second; the rest waits, and measuring is not starved."""

from __future__ import annotations

PER_SECOND = 50.0
BURST = 100
"""Requests at once, after a pause: a page asks for some tens of files."""
MOST_WAIT_S = 5.0
_MOST_ADDRESSES = 1000


class RequestRate:
    """Pure: a token bucket for each address, as the instant at which its bucket will be full again."""

    def __init__(self, per_second: float = PER_SECOND, burst: int = BURST) -> None:
        self._each_s = 1 / per_second
        self._burst_s = burst / per_second
        self._full_s: dict[str, float] = {}

    def wait_s(self, address: str, now_s: float) -> float | None:
        """How long a request that came at `now_s` has to wait; None: it is refused, and costs nothing."""
        if len(self._full_s) >= _MOST_ADDRESSES:
            self._full_s = {key: full_s for key, full_s in self._full_s.items() if full_s > now_s}
        full_s = max(self._full_s.get(address, now_s), now_s) + self._each_s
        wait_s = max(0.0, full_s - now_s - self._burst_s)
        if wait_s > MOST_WAIT_S or len(self._full_s) >= 2 * _MOST_ADDRESSES:
            return None
        self._full_s[address] = full_s
        return wait_s
