"""How long to wait before trying a broker again: exponential, with full jitter, capped."""

from __future__ import annotations

import random

FIRST_S = 0.25
CAP_S = 3.0
"""A broker that comes back is found within this; a fleet that lost it does not return all at once."""


class Backoff:
    """Waits drawn evenly from 0 to a limit that doubles with each failure ("full jitter")."""

    def __init__(self, source: random.Random | None = None) -> None:
        self._random = source or random.SystemRandom()
        self._failures = 0

    def next_s(self) -> float:
        """Seconds to wait after one more failure."""
        limit_s = min(CAP_S, FIRST_S * 2**self._failures)
        self._failures = min(self._failures + 1, 10)
        return self._random.uniform(0, limit_s)

    def reset(self) -> None:
        """Forget the failures: the connection worked."""
        self._failures = 0
