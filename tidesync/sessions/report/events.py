"""The events of a vehicle in words, pure: each with its time, and by whose clock that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from schemas.events import Duplicate
from schemas.instants import ns_from_utc
from schemas.messages import Event
from tidesync.sessions.report.doubts import named_twice, when
from tidesync.sessions.report.units import clock_time, count, duration, signed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.events import EventLine
    from topside_agent.estimator import Exchanges


class EventRow(NamedTuple):
    """When, by whose clock, and what."""

    at: str
    clock: str
    what: str


def event_rows(events: Sequence[EventLine], exchanges: Exchanges) -> list[EventRow]:
    """The events in the order of topside's time, as far as that is known.

    What the Pi has dated is put on topside's clock by the next exchange of the same boot.
    """
    dated = [(event, *_dated(event, exchanges)) for event in events]
    dated.sort(key=lambda each: each[1])
    return [EventRow(clock_time(at_ns), clock, in_words(event)) for event, at_ns, clock in dated]


def in_words(event: EventLine) -> str:
    """An event's sentence."""
    if event.kind == "reboot":
        return "the Pi restarted"
    if event.kind == "outage":
        return f"nothing recorded for {duration(ns_from_utc(event.until) - ns_from_utc(event.at))}"
    if event.kind == "duplicate":
        return f"two {named_twice(event)} until {clock_time(ns_from_utc(when(event)[1]))} UTC"
    if event.kind == "gap":
        lost = count(event.to_seq - event.from_seq + 1, "exchange", "exchanges")
        return f"{lost} lost on the way to the recorder"
    own = f"{clock_time(ns_from_utc(event.at))} UTC by the Pi's clock"
    if event.kind == "step":
        return f"the Pi's clock was stepped by {signed(event.step_ms * 1e6)}, to {own}"
    return f"the Pi slept for {duration(abs(event.step_ms) * 1e6)}, until {own}"


def _dated(event: EventLine, exchanges: Exchanges) -> tuple[int, str]:
    """When it was, ns, and by whose clock."""
    if isinstance(event, Duplicate):
        at, _, clock = when(event)
        return ns_from_utc(at), clock
    if not isinstance(event, Event):
        return ns_from_utc(event.at), "laptop" if event.kind == "reboot" else "recorder"
    at_ns = _on_topside_ns(event, exchanges)
    return (ns_from_utc(event.at), "Pi") if at_ns is None else (at_ns, "laptop")


def _on_topside_ns(event: Event, exchanges: Exchanges) -> int | None:
    """Topside's realtime at a step or suspend: RAW ran on until the next exchange of its boot, if any."""
    of_boot = exchanges.at(
        exchanges.known("pi_realtime_minus_raw_ns")
        & exchanges.labelled(lambda labels: labels.boot_id == event.boot_id)
    )
    raw_ns = of_boot.column("transmit_ns") - of_boot.column("pi_realtime_minus_raw_ns")
    later = np.flatnonzero(raw_ns >= event.at_raw_ns)
    if not later.size:
        return None
    nearest = later[raw_ns[later].argmin()]
    return int(of_boot.column("destination_ns")[nearest] - (raw_ns[nearest] - event.at_raw_ns))
