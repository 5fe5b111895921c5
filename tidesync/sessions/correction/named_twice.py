"""When two vehicles answered to one name, pure: rows of that time may have been stamped by either's clock.

A topside goes on with the one that it measured first, and takes the other when that falls silent. So a boot
that was not heard before may be the other vehicle's, then and later, until one that was heard before answers
again.

Assumptions: the recorder's clock, by which it is dated, is within `MARGIN_NS` of topside's (where no exchange
is of that time it is not, and all is in doubt); no vehicle stamped the table while it was not connected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from schemas.instants import iso_from_ns, ns_from_utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from schemas.events import Duplicate
    from schemas.exchange import Exchange
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Integers

MARGIN_NS = 10_000_000_000
"""Both ends are reported by topside and dated by the recorder with some seconds of delay."""
_PINGS = 4
"""So many may pass until topside has noticed that both answer."""
ENDLESS = 2**62
_ALWAYS = (-ENDLESS, ENDLESS)

Span = tuple[int, int]
"""The first and the last instant on topside's clock, Unix ns."""


def spans_of(events: Iterable[Duplicate]) -> list[Span]:
    """When two vehicles answered; ENDLESS where no end was written, since the recorder was killed."""
    ends: dict[int, int] = {}
    for event in events:
        at_ns = ns_from_utc(event.at)
        ends[at_ns] = max(ends.get(at_ns, 0), ns_from_utc(event.until))
    return [(at, ENDLESS if until == at else until) for at, until in sorted(ends.items())]


def doubtful(spans: Iterable[Span], exchanges: Sequence[Exchange]) -> list[Span]:
    """When topside's instants of the vehicle may be of another one's rows; `exchanges` in their order."""
    destinations = np.array([each.destination_ns for each in exchanges], dtype=np.int64)
    return [part for span in spans for part in _parts(span, exchanges, destinations)]


def _parts(span: Span, exchanges: Sequence[Exchange], destinations: Integers) -> Iterator[Span]:
    at, until = span
    before = np.flatnonzero(destinations <= at)[-_PINGS:]
    begin = min([at - MARGIN_NS, *destinations[before[:1]].tolist()])
    end = until + MARGIN_NS
    dated = bool(((at - MARGIN_NS <= destinations) & (destinations <= end)).any())
    yield (begin, end) if dated else _ALWAYS
    known = {each.boot_id for each in exchanges if each.destination_ns < begin}
    known = known or {each.boot_id for each in exchanges[:1]}
    since: int | None = None
    for exchange in exchanges:
        if exchange.destination_ns < begin:
            continue
        if exchange.boot_id in known and since is not None:
            yield since, exchange.destination_ns
            since = None
        elif exchange.boot_id not in known and since is None:
            since = exchange.origin_ns - MARGIN_NS
    if since is not None:
        yield since, ENDLESS


def meets(span: Span, at_ns: Integers, error_ns: Integers) -> Flags:
    """Which instants may, with their errors, be in the span."""
    found: Flags = (at_ns + error_ns >= span[0]) & (at_ns - error_ns <= span[1])
    return found


def sentence(vehicle: str, spans: Sequence[Span], doubts: Sequence[Span]) -> str:
    """What became of its rows; `doubts`: what `doubtful` made of the spans."""
    last = spans[-1][1]
    until = f"and {iso_from_ns(last)}" if last != ENDLESS else "and an end that was not recorded"
    undated = (
        "; by topside's clock, which is not the recorder's, nothing was measured then: every row is ambiguous"
    )
    return (
        f"two vehicles were named {vehicle} between {iso_from_ns(spans[0][0])} {until}:"
        f" rows of that time may be of either, and are ambiguous{undated if _ALWAYS in doubts else ''}"
    )
