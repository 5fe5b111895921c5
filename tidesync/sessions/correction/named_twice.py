"""When two vehicles answered to one name, pure: rows of that time may have been stamped by either's clock.

A topside goes on with the one that it measured first, and takes the other when that falls silent. So a boot
that was not heard before may be the other vehicle's, then and later, until one that was heard before answers
again.

Topside dates it (heard_twice.py). An earlier version's recording has only the recorder's dates (`spans_of`).
Assumptions there: the recorder's clock is within `MARGIN_NS` of topside's (where no exchange is of that time
it is not, and all is in doubt); no vehicle stamped the table while it was not connected.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from schemas.duplicate_span import MAX_BOOTS
from schemas.instants import iso_from_ns, ns_from_utc
from tidesync.sessions.correction.heard_twice import (
    BEFORE_ALL,
    ENDLESS,
    MARGIN_NS,
    PINGS,
    Pieces,
    Span,
    Window,
    doubts_in,
    window_in,
    window_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence

    from schemas.events import Duplicate
    from schemas.exchange import Exchange
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator import Exchanges
    from topside_agent.estimator.blocks import Integers

_ALWAYS = (-ENDLESS, ENDLESS)


class Doubts(NamedTuple):
    """When a vehicle's rows may be of another one of its name, by topside's clock."""

    spans: Sequence[Span]
    """When both answered."""
    doubtful: Sequence[Span]
    """What that leaves in doubt."""
    unplaced: bool
    """Whether topside measured nothing when the recorder says that it was: then all is in doubt."""
    unknown: bool = False
    """Whether nothing shows what the other one's clock was: it may have shown any of these times."""


def doubts_of(
    lines: Iterable[Duplicate],
    own: Exchanges,
    heard_by: Callable[[Duplicate], Exchanges],
    pieces: Pieces = MappingProxyType({}),
    clocks: Container[str] = (),
) -> Doubts:
    """What `lines` of one vehicle leave in doubt of what was measured as `own`.

    `heard_by`: the exchanges of its vehicle that the topside has which wrote a line, in their order.
    `pieces`: the clock history of the topside that measured `own`. `clocks`: the boots of the vehicles whose
    clock histories are recorded.
    """
    undated, spans, doubts, unknown = [], list[Span](), list[Span](), False
    for line in last_lines(lines):
        window = _window(line, own, heard_by) if line.by_topside else None
        if window is None:
            undated.append(line)
        elif window != BEFORE_ALL:
            found = [*doubts_in(window, own, pieces)]
            spans.append(found[0])
            doubts += found
            unknown |= _has_unknown(line, window, own, clocks)
    recorded = spans_of(undated)
    of_recorded = doubtful(recorded, own)
    doubts = [*doubts, *of_recorded, *([_ALWAYS] if unknown else [])]
    return Doubts(sorted([*spans, *recorded]), doubts, _ALWAYS in of_recorded, unknown)


def _has_unknown(line: Duplicate, window: Window, own: Exchanges, clocks: Container[str]) -> bool:
    """Whether a boot was heard of whose clock neither a history nor an earlier exchange tells."""
    measured = {each.boot_id for each in own[: max(window.first, 0) + 1].labels}
    boots = boots_of([line])
    return len(boots) >= MAX_BOOTS or any(boot not in measured and boot not in clocks for boot in boots)


def _window(line: Duplicate, own: Exchanges, heard_by: Callable[[Duplicate], Exchanges]) -> Window | None:
    if window := window_of(line, own):
        return window
    heard = heard_by(line)
    window = window_of(line, heard)
    return window if window in {None, BEFORE_ALL} else window_in(window, heard, own)


def boots_of(lines: Iterable[Duplicate]) -> frozenset[str]:
    """The boots that topside heard while two vehicles answered."""
    return frozenset(boot for line in lines if line.by_topside for boot in line.by_topside.boot_ids)


def last_lines(lines: Iterable[Duplicate]) -> list[Duplicate]:
    """Of each that topside dates its last line; of the others all."""
    last: dict[object, Duplicate] = {}
    for number, line in enumerate(lines):
        span = line.by_topside
        last[(line.topside, line.instance_id, span.at_raw_ns) if span else number] = line
    return list(last.values())


def spans_of(events: Iterable[Duplicate]) -> list[Span]:
    """When two vehicles answered, by the recorder's clock.

    ENDLESS where no end was written, since the recorder was killed.
    """
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
    before = np.flatnonzero(destinations <= at)[-PINGS:]
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


def sentence(vehicle: str, doubts: Doubts) -> str:
    """What became of its rows."""
    first, last = doubts.spans[0][0], max(until for _, until in doubts.spans)
    since = iso_from_ns(first) if first != -ENDLESS else "the beginning"
    until = f"and {iso_from_ns(last)}" if last != ENDLESS else "and an end that was not recorded"
    unplaced = (
        "; by topside's clock, which is not the recorder's, nothing was measured then: every row is ambiguous"
    )
    unknown = "; what the other one's clock showed was not recorded: every row is ambiguous"
    return (
        f"two vehicles were named {vehicle} between {since} {until}: rows of that time may be of either,"
        f" and are ambiguous{unplaced if doubts.unplaced else unknown if doubts.unknown else ''}"
    )
