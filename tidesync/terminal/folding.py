"""A large fleet in few lines, pure: the first rows of each kind of trouble, and how many more there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tidesync.figures import bound_figure
from tidesync.fleet.order import Rank, measured, rank, worst_first
from tidesync.terminal.text import state_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.fleet.vehicle import Row

MANY = 20
"""Up to so many rows are listed as they are."""
_OF_EACH = 10
"""Rows that are listed of each kind."""


class Folded(NamedTuple):
    """Rows to list, and lines for the others."""

    rows: Sequence[Row]
    lines: Sequence[str]


def folded(rows: Sequence[Row]) -> Folded:
    """The rows of a large fleet that need a look, worst first, ten of each kind; the others counted."""
    if len(rows) <= MANY:
        return Folded(rows, ())
    now = measured(rows)
    kinds: dict[tuple[Rank, str], list[Row]] = {}
    for row in worst_first(rows):
        kinds.setdefault(_kind(row, rank(row, now)), []).append(row)
    listed: list[Row] = []
    lines: list[str] = []
    for (stands, word), same in sorted(kinds.items()):
        if stands is Rank.LOCKED:
            lines.append(_locked(same))
        elif stands is Rank.REPLACED:
            lines.append(f"{len(same)} old results of vehicles that another topside measures now")
        else:
            listed += same[:_OF_EACH]
            if len(same) > _OF_EACH:
                lines.append(f"{len(same) - _OF_EACH} more {word}")
    return Folded(listed, (*lines, "(--all lists each)"))


def _kind(row: Row, stands: Rank) -> tuple[Rank, str]:
    if stands in {Rank.LOCKED, Rank.REPLACED}:
        return stands, ""
    if row.result is None:
        return stands, f"{row.status or 'of unknown status'}, measured by nobody"
    condition = " (conditional)" if stands is Rank.CONDITIONAL else ""
    return stands, f"{state_of(row.result, old=row.old)}{condition}"


def _locked(rows: Sequence[Row]) -> str:
    """Vehicles; what another topside has locked too counts for no second one."""
    used = [row for row in rows if row.in_use]
    bounds = [row.result.max_error_ms for row in used if row.result and row.result.max_error_ms is not None]
    most = f", max error at most {bound_figure(max(bounds), 4)} ms" if bounds else ""
    others = len(rows) - len(used)
    return f"{len(used)} locked{most}" + (f"; {others} more by other topsides, not in use" if others else "")
