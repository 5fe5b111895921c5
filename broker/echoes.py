"""Whether what a client publishes comes back to it where it subscribes to that very topic; no sockets.

A broker need not say that it drops a message: mosquitto with an `acl_file` grants every subscription and
acknowledges every message, allowed or not (MQTT 3.1.1 has no word for a refused PUBLISH). But a client that
is granted the topic it publishes to is sent its own messages.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

WAIT_NS = 5_000_000_000
"""After it was published and the subscription granted: a broker that lets both pass sends it at once."""
_LAST = 5


class Echoes:
    """Of the present connection. Other threads may read `missing`."""

    def __init__(self) -> None:
        self.missing: tuple[str, ...] = ()
        """Topics of which nothing came back: this account may not write them, or not read them."""
        self.last: deque[str] = deque(maxlen=_LAST)
        """The topics published last."""
        self._unproved: dict[str, int | None] = {}
        """Topics asked for, of which nothing has come back, and when they were granted."""
        self._awaited: dict[str, int] = {}
        """Those of them that were published to, and when first."""

    def begin(self) -> None:
        """A new connection."""
        self.missing = ()
        self.last.clear()
        self._unproved.clear()
        self._awaited.clear()

    def asked(self, filters: Iterable[tuple[str, int]]) -> None:
        """These were asked for."""
        self._unproved |= {name: None for name, _ in filters if "+" not in name and "#" not in name}

    def answered(self, granted: Mapping[str, bool], now_raw_ns: int) -> None:
        """Whether each filter was granted: of the others nothing comes back."""
        for name, is_granted in granted.items():
            if name in self._unproved and is_granted:
                self._unproved[name] = now_raw_ns
            else:
                self._forget(name)

    def published(self, topics: Sequence[str], now_raw_ns: int) -> None:
        """Messages were sent."""
        self.last.extend(topics)
        for topic in topics if self._unproved else ():
            if topic in self._unproved:
                self._awaited.setdefault(topic, now_raw_ns)

    def heard(self, topic: str, *, retained: bool) -> None:
        """A message came; one that is retained may be old, and proves nothing."""
        if topic in self._unproved and not retained:
            self._forget(topic)

    def overdue(self, now_raw_ns: int) -> bool:
        """Whether one more is missing now."""
        missing = tuple(name for name in self._awaited if self._is_overdue(name, now_raw_ns))
        more = len(missing) > len(self.missing)
        self.missing = missing
        return more

    def _is_overdue(self, name: str, now_raw_ns: int) -> bool:
        granted_ns = self._unproved[name]
        return granted_ns is not None and now_raw_ns - max(granted_ns, self._awaited[name]) > WAIT_NS

    def _forget(self, name: str) -> None:
        self._unproved.pop(name, None)
        self._awaited.pop(name, None)
        self.missing = tuple(each for each in self.missing if each != name)
