"""Whether another process uses this topside's name, pure: judged by what is heard on its own topics."""

from __future__ import annotations

REMEMBER_NS = 3_000_000_000
"""A namesake counts as alive for this long after it was last heard, or for 2.5 of its intervals if longer."""
_MISSED = 2.5
_MOST_TOPICS = 10_000
"""Ours have as many vehicles; names come from the network, so they are bounded."""


class Namesakes:
    """Tells a living namesake from this topside's own past.

    A live message of another process on a topic of ours shows that one is alive. A retained one may be what
    an earlier process of this topside left: it counts only where our own message stood before, so that the
    other was published after it. Assumes that a process ends before its successor subscribes; messages of it
    that come later (over a slow link) count as a namesake's until `REMEMBER_NS` after the last.
    """

    def __init__(self, instance_id: str | None) -> None:
        """`instance_id` is of this process; None where nothing is published."""
        self.instance_id = instance_id
        self.other: str | None = None
        """The instance id of the namesake heard last; None also for one that states none."""
        self._ours: set[str] = set()
        """The topics on which our own message was the last that was heard."""
        self._until_ns = 0

    def heard(
        self,
        topic: str,
        instance_id: str | None,
        now_raw_ns: int,
        *,
        retained: bool,
        interval_s: float | None = None,
    ) -> None:
        """Take a message of process `instance_id` on a topic of ours; its next is due in `interval_s`."""
        if instance_id == self.instance_id:
            self.echoed(topic)
            return
        replaced = topic in self._ours
        self._ours.discard(topic)
        if retained and not replaced:
            return
        lasts_ns = max(REMEMBER_NS, round(_MISSED * (interval_s or 0.0) * 1e9))
        self.other, self._until_ns = instance_id, max(self._until_ns, now_raw_ns + lasts_ns)

    def echoed(self, topic: str) -> None:
        """A message of this process came back."""
        if len(self._ours) < _MOST_TOPICS:
            self._ours.add(topic)

    def alive(self, now_raw_ns: int) -> bool:
        """Whether another process of this name is alive, at topside's RAW `now_raw_ns`."""
        return now_raw_ns < self._until_ns
