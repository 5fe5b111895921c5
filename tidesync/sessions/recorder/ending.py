"""What the end of a session adds to what is said of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.metadata import DriftModel, TrackEnd


@dataclass(frozen=True, slots=True)
class Summary:
    """What the smoothed track of a vehicle says, for people; all of it stands in `offsets.csv`."""

    drift_model: DriftModel | None
    start: TrackEnd | None
    end: TrackEnd | None
    segments: int


@dataclass(frozen=True, slots=True)
class Closing:
    """What the end of a session adds: the smoothed track's summary by vehicle, and whether it was written."""

    stopped_ns: int
    summaries: Mapping[str, Summary]
    offsets: str | None
