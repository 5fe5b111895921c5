"""When `sync_metadata.json` is to be written, pure: when it matters, and otherwise every half minute.

With many vehicles the file is large, so what changes of a vehicle that is no sensor's waits a little there.
Each value in the file carries the instant that it is of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from runtime.clock import Reading

_VEHICLE_NS = 60_000_000
"""A vehicle's part of the file is a kilobyte: the file of a thousand vehicles is written once a minute."""


class MetadataDue:
    """`every_s`: how often an unchanged session is written. Instants are the recorder's RAW."""

    def __init__(self, every_s: float) -> None:
        self._every_ns = round(every_s * 1e9)
        self._urgent: Hashable = None
        self._others: Hashable = None
        self._written_ns: int | None = None

    def due(self, urgent: Hashable, others: Hashable, vehicles: int, now: Reading) -> bool:
        """Whether to write now: `urgent` has changed, `others` has and there was time, or it is time."""
        if self._written_ns is None or urgent != self._urgent:
            return True
        since_ns = now.raw_ns - self._written_ns
        least_ns = vehicles * _VEHICLE_NS
        return since_ns >= max(least_ns, self._every_ns) or (others != self._others and since_ns >= least_ns)

    def note_written(self, urgent: Hashable, others: Hashable, now: Reading) -> None:
        """It is being written as it is now."""
        self._urgent, self._others, self._written_ns = urgent, others, now.raw_ns
