"""After a stop, pure: what is not recorded any more, and how long what is missing is awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidesync.sessions.recorder.reach import AWAY_NS
from tidesync.sessions.recorder.resend import RARE_NS
from tidesync.sessions.recorder.stopping import LONGEST_REPORTED_NS, PATIENCE_NS, Sent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.clock import Reading
    from schemas.events import EventLine
    from schemas.exchange import Exchange
    from tidesync.sessions.recorder.reach import Reach
    from tidesync.sessions.recorder.session_log import SessionLog
    from tidesync.sessions.recorder.stopping import Stopping

_LATE_NS = 2_000_000_000


def sent(log: SessionLog, now: Reading, exchange: Exchange) -> Sent:
    """What tells an exchange that comes now from one that is sent again, or is late."""
    watch = log.watches.of(exchange)
    ahead, behind = watch is None or watch.is_ahead(exchange), log.behind
    return Sent(ahead, behind.is_settled(exchange, now), behind.prompt_ns(exchange, now))


def pass_over(log: SessionLog, exchanges: Iterable[Exchange], now: Reading) -> list[EventLine]:
    """Note that those came which are not to be recorded: who made them is alive; returns new events."""
    events: list[EventLine] = []
    for exchange in exchanges:
        log.behind.note_any(exchange.topside, now.raw_ns)
        log.behind.note(exchange, now)
        if watch := log.watches.of(exchange):
            watch.hear(now.raw_ns)
        if vehicle := log.vehicles.get(exchange.vehicle):
            events += vehicle.end_silence(now)
            vehicle.heard_ns = now.raw_ns
    return [event for event in events if log.take_event(event, now)]


def awaited_until_ns(
    log: SessionLog, stopping: Stopping, reach: Reach | None, silent_ns: int, now: Reading
) -> int:
    """Until when the end waits, by the recorder's RAW; 0: all has come that is known of.

    The last exchange of a vehicle that had been silent for `silent_ns` is not awaited. For longer than what
    is on its way takes, it is where results tell of exchanges that have not come, or where none comes: then
    not the vehicle is silent but topside, and may be measuring.
    """
    patience = _patience_ns(log, reach, now.raw_ns)
    began_ns, until_ns, has_heard = stopping.began_ns, 0, True
    newest = log.watches.newest
    reporting = [(name, topside) for name, one in log.vehicles.items() for topside in one.reporting]
    for stream in {**newest, **dict.fromkeys(reporting)}:
        (name, topside), watch = stream, newest.get(stream)
        if reach and watch:
            until_ns = max(until_ns, reach.awaited_until_ns(topside, watch.heard_ns))
        if stopping.has_heard(stream):
            continue
        if not (one := log.vehicles.get(name)):
            continue
        rest_ns = one.rest_ns(topside)
        lately_ns = began_ns - max(silent_ns, rest_ns + _LATE_NS if rest_ns >= RARE_NS else 0)
        recent = watch is not None and watch.heard_ns >= lately_ns
        has_heard &= not recent
        reported = one.is_reported(topside, began_ns, began_ns + AWAY_NS)
        more_ns = one.reported_more_ns(topside, watch.newest_ns if watch else 0)
        if more_ns is not None and more_ns >= began_ns - silent_ns:
            until_ns = max(until_ns, min(max(began_ns, more_ns) + AWAY_NS, began_ns + LONGEST_REPORTED_NS))
        elif reach and watch and lately_ns <= watch.heard_ns <= began_ns and not reported:
            until_ns = max(until_ns, began_ns + AWAY_NS)
    if patience is None and until_ns <= now.raw_ns and has_heard:
        return 0
    return stopping.deadline_ns(patience, until_ns)


def _patience_ns(log: SessionLog, reach: Reach | None, now_ns: int) -> int | None:
    """How long what is missing is awaited after something new has come; None: nothing is.

    Longer where what a topside sends waits before it is read here, and of one that is away.
    """
    if not log.waiting:
        return None
    waits = (
        AWAY_NS if reach and reach.is_away(topside) else PATIENCE_NS + log.behind.late_ns(topside, now_ns)
        for topside in log.watches.awaited_of
    )
    return max(waits, default=0)
