"""When two vehicles answered to one name, by the clocks of the topside that heard both."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from schemas.base import Message, Nanoseconds
from schemas.compat import Self
from schemas.exchange import Identifier
from schemas.instants import UtcInstant

MAX_DUPLICATES = 8
"""In one result; of more the oldest are joined."""
MAX_BOOTS = 16


class DuplicateSpan(Message):
    """Two processes answered to the vehicle's name from `at` to `until`, by topside's own clocks.

    Both were alive then; they may have been earlier and later, while no ping was answered.
    """

    at: UtcInstant
    """Topside's realtime when the second one was heard first."""
    at_raw_ns: Nanoseconds
    """Topside's CLOCK_MONOTONIC_RAW at the same reading, ns."""
    until: UtcInstant
    """Topside's realtime when both had last been heard."""
    until_raw_ns: Nanoseconds
    """Topside's CLOCK_MONOTONIC_RAW at the same reading, ns."""
    boot_ids: Annotated[tuple[Identifier, ...], Field(max_length=MAX_BOOTS)] = ()
    """The boots of the vehicles that were heard, this one's and the other's; of many the first."""
    ended: bool = False
    """Whether topside has not heard both for some seconds; false while it lasts, or if topside ended."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.until_raw_ns < self.at_raw_ns:
            raise ValueError(f"until_raw_ns: {self.until_raw_ns} is before at_raw_ns, {self.at_raw_ns}")
        return self
