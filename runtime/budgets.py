"""How much each peer may send a minute, pure: what a peer sends above that is refused and counted."""

from __future__ import annotations

BURST_MINUTES = 15.0
"""A peer that was quiet may send as much as in so many minutes at once: steps come in bursts, and what an
outage held back comes all together."""
MOST_PEERS = 5000
"""Peers' names come from the network: those above share one budget."""
_MINUTE_NS = 60_000_000_000
_OTHERS = ""


class Budgets:
    """One budget of `per_minute` for each peer: a token bucket."""

    def __init__(self, per_minute: float) -> None:
        self.excess = 0
        """How much was refused, of all peers."""
        self._per_minute = per_minute
        self._most = per_minute * BURST_MINUTES
        self._left: dict[str, tuple[float, int]] = {}

    def take(self, peer: str, amount: int, now_ns: int) -> bool:
        """Whether `peer` may send `amount` more now, by the RAW clock; what is refused costs nothing."""
        if peer not in self._left and len(self._left) >= MOST_PEERS:
            peer = _OTHERS
        left, at_ns = self._left.get(peer, (self._most, now_ns))
        left = min(self._most, left + self._per_minute * max(0, now_ns - at_ns) / _MINUTE_NS)
        allowed = amount <= left
        self._left[peer] = (left - amount if allowed else left, now_ns)
        if not allowed:
            self.excess += amount
        return allowed
