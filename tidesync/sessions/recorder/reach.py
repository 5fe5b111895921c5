"""Which topsides are out of reach, pure, and until when a stop awaits what they measured meanwhile."""

from __future__ import annotations

AWAY_NS = 20_000_000_000
"""So long after who was away has gone or come back what it has is awaited: its network may come back, or
queue what was sent for longer than the connection takes."""
_MOST = 10_000
"""Names come from the network; a flood of them must not fill the memory."""


class Reach:
    """Of one recorder; instants are its RAW. A topside's status is a hint: it may be late, or missing."""

    def __init__(self, now_ns: int) -> None:
        self._lost_ns: int | None = now_ns
        """Since when there has been no broker; None: there is one."""
        self._back_ns = now_ns
        """When there was one again."""
        self._topsides: dict[str, tuple[bool, int]] = {}
        """Whether each is online, and since when that is known."""

    def note_connected(self, now_ns: int) -> None:
        """The broker is there; what was sent before may have to be asked for."""
        self._lost_ns, self._back_ns = None, now_ns

    def note_disconnected(self, now_ns: int) -> None:
        """The broker is away, and every topside with it."""
        if self._lost_ns is None:
            self._lost_ns = now_ns

    def note_status(self, topside: str, now_ns: int, *, online: bool) -> bool:
        """Keep a topside's status, which is repeated; returns whether it is back."""
        was_online, since_ns = self._topsides.get(topside, (True, 0))
        if topside in self._topsides or len(self._topsides) < _MOST:
            self._topsides[topside] = online, since_ns if online is was_online else now_ns
        return online and not was_online

    def is_online(self, topside: str) -> bool:
        """Whether its status does not say otherwise."""
        return self._topsides.get(topside, (True, 0))[0]

    @property
    def online(self) -> list[str]:
        """Those whose status says so."""
        return [topside for topside, (online, _) in self._topsides.items() if online]

    def is_away(self, topside: str) -> bool:
        """Whether nothing can come of it now."""
        return self._lost_ns is not None or not self.is_online(topside)

    def awaited_until_ns(self, topside: str, heard_ns: int) -> int:
        """Until when a topside may have something of which nothing is known; 0: it has nothing.

        `heard_ns`: when something new of it was heard last.
        """
        online, since_ns = self._topsides.get(topside, (True, 0))
        if self._lost_ns is not None:
            return self._lost_ns + AWAY_NS
        back_ns = max(self._back_ns, since_ns)
        return back_ns + AWAY_NS if heard_ns < back_ns or not online else 0
