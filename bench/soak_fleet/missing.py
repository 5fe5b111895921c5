"""Exchanges that were heard in the session and are not recorded, and which of them are known to be lost.

What counts is when they were heard: a topside's own clock is a simulated one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.soak_fleet.observer import identity, pid_of
from schemas.events import Gap
from tidesync.sessions.journal import Journal

if TYPE_CHECKING:
    from bench.soak_fleet.fleet import Fleet
    from bench.soak_fleet.observer import Identity
    from schemas.exchange import Exchange


class Missing(NamedTuple):
    """A topside that was killed takes with it what recorder and broker did not have: that must be named."""

    named: list[Identity]
    """In a `gap` event, and of a process that has ended."""
    unnamed: list[Identity]


def missing_in(fleet: Fleet, window_s: tuple[float, float]) -> Missing:
    """Of all that was heard within `window_s` of `time.monotonic()`."""
    journal = fleet.recorded.read_exchanges() or Journal()
    there = {identity(exchange) for exchange in journal.exchanges}
    gaps = [event for event in fleet.recorded.read_events() if isinstance(event, Gap)]
    heard, found = fleet.observer.heard, Missing([], [])
    for key, exchange in heard.exchanges.copy().items():  # more are heard meanwhile
        if key not in there and window_s[0] <= heard.at_s[key] <= window_s[1]:
            named = any(_covers(gap, exchange) for gap in gaps)
            excused = named and fleet.has_ended(pid_of(exchange.instance_id or ""))
            (found.named if excused else found.unnamed).append(key)
    return found


def _covers(gap: Gap, exchange: Exchange) -> bool:
    same = (gap.vehicle, gap.topside, gap.instance_id) == (
        exchange.vehicle,
        exchange.topside,
        exchange.instance_id,
    )
    return same and gap.from_seq <= exchange.seq <= gap.to_seq
