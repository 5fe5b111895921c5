"""When results and batches may go out, pure: between exchanges, or a few ms later at the latest."""

from __future__ import annotations

PATIENCE_NS = 5_000_000
"""How long a result waits for an exchange to end, and how long a ping counts as under way."""
FEW = 8
GATHER_NS = 50_000_000
"""How long it waits besides for those of more than a `FEW` vehicles: one write for many costs little more."""


class PublishGate:
    """Keeps vehicles' results back while a ping is under way, so that the broker's next work is its pong.

    Times are topside's RAW, in ns, and never decrease.
    """

    def __init__(self) -> None:
        self._sent_ns: dict[str, int] = {}  # both in the order of their times
        self._waiting_from_ns: dict[str, int] = {}

    def sent(self, vehicle: str, now_ns: int) -> None:
        """Note a ping to `vehicle`."""
        self._sent_ns.pop(vehicle, None)
        self._sent_ns[vehicle] = now_ns

    def answered(self, vehicle: str) -> None:
        """Note that `vehicle` has answered."""
        self._sent_ns.pop(vehicle, None)

    def forget(self, vehicle: str) -> None:
        """Name `vehicle` no more."""
        self._sent_ns.pop(vehicle, None)
        self._waiting_from_ns.pop(vehicle, None)

    def wait(self, vehicle: str, now_ns: int, gather_ns: int = 0) -> None:
        """Have `vehicle` named by `released` once its result may go out, in `gather_ns` at the earliest."""
        self._waiting_from_ns.setdefault(vehicle, now_ns + gather_ns)

    def holds(self, vehicle: str) -> bool:
        """Whether `vehicle` waits to be named."""
        return vehicle in self._waiting_from_ns

    @property
    def due_ns(self) -> int | None:
        """When `released` has something to name at the latest; None while nobody waits."""
        for from_ns in self._waiting_from_ns.values():
            return from_ns + PATIENCE_NS if self._sent_ns else from_ns
        return None

    def released(self, now_ns: int) -> list[str]:
        """The vehicles whose results may go out now, all that wait together; each is named once."""
        if not self._waiting_from_ns:
            return []
        while self._sent_ns:
            vehicle, sent_ns = next(iter(self._sent_ns.items()))
            if now_ns - sent_ns < PATIENCE_NS:
                break
            del self._sent_ns[vehicle]
        due_ns = self.due_ns
        if due_ns is None or due_ns > now_ns:
            return []
        free = list(self._waiting_from_ns)
        self._waiting_from_ns.clear()
        return free
