"""When the vehicle's clock was measured, as evidence for how a column is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.stamps.zones import QUARTER_NS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Integers

QUARTERS = np.arange(-48, 57)
"""The distances from UTC that a zone may have, in quarters of an hour: −12:00 to +14:00."""
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class SessionSpan:
    """The Pi times that were measured: intervals [first, last] in ns that do not overlap, at least one."""

    first_ns: Integers
    last_ns: Integers

    @classmethod
    def of(cls, measured: Iterable[tuple[int, int]]) -> SessionSpan:
        """Of segments, whose Pi times may repeat."""
        merged: list[list[int]] = []
        for first, last in sorted((min(each), max(each)) for each in measured):
            if merged and first <= merged[-1][1]:
                merged[-1][1] = max(merged[-1][1], last)
            else:
                merged.append([first, last])
        first_ns, last_ns = np.array(merged, dtype=np.int64).T
        return cls(first_ns, last_ns)

    @property
    def middle_ns(self) -> int:
        """A measured Pi time."""
        middle = self.first_ns.size // 2
        return int((self.first_ns[middle] + self.last_ns[middle]) // 2)

    def within(self, at_ns: Integers) -> Flags:
        """Which of `at_ns` lie within it."""
        place = np.searchsorted(self.first_ns, at_ns, side="right") - 1
        held: Flags = (place >= 0) & (at_ns <= self.last_ns[np.maximum(place, 0)])
        return held

    def near(self, at_ns: Integers, apart_ns: int) -> Flags:
        """Which of `at_ns` lie between its beginning and its end, or `apart_ns` beyond."""
        found: Flags = (at_ns >= self.first_ns[0] - apart_ns) & (at_ns <= self.last_ns[-1] + apart_ns)
        return found

    def by_zone(self, local_ns: Integers) -> Integers:
        """How many local times lie within it for each distance from UTC in QUARTERS."""
        return np.array([int(self.within(local_ns - each * QUARTER_NS).sum()) for each in QUARTERS.tolist()])


def zone_name(quarter: int) -> str:
    """`UTC+01:00` for 4, `UTC` for 0."""
    if not quarter:
        return "UTC"
    hours, rest = divmod(abs(quarter), 4)
    return f"UTC{'-' if quarter < 0 else '+'}{hours:02d}:{15 * rest:02d}"


def best_shift(counts: Integers) -> int:
    """The distance from UTC (in quarters) that puts most within; of equal ones a whole hour, near UTC."""
    best = QUARTERS[counts == counts.max()].tolist()
    return int(min(best, key=lambda quarter: (quarter % 4 != 0, abs(quarter))))


def hours_away(quarter: int) -> str:
    """`10 h away`, `5 h 30 min away`."""
    hours, rest = divmod(abs(quarter), 4)
    parts = [f"{hours} h"] * bool(hours) + [f"{15 * rest} min"] * bool(rest)
    return " ".join(parts) + " away"


def fitting_zones(counts: Integers, values: int) -> str:
    """A suggestion: the zones that put most of so many `values` within, whole hours and those near UTC first.

    `all of its times would lie in the session if they were UTC+10:00 (--zone +10:00)`
    """
    most = int(counts.max())
    best = sorted(QUARTERS[counts == most].tolist(), key=lambda quarter: (quarter % 4 != 0, abs(quarter)))
    whole = [quarter for quarter in best if quarter % 4 == 0] or best
    names = [zone_name(quarter) for quarter in whole[:_SHOWN]]
    others = f" (or {len(best) - len(names)} more)" if len(best) > len(names) else ""
    share = "all" if most == values else f"{most} of {values}"
    stated = ", ".join(name.removeprefix("UTC") or name for name in names)
    fit = f"{share} of its times would lie in the session if they were {', '.join(names)}{others}"
    return f"{fit} (--zone {stated})"
