"""Which process answers to a vehicle's name, pure: tells a restart from two vehicles with one name."""

from __future__ import annotations

QUIET_NS = 1_000_000_000
"""A process that has not answered for this long has ended: four pings at the default rate."""

REMEMBER_NS = 10_000_000_000
"""Two processes are reported for this long after both were last heard."""


class Instances:
    """Admits one process's pongs at a time.

    A second one takes over when the first has fallen silent (a restart). While both answer, the first stays
    and the name is `duplicated`: the two clocks must never be averaged.
    """

    def __init__(self) -> None:
        self._incumbent: str | None = None
        self._incumbent_heard_ns = 0
        self._other_heard_ns: int | None = None
        self._both_heard_ns: int | None = None

    @property
    def undecided(self) -> bool:
        """Whether another process has answered since the one that is admitted last did."""
        return self._other_heard_ns is not None

    def admit(self, instance_id: str, now_raw_ns: int) -> bool:
        """Whether a pong of `instance_id`, arriving at topside's RAW `now_raw_ns`, may be used."""
        if self._incumbent in {None, instance_id}:
            if self._other_heard_ns is not None:
                self._both_heard_ns = now_raw_ns
            self._take(instance_id, now_raw_ns)
            return True
        if now_raw_ns - self._incumbent_heard_ns >= QUIET_NS:
            self._take(instance_id, now_raw_ns)
            return True
        self._other_heard_ns = now_raw_ns
        return False

    def duplicated(self, now_raw_ns: int) -> bool:
        """Whether two live processes answer to this name."""
        return self._both_heard_ns is not None and now_raw_ns - self._both_heard_ns < REMEMBER_NS

    def _take(self, instance_id: str, now_raw_ns: int) -> None:
        self._incumbent = instance_id
        self._incumbent_heard_ns = now_raw_ns
        self._other_heard_ns = None
