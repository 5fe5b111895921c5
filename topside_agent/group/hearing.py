"""Whether a topside hears what the others of its group send, pure; times are its RAW, in ns."""

from __future__ import annotations

_MISSED_NS = 1_500_000_000
"""Whoever did nothing for so long may have missed heartbeats that were sent meanwhile."""
_DEAF_NS = 2_000_000_000
"""Whoever has not heard even its own heartbeats for so long is cut off: the others may be there."""


class Hearing:
    """Asked often. Where an account may not read its own heartbeats, only its own pauses are noticed."""

    def __init__(self) -> None:
        self._asked_ns: int | None = None
        self._echo_ns: int | None = None

    def echoed(self, now_ns: int) -> None:
        """A heartbeat of its own came back."""
        self._echo_ns = now_ns

    def missed_ns(self, now_ns: int) -> int | None:
        """For how long heartbeats may have been missed, or None; at the first time it asks, for ever."""
        asked_ns, self._asked_ns = self._asked_ns, now_ns
        if asked_ns is None:
            return now_ns
        if now_ns - asked_ns >= _MISSED_NS:
            return now_ns - asked_ns
        deaf_ns = 0 if self._echo_ns is None else now_ns - self._echo_ns
        return deaf_ns if deaf_ns >= _DEAF_NS else None
