"""What a topside's process says of itself: that it is there, and that it shares a fleet with others."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import LATEST_NS, Message
from schemas.exchange import Identifier
from schemas.names import Group, Topside

Weight = Annotated[float, Field(ge=0.01, le=1000)]


class Heartbeat(Message):
    """A topside's process says every second that it is there; two at a time are two topsides of one name."""

    schema_version: Literal[1] = 1
    topside: Topside
    instance_id: Identifier
    """Of the process."""
    boot_id: Identifier
    """Of its computer."""
    uptime_s: Annotated[float, Field(ge=0, le=LATEST_NS // 10**9)] | None = None
    """For how long the process has been running: of two of one name in a group the later one stops. Null: not
    known."""
    settling: bool | None = None
    """In a group: it has come, or come back after a silence, less than 6 s ago, and may not measure yet what
    others have left. Null: not known."""


class Member(Message):
    """A topside shares the vehicles with the others of its group, retained; cleared when it stops orderly.

    It counts as there while its heartbeats are heard: this message alone proves nothing.
    """

    schema_version: Literal[1] = 1
    topside: Topside
    group: Group
    weight: Weight
    """Its share of the vehicles is its weight over the sum of all weights."""
    instance_id: Identifier
    """Of the process."""
    boot_id: Identifier
    """Of its computer."""
    capacity: Annotated[int, Field(ge=0, le=10**6)] | None = None
    """How many vehicles it measures at the most. Null: not known."""
