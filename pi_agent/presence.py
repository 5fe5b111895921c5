"""When the agent must say again that it lives: after somebody denied it, and when a namesake speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from schemas.messages import Info

Announcement = Literal["status", "info"]

STATUS_PAUSE_NS = 3_000_000_000
"""Between two `online` that answer an `offline`: two namesakes must not shout each other down."""
NAMESAKE_PAUSE_NS = 60_000_000_000
"""Between two answers to a namesake's info, and two warnings about it."""


class Presence:
    """Decides what to announce again, from what is heard on the vehicle's own topics.

    Two live agents of one name each answer the other's info with their own, once a minute, and so keep
    knowing of each other. What the broker had retained is no sign of life: it may be a predecessor's. So is
    no `started_at`: a Pi without a battery clock does not know when it started.
    """

    def __init__(self, instance_id: str) -> None:
        self._instance_id = instance_id
        self._said_at_ns: dict[Announcement, int] = {}
        self._due_at_ns: dict[Announcement, int] = {}
        self._warned_at_ns: int | None = None

    def announced(self, what: Announcement, now_ns: int) -> None:
        """Note that `what` was published at RAW `now_ns`."""
        self._said_at_ns[what] = now_ns
        self._due_at_ns.pop(what, None)

    def due(self, now_ns: int) -> list[Announcement]:
        """What to publish again at RAW `now_ns`."""
        return [what for what, due_ns in self._due_at_ns.items() if due_ns <= now_ns]

    def heard_status(self, word: str, now_ns: int) -> None:
        """Take in a live status: a namesake's goodbye, or the will of a connection of ours that broke."""
        if word == "offline":
            self._schedule("status", now_ns, STATUS_PAUSE_NS)

    def heard_info(self, info: Info, now_ns: int) -> bool:
        """Take in a live info; whether it is a namesake's to warn of now."""
        if info.instance_id == self._instance_id:
            return False
        self._schedule("info", now_ns, NAMESAKE_PAUSE_NS)
        if self._warned_at_ns is not None and now_ns - self._warned_at_ns < NAMESAKE_PAUSE_NS:
            return False
        self._warned_at_ns = now_ns
        return True

    def _schedule(self, what: Announcement, now_ns: int, pause_ns: int) -> None:
        said_ns = self._said_at_ns.get(what)
        self._due_at_ns.setdefault(what, now_ns if said_ns is None else max(now_ns, said_ns + pause_ns))
