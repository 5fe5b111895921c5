"""The topsides of a fleet, pure and bounded: the status of each, and the group that it is in."""

from __future__ import annotations


class Topsides:
    """Their names come from the network: of each kind at most `most` are kept, the newest."""

    def __init__(self, most: int) -> None:
        self.statuses: dict[str, str] = {}
        self._groups: dict[str, str] = {}
        self._most = most

    def status(self, topside: str, status: str) -> bool:
        """Note a status; whether it is another one."""
        return self._note(self.statuses, topside, status)

    def group(self, topside: str, group: str | None) -> bool:
        """Note a group, None for none; whether it is another one."""
        return self._note(self._groups, topside, group)

    def group_of(self, topside: str | None) -> str | None:
        """The group that it shares vehicles in, if any."""
        return self._groups.get(topside or "")

    def _note(self, known: dict[str, str], topside: str, value: str | None) -> bool:
        before = known.pop(topside, None)
        if value is not None:
            while len(known) >= self._most:
                del known[next(iter(known))]
            known[topside] = value
        return before != value
