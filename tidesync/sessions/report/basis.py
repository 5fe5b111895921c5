"""What the numbers of a vehicle rest on, pure: the clock histories, and gaps that they cover."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from tidesync.sessions.report.units import count, duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from schemas.exchange import Exchange
    from tidesync.sessions.correction.histories import Histories, Pieces
    from tidesync.sessions.report.numbers import Numbers
    from tidesync.sessions.report.verdict import Interval
    from topside_agent.estimator import Exchanges
    from topside_agent.estimator.blocks import Integers

Span = tuple[int, int]
"""From and to on one machine's RAW clock, ns, both included."""


class Coverage(NamedTuple):
    """How long a machine's RAW clock ran from its first exchange to its last, and how much of it is known."""

    measured_ns: int
    known_ns: int


def of_histories(histories: Histories, exchanges: Exchanges) -> Numbers:
    """How much of the time measured each machine's own clock history covers: rows for the numbers."""
    known = exchanges.at(
        exchanges.known("pi_realtime_minus_raw_ns") & exchanges.known("topside_realtime_minus_raw_ns")
    )
    pi = known.column("transmit_ns") - known.column("pi_realtime_minus_raw_ns")
    topside = known.column("destination_ns") - known.column("topside_realtime_minus_raw_ns")
    return [
        ("Clock history of the Pi", _in_words(_coverage(histories.pi, known, pi, "boot_id"))),
        (
            "Clock history of the laptop",
            _in_words(_coverage(histories.topside, known, topside, "topside_boot_id")),
        ),
    ]


def of_gaps(intervals: Sequence[Interval]) -> Numbers:
    """The time for which a bound is conditional, as a row for the numbers."""
    gaps = [interval for interval in intervals if interval.kind == "gap"]
    if not gaps:
        return [("Conditional stretches", "none")]
    number = count(len(gaps), "stretch", "stretches")
    length = duration(sum(gap.duration_ns for gap in gaps))
    covered = sum(gap.explained for gap in gaps)
    return [
        (
            "Conditional stretches",
            f"{number}, {length} in all; clock histories cover {covered:,} of them",
        )
    ]


def explained(
    intervals: Sequence[Interval], by_instant: Mapping[int, Exchange], histories: Histories
) -> list[Interval]:
    """The intervals; a gap that both machines' histories cover is marked as explained."""
    return [
        replace(interval, explained=interval.kind == "gap" and _is_explained(interval, by_instant, histories))
        for interval in intervals
    ]


def _is_explained(gap: Interval, by_instant: Mapping[int, Exchange], histories: Histories) -> bool:
    before, after = by_instant[gap.from_ns], by_instant[gap.to_ns]
    if before.boot_id is None or before.boot_id != after.boot_id:
        return False
    if before.topside_boot_id is None or before.topside_boot_id != after.topside_boot_id:
        return False
    begin, end = _raw_ns(before), _raw_ns(after)
    if begin is None or end is None:
        return False
    pi, topside = _spans(histories.pi, before.boot_id), _spans(histories.topside, before.topside_boot_id)
    return _covered(pi, begin[0], end[0]) and _covered(topside, begin[1], end[1])


def _raw_ns(exchange: Exchange) -> Span | None:
    """RAW of the Pi and of topside at an exchange."""
    pi, topside = exchange.pi_realtime_minus_raw_ns, exchange.topside_realtime_minus_raw_ns
    if pi is None or topside is None:
        return None
    return exchange.transmit_ns - pi, exchange.destination_ns - topside


def _coverage(pieces: Pieces, exchanges: Exchanges, raw_ns: Integers, label: str) -> Coverage | None:
    """None where nothing was measured on the RAW clocks; a boot without a name has no history."""
    if not raw_ns.size:
        return None
    measured = known = 0
    for boot in {getattr(labels, label) for labels in exchanges.labels}:
        of_boot = raw_ns[exchanges.labelled(lambda labels, boot=boot: getattr(labels, label) == boot)]  # type: ignore[misc]
        first, last = int(of_boot.min()), int(of_boot.max())
        measured += last - first
        known += 0 if boot is None else _known_ns(_spans(pieces, boot), first, last)
    return Coverage(measured, known)


def _spans(pieces: Pieces, boot: str) -> list[Span]:
    return sorted((piece.from_raw_ns, piece.to_raw_ns) for piece in pieces.get(boot, ()))


def _covered(spans: Iterable[Span], from_ns: int, to_ns: int) -> bool:
    return from_ns < to_ns and _known_ns(spans, from_ns, to_ns) == to_ns - from_ns


def _known_ns(spans: Iterable[Span], from_ns: int, to_ns: int) -> int:
    """How much of the time between two instants is covered by spans in the order of their beginnings."""
    known, reached = 0, from_ns
    for begin, end in spans:
        begin, end = max(begin, reached), min(end, to_ns)  # noqa: PLW2901 - the part that is new
        if end > begin:
            known += end - begin
            reached = end
    return known


def _in_words(coverage: Coverage | None) -> str:
    if coverage is None:
        return "not used: the exchanges do not carry the RAW clocks"
    if not coverage.known_ns:
        return "none: between two exchanges the clock may have been set and set back"
    tenths = 1000 * coverage.known_ns // max(coverage.measured_ns, 1)
    return "used, for all the time" if tenths >= 1000 else f"used, for {tenths / 10:.1f} % of the time"  # noqa: PLR2004
