"""The other topsides of a group as one of them hears them, pure; times are the listener's own RAW, in ns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from schemas.presence import Heartbeat, Member

LIVENESS_NS = 3_000_000_000
"""A topside is there for so long after its last heartbeat."""
SETTLED_NS = 3_500_000_000
"""From then on vehicles are left to one that has come: with what its first heartbeat and result take on their
way that is the hold-down of 5 s."""
_MOST, _MOST_PROCESSES = 1000, 8
"""Names come from the network, so they are bounded; so are processes of one name."""


class Peer(NamedTuple):
    """A topside of the group that is there now."""

    member: Member
    since_ns: int
    """When its present process was heard first, without a silence of `LIVENESS_NS` since."""
    settling: bool = False
    """Whether it says that it has come, or come back, just now."""

    def settled(self, now_ns: int) -> bool:
        """Whether it has been there for long enough to hand vehicles over to it."""
        return now_ns - self.since_ns >= SETTLED_NS


class _Beats(NamedTuple):
    since_ns: int
    heard_ns: int
    settling: bool


class Members:
    """Those of `group` but for `topside`. A member message says who one is, heartbeats that it is there."""

    def __init__(self, group: str, topside: str) -> None:
        self._group, self._topside = group, topside
        self._members: dict[str, Member] = {}
        self._beats: dict[str, dict[str, _Beats]] = {}
        """By topside and process: a second one of a name must not hide the first."""

    def announced(self, member: Member) -> None:
        """A topside says which group it is in."""
        if member.topside != self._topside and (
            member.topside in self._members or len(self._members) < _MOST
        ):
            self._members[member.topside] = member

    def left(self, topside: str) -> None:
        """Its member message was cleared: it has stopped."""
        self._members.pop(topside, None)

    def beat(self, heartbeat: Heartbeat, now_ns: int) -> bool:
        """A heartbeat came; whether it is of a process that was not there just before."""
        name, instance_id = heartbeat.topside, heartbeat.instance_id
        if name == self._topside or (name not in self._beats and len(self._beats) >= _MOST):
            return False
        processes = self._beats.setdefault(name, {})
        known = processes.pop(instance_id, None)
        new = known is None or now_ns - known.heard_ns >= LIVENESS_NS
        since_ns = now_ns if known is None or new else known.since_ns
        processes[instance_id] = _Beats(since_ns, now_ns, bool(heartbeat.settling))
        if len(processes) > _MOST_PROCESSES:
            del processes[next(iter(processes))]  # the one that was silent for longest
        return new

    def present(self, now_ns: int) -> dict[str, Peer]:
        """Those that are there now, by name."""
        found = {}
        for name, member in self._members.items():
            beats = self._beats.get(name, {}).get(member.instance_id)
            if beats and member.group == self._group and now_ns - beats.heard_ns < LIVENESS_NS:
                found[name] = Peer(member, beats.since_ns, beats.settling)
        return found
