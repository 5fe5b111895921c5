"""QoS 1 messages until the broker has taken them, pure: how many are under way, and what goes out again."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from broker.client.packets import again, publish_packet

if TYPE_CHECKING:
    from collections.abc import Callable

MOST = 1000
"""Under way at a time; more wait in line, so that a broker that lags is not buried."""


class InflightQueue:
    """Messages in the order in which they were published; `next_mid` gives the ids that packets bear."""

    def __init__(self, next_mid: Callable[[], int]) -> None:
        self._next_mid = next_mid
        self._under_way: dict[int, bytes] = {}
        self._waiting: deque[tuple[bytes, bytes, bool]] = deque()

    def __len__(self) -> int:
        """How many the broker has not taken."""
        return len(self._under_way) + len(self._waiting)

    def add(self, topic: bytes, payload: bytes, *, retain: bool) -> bytes | None:
        """Keep a message; its packet, if that is to be sent now."""
        if len(self._under_way) >= MOST:
            self._waiting.append((topic, payload, retain))
            return None
        return self._begin(topic, payload, retain=retain)

    def taken(self, mid: int) -> bytes | None:
        """The broker has taken `mid`; the packet that is to be sent now in its stead, if one waits."""
        if self._under_way.pop(mid, None) is None or not self._waiting:
            return None
        topic, payload, retain = self._waiting.popleft()
        return self._begin(topic, payload, retain=retain)

    def again(self) -> list[bytes]:
        """What was under way when a connection ended, to be sent first over the next one."""
        return [again(packet) for packet in self._under_way.values()]

    def _begin(self, topic: bytes, payload: bytes, *, retain: bool) -> bytes:
        mid = self._next_mid()
        while mid in self._under_way:
            mid = self._next_mid()
        packet = self._under_way[mid] = publish_packet(topic, payload, retain=retain, mid=mid)
        return packet
