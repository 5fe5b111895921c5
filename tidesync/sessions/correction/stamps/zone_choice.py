"""The zone of times that state none: by the option, the column's name, the metadata, the session's times.

They are read as UTC without a statement only if no other zone (−12:00 to +14:00, in quarters of an hour)
puts as many of them within the session, and at least half of those less than a day away lie within it.
Assumption: the recording lies in the session for the most part. The summary says that it is assumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tidesync.sessions.correction.stamps.options import UndecidedError
from tidesync.sessions.correction.stamps.session_span import (
    QUARTERS,
    best_shift,
    fitting_zones,
    hours_away,
    zone_name,
)
from tidesync.sessions.correction.stamps.zones import ACCEPTED, UTC_ZONE, S, zone_of, zone_of_header

if TYPE_CHECKING:
    from tidesync.sessions.correction.stamps.accepted import ColumnContext
    from tidesync.sessions.correction.stamps.candidates import Candidate
    from tidesync.sessions.correction.stamps.zones import Zone
    from topside_agent.estimator.blocks import Integers


_DAY_NS = 86_400 * S
_OPTION = "--zone"


class ZoneChoice(NamedTuple):
    """`zone` of times without one (None: they are malformed), and what a summary says about it."""

    zone: Zone | None
    within: int
    """How many values lie within the session."""
    described: tuple[str, ...] = ()
    summary: tuple[tuple[str, Any], ...] = ()


def choose_zone(best: Candidate, column: ColumnContext) -> ZoneChoice:
    """The choice for a column; UndecidedError where the user has to state it."""
    stated = _stated(column, asked=not best.fixed.all())
    naive = best.at_ns[~best.fixed]
    mostly_fixed = bool(best.count) and 2 * naive.size <= best.count
    if stated is not None and (stated[0] == _OPTION or not mostly_fixed):
        source, zone = stated
        within = int(column.span.within(best.utc_ns(zone)).sum())
        described = (f"read as {zone.name} ({source})",) if naive.size else ()
        used = (zone.name, source) if naive.size else (None, "timestamps")
        return ZoneChoice(zone, within, described, (("zone", used[0]), ("zone_from", used[1])))
    if mostly_fixed or not best.count:
        within = int(column.span.within(best.at_ns[best.fixed]).sum())
        return ZoneChoice(None, within, (), (("zone", None), ("zone_from", "timestamps")))
    _refuse_unless_utc(naive, column)
    within = int(column.span.within(best.at_ns).sum())
    return ZoneChoice(UTC_ZONE, within, ("read as UTC",), (("zone", "UTC"), ("zone_from", "assumed")))


def _stated(column: ColumnContext, *, asked: bool) -> tuple[str, Zone] | None:
    """Where a zone is stated, and which."""
    options = column.options
    if options.stated_zone is not None:
        return _OPTION, options.stated_zone
    try:
        named = zone_of_header(column.name)
    except ValueError as error:
        if not asked:
            return None
        raise UndecidedError(f"{error}: say --zone ({ACCEPTED})") from error
    if named is not None:
        return "column's name", named
    if column.zone is not None:
        try:
            return "metadata", zone_of(column.zone)
        except ValueError as error:
            raise UndecidedError(f"the session's metadata: {error}; or say --zone") from error
    return None


def _refuse_unless_utc(naive: Integers, column: ColumnContext) -> None:
    counts = column.span.by_zone(naive)
    as_utc = int(counts[QUARTERS == 0][0])
    other = np.where(QUARTERS == 0, -1, counts)
    near = int(column.span.near(naive, _DAY_NS).sum())
    if as_utc > other.max() and 2 * as_utc >= near:
        return
    best = best_shift(other)
    if not counts.max():
        reason = f"and none lies within the session in any zone: say --zone ({ACCEPTED})"
    elif not as_utc:
        reason = f"which lie outside the session, {hours_away(best)}: local time? --zone ({ACCEPTED})"
    elif other.max() >= as_utc:
        reason = f"and as many lie within the session if read as {zone_name(best)} as if read as UTC"
        reason += f": say --zone ({ACCEPTED})"
    else:
        reason = f"of which {as_utc} of {near} lie within the session if read as UTC: say --zone ({ACCEPTED})"
    if counts.max():
        reason += f"; {fitting_zones(counts, naive.size)}"
    raise UndecidedError(f"{column.subject} has times without a zone, {reason}")
