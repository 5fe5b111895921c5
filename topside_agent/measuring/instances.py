"""Which of the processes that answer to one vehicle's name is measured, and when two did, pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.base import LATEST_NS
from schemas.duplicate_span import MAX_BOOTS, MAX_DUPLICATES, DuplicateSpan
from schemas.instants import utc_from_ns

if TYPE_CHECKING:
    from datetime import datetime

    from runtime.clock import Reading

QUIET_NS = 1_000_000_000
"""A process that has not answered for this long has ended: four pings at the default rate."""

REMEMBER_NS, REMEMBER_PINGS = 3_000_000_000, 4
"""Two processes are reported for this long after both were last heard, and for so many pings at least."""

JOIN_NS = 10_000_000_000
"""Two that are heard again within this time were there all along."""


class Instances:
    """Admits the pongs of one process at a time: tells a restart from two vehicles with one name.

    A second process takes over when the first has fallen silent (a restart). While both answer, the first
    stays and the name is `duplicated`: the two clocks must never be averaged. When both answered is dated by
    the readings of topside's clocks at which they were heard.
    """

    def __init__(self, interval_ns: int) -> None:
        """`interval_ns`: between pings."""
        self.pinged_every(interval_ns)
        self.incumbent: str | None = None
        """The process that is admitted."""
        self._incumbent_heard_ns = 0
        self._boots: tuple[str, ...] = ()
        """Of the admitted process, and of those that have answered since it last did."""
        self._replaced: str | None = None
        """The process that had fallen silent: if it answers again, it had not ended."""
        self._taken: Reading | None = None
        """When the admitted process took its place."""
        self._other: Reading | None = None
        """When another process answered first since the admitted one last did."""
        self._spans: list[DuplicateSpan] = []

    def pinged_every(self, interval_ns: int) -> None:
        """Pings come so far apart from now on."""
        self._remember_ns = max(REMEMBER_NS, REMEMBER_PINGS * interval_ns)

    @property
    def undecided(self) -> bool:
        """Whether another process has answered since the admitted one last did."""
        return self._other is not None

    def admit(self, instance_id: str, now: Reading, boot_id: str) -> bool:
        """Whether a pong of process `instance_id` on `boot_id`, arriving at topside's `now`, may be used."""
        self._boots = _some(*self._boots, boot_id)
        if instance_id == self._replaced and self._taken:
            self._overlapped(self._taken, now)
        if self.incumbent in {None, instance_id}:
            if self._other:
                self._overlapped(self._other, now)
            self._take(instance_id, now, boot_id)
            return True
        if now.raw_ns - self._incumbent_heard_ns >= QUIET_NS:
            self._replaced, self._taken = self.incumbent, now
            self._take(instance_id, now, boot_id)
            return True
        self._other = self._other or now
        return False

    def duplicated(self, now_raw_ns: int) -> bool:
        """Whether two live processes answer to this name."""
        return bool(self._spans) and now_raw_ns - self._spans[-1].until_raw_ns < self._remember_ns

    def spans(self, now_raw_ns: int) -> tuple[DuplicateSpan, ...]:
        """When two processes answered, oldest first; each has ended but for the last, if it lasts."""
        if self.duplicated(now_raw_ns):
            return tuple(self._spans)
        return tuple(span.model_copy(update={"ended": True}) for span in self._spans)

    def _take(self, instance_id: str, now: Reading, boot_id: str) -> None:
        self.incumbent, self._boots = instance_id, (boot_id,)
        self._incumbent_heard_ns = now.raw_ns
        self._other = None

    def _overlapped(self, one: Reading, other: Reading) -> None:
        """Both were there from one reading to the other; arrivals are not always handled in their order."""
        first, last = sorted((one, other))
        span = DuplicateSpan(
            at=_utc(first),
            at_raw_ns=first.raw_ns,
            until=_utc(last),
            until_raw_ns=last.raw_ns,
            boot_ids=self._boots,
        )
        if self._spans and first.raw_ns - self._spans[-1].until_raw_ns <= JOIN_NS:
            span = _joined(self._spans.pop(), span)
        elif self._spans:
            self._spans[-1] = self._spans[-1].model_copy(update={"ended": True})
        self._spans.append(span)
        if len(self._spans) > MAX_DUPLICATES:
            self._spans[:2] = [_joined(*self._spans[:2])]


def _utc(reading: Reading) -> datetime:
    return utc_from_ns(min(max(0, reading.realtime_ns), LATEST_NS - 1))


def _joined(one: DuplicateSpan, other: DuplicateSpan) -> DuplicateSpan:
    """From the beginning of the earlier of both to the end of the later."""
    first = min(one, other, key=lambda span: span.at_raw_ns)
    last = max(one, other, key=lambda span: span.until_raw_ns)
    boot_ids = _some(*one.boot_ids, *other.boot_ids)
    return last.model_copy(update={"at": first.at, "at_raw_ns": first.at_raw_ns, "boot_ids": boot_ids})


def _some(*boot_ids: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(boot_ids))[:MAX_BOOTS]
