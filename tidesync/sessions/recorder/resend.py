"""Commands that have missing exchanges and pieces of clock histories sent again, pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.clock_history import ClockResendCommand
from schemas.messages import ResendCommand
from tidesync.sessions.journal import source_of
from tidesync.sessions.recorder.piece_watch import LAST_NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tidesync.sessions.clock_pieces import Owner
    from tidesync.sessions.journal import Source, Stream
    from tidesync.sessions.recorder.clock_log import ClockRequest
    from tidesync.sessions.recorder.missing import SequenceWatch
    from tidesync.sessions.recorder.vehicle_log import VehicleLog

Resend = tuple["Owner", ResendCommand | ClockResendCommand]
"""To whom, and the command."""

RARE_NS = 6_000_000_000
"""Exchanges, or the results with which they come, are asked for at a stop where they are so far apart."""
_MOST_LATEST = 4000
"""A minute's, the longest between results, at 50 a second."""


def not_yet_published(
    newest: Mapping[Stream, SequenceWatch], vehicles: Mapping[str, VehicleLog]
) -> list[tuple[Source, int, int]]:
    """What to ask for at a stop: what topsides may have finished since, where little comes of them."""
    return [
        (source_of(last), last.seq + 1, min(last.seq + _MOST_LATEST, LAST_NUMBER))
        for (vehicle, topside), watch in newest.items()
        if (last := watch.newest) and last.seq < LAST_NUMBER
        if vehicle in vehicles and vehicles[vehicle].rest_ns(topside) >= RARE_NS
    ]


def of_all(
    recorder: str,
    exchanges: Iterable[tuple[Source, int, int]],
    pieces: Iterable[ClockRequest],
    now_raw_ns: int,
) -> list[Resend]:
    """A command for each range of exchanges and of pieces."""
    return of_exchanges(recorder, exchanges, now_raw_ns) + of_clock(recorder, pieces, now_raw_ns)


def of_exchanges(recorder: str, requests: Iterable[tuple[Source, int, int]], now_raw_ns: int) -> list[Resend]:
    """A command for each source and its first and last `seq`."""
    return [
        (
            ("topside", source.topside),
            ResendCommand(
                request_id=f"{recorder}-{source.vehicle}-{first}-{now_raw_ns}",
                vehicle=source.vehicle,
                from_seq=first,
                to_seq=last,
                instance_id=source.instance_id,
            ),
        )
        for source, first, last in requests
    ]


def of_clock(recorder: str, requests: Iterable[ClockRequest], now_raw_ns: int) -> list[Resend]:
    """A command for each range of pieces."""
    return [
        (
            request.owner,
            ClockResendCommand(
                request_id=f"{recorder}-clock-{request.first}-{now_raw_ns}",
                instance_id=request.instance_id,
                from_number=request.first,
                to_number=request.last,
            ),
        )
        for request in requests
    ]


def sentence_of_lost(lost: ClockRequest) -> str:
    """Which pieces cannot be had."""
    machine, name = lost.owner
    which = f"piece {lost.first}" if lost.first == lost.last else f"pieces {lost.first} to {lost.last}"
    return f"{which} of the clock history of {machine} {name} ({lost.instance_id}) cannot be had"
