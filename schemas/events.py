"""Lines of `events.jsonl`: the Pi's own events, and those that the recorder detects."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from schemas.base import Message, Nanoseconds, OtherWord
from schemas.duplicate_span import DuplicateSpan
from schemas.exchange import Identifier
from schemas.instants import UtcInstant
from schemas.messages import Count, Event, Seq, Version
from schemas.names import Topside, Vehicle


class Reboot(Message):
    """A vehicle's boot id changed; `at` is topside's realtime of the first exchange after it."""

    schema_version: Version = 1
    vehicle: Vehicle
    kind: Literal["reboot"] = "reboot"
    at: UtcInstant
    boot_id: Identifier


class Gap(Message):
    """Exchanges that topside finished and that are lost for good; both ends are included."""

    schema_version: Version = 1
    vehicle: Vehicle
    kind: Literal["gap"] = "gap"
    at: UtcInstant
    """When they were given up, by the recorder's clock."""
    topside: Topside
    run: Count
    """Which of the topside's processes of this session, counted from 0: each counts its own `seq`."""
    instance_id: Identifier | None = None
    """Of that process; null: not known."""
    from_seq: Seq
    to_seq: Seq
    before_origin_ns: Nanoseconds
    """Origin of the exchange that showed the gap: they were finished before it."""


class Outage(Message):
    """Nothing was recorded of a vehicle from `at` to `until`, by the recorder's clock."""

    schema_version: Version = 1
    vehicle: Vehicle
    kind: Literal["outage"] = "outage"
    at: UtcInstant
    until: UtcInstant


class Duplicate(Message):
    """Two processes used one name from `at` to `until`, by the recorder's clock, as a topside reported it.

    A line is written when it begins (`until` is the same then) and another when it has ended.
    """

    schema_version: Version = 1
    vehicle: Vehicle
    kind: Literal["duplicate"] = "duplicate"
    error: Literal["duplicate_vehicle", "duplicate_topside"] | OtherWord
    """Whose name: the vehicle's or the topside's; in a later version, perhaps another one's."""
    topside: Topside
    at: UtcInstant
    until: UtcInstant
    instance_id: Identifier | None = None
    """Of the topside's process that heard both vehicles; null: not known."""
    by_topside: DuplicateSpan | None = None
    """When, by that process's own clocks; the last line with its `at_raw_ns` holds. It may have been before
    the session. Null: not known, as of two topsides."""


EventLine = Event | Reboot | Gap | Outage | Duplicate
LINE: TypeAdapter[EventLine] = TypeAdapter(Annotated[EventLine, Field(discriminator="kind")])
"""Validates a line of `events.jsonl`."""

Identity = tuple[str | int, ...]


def identity(line: EventLine) -> Identity:
    """Identifies an event; a redelivered one has the same identity."""
    if isinstance(line, Event):
        return (line.kind, line.vehicle, line.at_raw_ns, line.boot_id)
    if isinstance(line, Reboot):
        return (line.kind, line.vehicle, line.boot_id)
    if isinstance(line, Gap):
        return (
            line.kind,
            line.vehicle,
            line.topside,
            line.instance_id or line.run,
            line.from_seq,
            line.to_seq,
        )
    if isinstance(line, Duplicate) and line.by_topside:
        span = line.by_topside
        dated = (line.instance_id or "", span.at_raw_ns, span.until_raw_ns, span.ended)
        return (line.kind, line.vehicle, line.topside, line.error, *dated)
    if isinstance(line, Duplicate):
        return (line.kind, line.vehicle, line.topside, line.error, str(line.at), str(line.until))
    return (line.kind, line.vehicle, str(line.at))
