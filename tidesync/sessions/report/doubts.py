"""What puts a verdict in doubt, pure: two processes that used one name, so that either may be meant."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from schemas.events import Duplicate
from schemas.instants import ns_from_utc
from tidesync.sessions.correction.heard_twice import BEFORE_ALL, window_of
from tidesync.sessions.correction.named_twice import last_lines
from tidesync.sessions.report.units import clock_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from schemas.events import EventLine
    from tidesync.sessions.processes import Process
    from tidesync.sessions.report.verdict import Verdict
    from topside_agent.estimator import Exchanges

_MOST_LISTED = 12


def of_namesakes(found: Verdict, topside: str, processes: Sequence[Process]) -> Verdict:
    """`found` holds by the clock of the first of several processes of a name: whose is meant is not known."""
    if len(processes) <= 1:
        return found
    own, others = processes[0], processes[1:]
    named = " and ".join(
        f"{each.instance_id} from {clock_time(each.first_ns)} to {clock_time(each.last_ns)} UTC by its clock"
        for each in others
    )
    headline = (
        f"another topside was called {topside!r} at the same time ({named}), so that it is not known by which"
        f" clock other data is timed. By the clock of {own.instance_id}: {found.headline}"
    )
    return replace(found, grade="no", headline=headline)


def in_session(events: Sequence[EventLine], topside: str, exchanges: Exchanges) -> list[EventLine]:
    """`events` with each duplicate once, dated by `topside` or else by the recorder.

    `exchanges` are what that topside measured: a duplicate that had ended before is left out.
    """
    found: list[EventLine] = [event for event in events if not isinstance(event, Duplicate)]
    for line in last_lines(event for event in events if isinstance(event, Duplicate)):
        if line.by_topside is None or line.topside != topside:
            found.append(line.model_copy(update={"by_topside": None}))
        elif window_of(line, exchanges) != BEFORE_ALL:
            found.append(line)
    return found


def when(event: Duplicate) -> tuple[datetime, datetime, str]:
    """From when until when, and by whose clock."""
    span = event.by_topside
    return (span.at, span.until, "laptop") if span else (event.at, event.until, "recorder")


def of_duplicates(found: Verdict, events: Sequence[Duplicate]) -> Verdict:
    """`found`, unless a name was used twice in the session: then what it is about is in doubt."""
    spans: dict[str, dict[tuple[datetime, str], datetime]] = {}
    for event in events:
        of_name, (at, until, clock) = spans.setdefault(named_twice(event), {}), when(event)
        of_name[at, clock] = max(until, of_name.get((at, clock), until))
    if not spans:
        return found
    sentences = [f"two {named} {_times(times)}" for named, times in spans.items()]
    return replace(found, grade="no", headline=f"{'; '.join(sentences)}. Apart from that: {found.headline}")


def named_twice(event: Duplicate) -> str:
    """Whose name two processes used."""
    if event.error == "duplicate_vehicle":
        return f"vehicles were named {event.vehicle}"
    if event.error == "duplicate_topside":
        return f"topsides were named {event.topside}"
    return f"processes had one name ({event.error}) while {event.topside} measured {event.vehicle}"


def _times(spans: Mapping[tuple[datetime, str], datetime]) -> str:
    listed = [
        f"from {clock_time(ns_from_utc(at))} to {clock_time(ns_from_utc(until))} UTC ({clock}'s clock)"
        for (at, clock), until in sorted(spans.items())[:_MOST_LISTED]
    ]
    more = f" and {len(spans) - _MOST_LISTED} times more" if len(spans) > _MOST_LISTED else ""
    return " and ".join(listed) + more
