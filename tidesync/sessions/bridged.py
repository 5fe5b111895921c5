"""Exchanges without the Pi's RAW clock (those over HTTP) that lie between others of its boot which have it.

Where the readings of realtime − RAW before and after them agree with a clock that rests or keeps its rate
(correction/unexplained.py), the difference between them lies on the chord, within what the readings cannot
tell apart. So such exchanges belong to the RAW clocks too, and a change of transport interrupts nothing.
Where the readings disagree the clock was moved, and nobody knows when.

Assumption: between two readings that agree nothing moved and came back. Broken by a clock that was slewed or
set there and back meanwhile; only a clock history shows that.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.unexplained import changes
from topside_agent.estimator import Exchanges

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from schemas.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Bridged:
    """`exchanges` in the order given, with the Pi's realtime − RAW filled in where it is known.

    `moved` has the `destination_ns` of those between readings that disagree.
    """

    exchanges: Exchanges
    moved: frozenset[int]


def bridged(exchanges: Sequence[Exchange]) -> Bridged:
    """The exchanges of one vehicle and topside, which are `in_order`."""
    columns = Exchanges.of(exchanges)
    if columns.known("pi_realtime_minus_raw_ns").all():
        return Bridged(columns, frozenset())
    made, moved = list(columns), set()
    for readings in _boots(made):
        free, within_ns = _explained(made, readings)
        for index, (before, after) in enumerate(pairwise(readings)):
            for place in range(before + 1, after):
                if made[place].pi_realtime_minus_raw_ns is not None:
                    continue
                filled = _filled(made[place], made[before], made[after], within_ns[index])
                if free[index] and filled is not None:
                    made[place] = filled
                else:
                    moved.add(made[place].destination_ns)
    return Bridged(Exchanges.of(made), frozenset(moved))


def _boots(exchanges: Sequence[Exchange]) -> Iterator[list[int]]:
    """Of each boot the places of the exchanges that read realtime − RAW, while the Pi's RAW rises.

    Only boots between whose readings others lie that have none.
    """
    places: list[int] = []
    newest, among, boot = -1, 0, None
    for place, exchange in enumerate(exchanges):
        if exchange.pi_realtime_minus_raw_ns is None:
            among += 1
            continue
        raw_ns = _raw_ns(exchange)
        if exchange.boot_id != boot:
            if among and len(places) > 1:
                yield places
            places, newest, among, boot = [], -1, 0, exchange.boot_id
        if raw_ns > newest:
            places.append(place)
            newest = raw_ns
    if among and len(places) > 1:
        yield places


def _raw_ns(exchange: Exchange) -> int:
    return exchange.transmit_ns - (exchange.pi_realtime_minus_raw_ns or 0)


def _explained(exchanges: Sequence[Exchange], places: Sequence[int]) -> tuple[list[bool], list[float]]:
    """Whether each change between two readings is explained, and within what (ns)."""
    read = [exchanges[place] for place in places]
    at = np.array([_raw_ns(each) for each in read], dtype=np.int64)
    difference = np.array([each.pi_realtime_minus_raw_ns for each in read], dtype=np.int64)
    resolution = np.array([each.resolution_ns for each in read], dtype=np.float64)
    relative = (difference - difference[0]).astype(np.float64)
    _, within_ns, free = changes((at - at[0]) * 1e-9, relative, resolution)
    return free.tolist(), within_ns.tolist()


def _filled(exchange: Exchange, before: Exchange, after: Exchange, within_ns: float) -> Exchange | None:
    """`exchange` with the difference on the chord; None if the Pi's clock did not show it between the two."""
    whole_ns = after.transmit_ns - before.transmit_ns
    since_ns = exchange.transmit_ns - before.transmit_ns
    first_ns, last_ns = before.pi_realtime_minus_raw_ns, after.pi_realtime_minus_raw_ns
    if first_ns is None or last_ns is None or not 0 <= since_ns <= whole_ns:
        return None
    return exchange.model_copy(
        update={
            "boot_id": before.boot_id,
            "pi_realtime_minus_raw_ns": first_ns + (last_ns - first_ns) * since_ns // max(whole_ns, 1),
            "resolution_ns": exchange.resolution_ns + ceil(within_ns),
        }
    )
