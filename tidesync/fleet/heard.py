"""What letters are worth, pure: whether their names are their topic's, and how long an `online` holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.messages import OffsetResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from broker.inbox import Letter

ANNOUNCED_FOR_NS = 150_000_000_000
"""Agents repeat it once a minute. Nobody withdraws that of a vessel whose broker is gone too."""


class Announced:
    """The vehicles that have said `online`, and when they last did, on this computer's RAW."""

    def __init__(self) -> None:
        self._heard_ns: dict[str, int] = {}

    def heard(self, vehicle: str, status: str, at_ns: int) -> None:
        """A status of `vehicle`."""
        self._heard_ns.pop(vehicle, None)
        if status == "online":
            self._heard_ns[vehicle] = at_ns

    def silent(self, now_ns: int) -> Iterator[str]:
        """Those that have not said so for too long, each once."""
        while self._heard_ns:
            vehicle = next(iter(self._heard_ns))
            if now_ns - self._heard_ns[vehicle] <= ANNOUNCED_FOR_NS:
                return
            del self._heard_ns[vehicle]
            yield vehicle


def mismatched(letter: Letter) -> bool:
    """Whether the names in a letter are not those of its topic."""
    topic, body = letter.topic, letter.body
    if isinstance(body, OffsetResult):  # most letters are results
        return body.vehicle != topic.vehicle or body.topside != topic.topside
    levels = ("vehicle", "topside", "session")
    named = {level: getattr(body, level) for level in levels if hasattr(body, level)}
    return any(name != getattr(topic, level) for level, name in named.items())
