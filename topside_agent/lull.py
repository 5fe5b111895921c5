"""When results and batches may go out, pure: between exchanges, or a few ms later at the latest."""

from __future__ import annotations

PATIENCE_NS = 5_000_000
"""How long a result waits for an exchange to end, and how long a ping counts as under way."""


class Lull:
    """Keeps vehicles' results back while a ping is under way, so that the broker's next work is its pong.

    Times are topside's RAW, in ns, and never decrease.
    """

    def __init__(self) -> None:
        self._sent_ns: dict[str, int] = {}  # both in the order of their times
        self._waiting_until_ns: dict[str, int] = {}

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
        self._waiting_until_ns.pop(vehicle, None)

    def wait(self, vehicle: str, now_ns: int) -> None:
        """Have `vehicle` named by `released` once its result may go out."""
        self._waiting_until_ns.setdefault(vehicle, now_ns + PATIENCE_NS)

    def holds(self, vehicle: str) -> bool:
        """Whether `vehicle` waits to be named."""
        return vehicle in self._waiting_until_ns

    @property
    def due_ns(self) -> int | None:
        """When `released` has something to name at the latest; None while nobody waits."""
        return next(iter(self._waiting_until_ns.values()), None)

    def released(self, now_ns: int) -> list[str]:
        """The vehicles whose results may go out now; each is named once."""
        self._sent_ns = {v: at for v, at in self._sent_ns.items() if now_ns - at < PATIENCE_NS}
        free = [v for v, until in self._waiting_until_ns.items() if not self._sent_ns or until <= now_ns]
        for vehicle in free:
            del self._waiting_until_ns[vehicle]
        return free
