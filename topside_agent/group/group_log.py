"""What the log says of a group: who is in it, and which vehicles are handed to whom."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from topside_agent.group.actions import Release

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from topside_agent.group.actions import Action

_log = logging.getLogger(__name__)


class GroupLog:
    """One topside's."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._names: tuple[str, ...] | None = None

    def members(self, present: Iterable[str]) -> None:
        """Log who is there, when that has changed."""
        names = tuple(sorted(present))
        if names != self._names and not (self._names is None and len(names) == 1):
            _log.info("group %s: %s", self._group, ", ".join(names))
        self._names = names

    @staticmethod
    def released(actions: Sequence[Action]) -> None:
        """Log in a line for each topside what is left to it."""
        released: dict[str, list[str]] = {}
        for action in actions:
            if isinstance(action, Release):
                released.setdefault(action.to, []).append(action.vehicle)
        for to, vehicles in released.items():
            more = f" and {len(vehicles) - 10} more" if vehicles[10:] else ""
            _log.info("from now on %s measures %s%s", to, ", ".join(vehicles[:10]), more)
