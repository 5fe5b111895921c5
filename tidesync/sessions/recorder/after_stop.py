"""After a stop, pure: what is not recorded any more, and how long what is missing is awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidesync.sessions.recorder.stopping import AWAY_NS, PATIENCE_NS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from runtime.clock import Reading
    from schemas.events import EventLine
    from schemas.exchange import Exchange
    from tidesync.sessions.recorder.session_log import SessionLog


def is_after(log: SessionLog, exchange: Exchange, instant_ns: int) -> bool:
    """Whether it is newer than all of its source, and made after an instant of the recorder's RAW."""
    watch = log.watches.of(exchange)
    ahead = watch is None or watch.is_ahead(exchange)
    return ahead and (log.behind.prompt_ns(exchange) or 0) > instant_ns


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


def patience_ns(log: SessionLog, offline: Collection[str], now_ns: int) -> int | None:
    """How long what is missing is awaited after something new has come; None: nothing is.

    Longer where what a topside sends waits before it is read here, and of one that is `offline`.
    """
    if not log.waiting:
        return None
    waits = (
        AWAY_NS if topside in offline else PATIENCE_NS + log.behind.late_ns(topside, now_ns)
        for topside in log.watches.awaited_of
    )
    return max(waits, default=0)
