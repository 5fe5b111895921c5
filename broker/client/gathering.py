"""How long to let messages gather before the next read, pure: reading many at once costs less.

A broker sends so many messages at QoS 1, and then waits for acknowledgements: ten (RabbitMQ, HiveMQ), twenty
(mosquitto), or by its configuration only one. It must not be made to wait.
"""

from __future__ import annotations

_FEW = 10
"""The least number that a known broker sends without acknowledgement, unless configured otherwise."""
_EQUAL = 5
"""After so many rounds that brought the same number, the broker may be waiting for acknowledgements."""
_HURRY_S = 10.0


class Gathering:
    """Decides after each read."""

    def __init__(self, pause_s: float) -> None:
        """Wait `pause_s` where the broker is not kept waiting; 0: never."""
        self._pause_s = pause_s
        self._acknowledged = 0
        self._last = 0
        self._equal = 0
        self._hurried_until_s = 0.0

    def pause_s(self, acknowledged: int, now_s: float) -> float:
        """Seconds to wait before the next read; `acknowledged` counts messages at QoS 1 since the start."""
        brought, self._acknowledged = acknowledged - self._acknowledged, acknowledged
        if not self._pause_s or brought >= _FEW or now_s < self._hurried_until_s:
            return 0.0
        self._equal = self._equal + 1 if brought and brought == self._last else 0
        self._last = brought
        if self._equal >= _EQUAL:
            self._equal, self._hurried_until_s = 0, now_s + _HURRY_S
            return 0.0
        return self._pause_s
