"""The order in which a large fleet is listed, pure: what needs a look first, what is well last.

`tidesync/dashboard/page/survey.js` orders its rows likewise.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from schemas.doubtful import is_doubtful

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tidesync.fleet.vehicle import Row


class Rank(IntEnum):
    """How a row stands; the smallest is listed first."""

    IN_DOUBT = 0
    UNSYNCED = 1
    STALE = 2
    OLD = 3
    UNMEASURED = 4
    HOLDOVER = 5
    ACQUIRING = 6
    OTHER = 7
    """A state of a later version."""
    CONDITIONAL = 8
    OFFLINE = 9
    """Never measured, and its agent is offline."""
    LOCKED = 10
    REPLACED = 11
    """An old result of a vehicle that another topside measures now."""


_OF_STATE = {
    "unsynced": Rank.UNSYNCED,
    "stale": Rank.STALE,
    "holdover": Rank.HOLDOVER,
    "acquiring": Rank.ACQUIRING,
    "locked": Rank.LOCKED,
}


def measured(rows: Sequence[Row]) -> set[str]:
    """The vehicles of which some topside has a fresh result."""
    return {row.vehicle for row in rows if row.fresh}


def rank(row: Row, measured_now: Collection[str] = ()) -> Rank:
    """How `row` stands; `measured_now` as `measured` returns it."""
    result = row.result
    if result is None:
        return Rank.OFFLINE if row.status == "offline" else Rank.UNMEASURED
    if not row.fresh:
        return Rank.REPLACED if row.vehicle in measured_now else Rank.OLD
    if is_doubtful(result.error):
        return Rank.IN_DOUBT
    if result.state == "locked" and result.conditional:
        return Rank.CONDITIONAL
    return _OF_STATE.get(result.state, Rank.OTHER)


def worst_first(rows: Sequence[Row]) -> list[Row]:
    """`rows`, those that stand worst first; else in the order that they have."""
    now = measured(rows)
    return sorted(rows, key=lambda row: rank(row, now))
