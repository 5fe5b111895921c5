"""When two vehicles had one name, as a topside that heard both dates it by its own clock, pure.

It lies between two exchanges of that topside: by their RAW, which no step of realtime moves. For the track of
another topside it lies between the exchanges of that one which read the vehicle's RAW clock no later and no
earlier. So no other clock is relied on, neither the recorder's nor, between topsides, their own.

Assumptions: no vehicle stamps while it is not connected, but within `MARGIN_NS` of the time in which both
were heard, and while topside had no answer from any. Between two exchanges topside's clock was not set
several times, unless its history shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from schemas.clock_history import ClockPiece

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from schemas.events import Duplicate
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator import Exchanges, Labels
    from topside_agent.estimator.blocks import Integers

MARGIN_NS = 10_000_000_000
"""A vehicle that stamps may connect later, and lose its connection sooner."""
PINGS = 4
"""So many may pass until topside has noticed that both answer."""
ENDLESS = 2**62

Span = tuple[int, int]
"""The first and the last instant on topside's clock, Unix ns."""
Pieces = Mapping[str, Sequence[ClockPiece]]
"""A machine's clock history by its boot id."""


class Window(NamedTuple):
    """From one exchange to another, by their places; −1 and None are before the first and after the last."""

    first: int
    last: int | None


BEFORE_ALL = Window(-1, -1)
"""Of what had ended before anything was recorded."""


def window_of(line: Duplicate, heard: Exchanges) -> Window | None:
    """Where a dated `line` lies among the exchanges of its vehicle and topside, which are in their order.

    None where its process has none, so that it cannot be said.
    """
    span = line.by_topside
    assert span is not None
    of_process = heard.labelled(lambda each: each.instance_id == line.instance_id)
    boots = {each.topside_boot_id for each in heard.at(of_process).labels}
    raw_ns, same = _raw_ns(heard, "topside"), heard.labelled(lambda each: each.topside_boot_id in boots)
    places = np.flatnonzero(same & heard.known("topside_realtime_minus_raw_ns"))
    if line.instance_id is None or not of_process.any() or not places.size:
        return None
    first = _last(places[raw_ns[places] <= span.at_raw_ns - MARGIN_NS], int(places[0]) - 1)
    noticed = _last(places[raw_ns[places] <= span.at_raw_ns], int(places[0]) - 1)
    if span.until_raw_ns + MARGIN_NS < raw_ns[places[0]]:
        return BEFORE_ALL if places[0] == 0 else Window(first, int(places[0]))
    heard_last = _last(places[raw_ns[places] <= span.until_raw_ns], int(places[0]) - 1)
    after = np.arange(len(heard)) > heard_last
    if not span.ended:
        after &= ~of_process
    is_over = np.flatnonzero(after & (~same | (raw_ns >= span.until_raw_ns + MARGIN_NS)))
    return Window(max(-1, min(first, noticed + 1 - PINGS)), int(is_over[0]) if is_over.size else None)


def window_in(window: Window, heard: Exchanges, own: Exchanges) -> Window:
    """The window of `own`, another topside's exchanges of the vehicle, that has all of one of `heard`."""
    firsts, lasts = [-1], list[int]()
    pi_heard, pi_own = _raw_ns(heard, "pi"), _raw_ns(own, "pi")
    for boot in {each.boot_id for each in own.labels} - {None}:
        of_heard, of_own = _of_boot(heard, boot), _of_boot(own, boot)
        before = of_heard[of_heard <= window.first]
        if before.size:
            firsts.append(_last(of_own[pi_own[of_own] <= pi_heard[before[-1]]], -1))
        after = of_heard[of_heard >= (len(heard) if window.last is None else window.last)]
        if after.size:
            lasts += of_own[pi_own[of_own] >= pi_heard[after[0]]][:1].tolist()
    return Window(max(firsts), min(lasts) if lasts else None)


def doubts_in(window: Window, exchanges: Exchanges, pieces: Pieces) -> Iterator[Span]:
    """When topside's instants of the vehicle may be of another one's rows; `pieces` are topside's history."""
    span = _between(exchanges, pieces, window.first, window.last)
    yield span
    first = max(window.first, 0)
    known = {each.boot_id for each in exchanges[: first + 1].labels}
    unknown = exchanges.labelled(lambda each: each.boot_id not in known)
    unknown[: first + 1] = False
    for begin, end in _runs(unknown):
        low, high = _between(exchanges, pieces, begin - 1, end if end < len(exchanges) else None)
        yield low - MARGIN_NS, high
        apart_ns = _offset_ns(exchanges, begin) - _offset_ns(exchanges, first)
        for shift_ns in (apart_ns, -apart_ns):  # what one stamped, read by the other's clock
            yield max(span[0] + shift_ns, -ENDLESS), min(span[1] + shift_ns, ENDLESS)


def _offset_ns(exchanges: Exchanges, place: int) -> int:
    """The vehicle's clock minus topside's in an exchange, as it passes by half of the way."""
    one = exchanges[place]
    return (one.receive_ns + one.transmit_ns - one.origin_ns - one.destination_ns) // 2


def _raw_ns(exchanges: Exchanges, of: str) -> Integers:
    """RAW of topside or of the Pi at each exchange's arrival there; only valid where it is known."""
    known = exchanges.known(f"{of}_realtime_minus_raw_ns")
    stamps = exchanges.column("destination_ns" if of == "topside" else "receive_ns")
    difference = np.where(known, exchanges.column(f"{of}_realtime_minus_raw_ns"), 0)
    return stamps - difference


def _of_boot(exchanges: Exchanges, boot: str | None) -> Integers:
    of_boot = exchanges.labelled(lambda each: each.boot_id == boot)
    return np.flatnonzero(of_boot & exchanges.known("pi_realtime_minus_raw_ns"))


def _last(places: Integers, otherwise: int) -> int:
    return int(places[-1]) if places.size else otherwise


def _runs(flags: Flags) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _between(exchanges: Exchanges, pieces: Pieces, first: int, last: int | None) -> Span:
    """All realtime that topside's clock may have shown from one exchange to another, wherever it was set."""
    part = exchanges[max(first, 0) : None if last is None else last + 1]
    at_ns, passed, same = part.column("destination_ns"), np.diff(_raw_ns(part, "topside")), _same_boot(part)
    shown = [int(each) for boot, of_boot in pieces.items() for each in _shown(of_boot, boot, part)]
    low = min([at_ns.min(), *(at_ns[1:] - passed)[same], *shown])
    high = max([at_ns.max(), *(at_ns[:-1] + passed)[same], *shown])
    return -ENDLESS if first < 0 else int(low), ENDLESS if last is None else int(high)


def _shown(pieces: Iterable[ClockPiece], boot: str, part: Exchanges) -> Iterator[int]:
    """What the history of topside's `boot` shows at most and at least, among the exchanges of it."""
    of_boot = part.labelled(partial(_is_of, boot)) & part.known("topside_realtime_minus_raw_ns")
    raw_ns = _raw_ns(part, "topside")[of_boot]
    for piece in pieces if raw_ns.size else ():
        begin, end = max(piece.from_raw_ns, int(raw_ns.min())), min(piece.to_raw_ns, int(raw_ns.max()))
        for at_ns in (begin, end) if begin <= end else ():
            length = piece.to_raw_ns - piece.from_raw_ns
            moved = (piece.to_realtime_ns - piece.from_realtime_ns) * (at_ns - piece.from_raw_ns)
            middle = piece.from_realtime_ns + moved // max(length, 1)
            yield from (middle - piece.half_width_ns - 1, middle + piece.half_width_ns + 1)


def _same_boot(exchanges: Exchanges) -> Flags:
    """Of which exchanges topside's RAW goes on in the next one."""
    known = exchanges.known("topside_realtime_minus_raw_ns")
    same = np.zeros(max(len(exchanges) - 1, 0), dtype=bool)
    for boot in {each.topside_boot_id for each in exchanges.labels}:
        of_boot = exchanges.labelled(partial(_is_of, boot)) & known
        same |= of_boot[1:] & of_boot[:-1]
    return same


def _is_of(boot: str | None, labels: Labels) -> bool:
    return labels.topside_boot_id == boot
