"""A vehicle's last hours, pure and bounded: ten minutes by the second, hours by the worst of ten seconds."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Literal, NamedTuple

from tidesync.dashboard.ring import Ring

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.messages import OffsetResult, State

FINE_S, FINE_POINTS = 0.9, 600
"""A little below a second, so that a topside's jitter does not drop every second result."""
COARSE_S, COARSE_POINTS = 10.0, 1080
MOST_INCIDENTS = 200
STATES: tuple[State, ...] = ("acquiring", "locked", "holdover", "stale", "unsynced")
IncidentKind = Literal["step", "suspend", "state", "reboot", "online", "offline"]


class Point(NamedTuple):
    """One result; all are doubles, nan where there was nothing. `raw_s` is the dashboard's own RAW clock."""

    seq: float
    raw_s: float
    offset_ms: float
    lower_ms: float
    upper_ms: float
    max_error_ms: float
    drift_ppm: float
    delay_ms: float
    segment: float
    state: float

    def worse_than(self, other: Point) -> bool:
        """Whether this one must not be left out when only one of both can be kept."""
        mine, theirs = self.max_error_ms, other.max_error_ms
        return mine >= theirs or mine != mine  # noqa: PLR0124 - nan: nothing to go on is the worst


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that happened to a vehicle, dated by the dashboard's RAW clock; `text` is for people."""

    seq: int
    raw_s: float
    kind: IncidentKind
    text: str


class History:
    """What the vehicle's page draws."""

    def __init__(self) -> None:
        self._fine = Ring(len(Point._fields), FINE_POINTS)
        self._coarse = Ring(len(Point._fields), COARSE_POINTS)
        self._incidents: deque[Incident] = deque(maxlen=MOST_INCIDENTS)
        self._last: Point | None = None
        self._worst: Point | None = None
        self.seq = 0

    def result(self, result: OffsetResult, raw_s: float) -> None:
        """Keep a result, unless the last one is as good and too near."""
        point = _point(self.seq + 1, result, raw_s)
        last = self._last
        if (
            last
            and raw_s - last.raw_s < FINE_S
            and (point.state, point.segment) == (last.state, last.segment)
        ):
            return
        self.seq += 1
        self._last = point
        self._fine.append(point)
        self._decimate(point)

    def incident(self, kind: IncidentKind, text: str, raw_s: float) -> None:
        """Keep something that happened."""
        self.seq += 1
        self._incidents.append(Incident(self.seq, raw_s, kind, text))

    def points(self, after: int = 0) -> Iterator[Point]:
        """Those later than `after`, in order; the coarse ones only where the fine ones do not reach."""
        begins = self._fine.first()
        for row in self._coarse:
            point = Point(*row)
            if begins is not None and after < point.seq < begins[0]:
                yield point
        for row in self._fine:
            point = Point(*row)
            if point.seq > after:
                yield point

    def incidents(self, after: int = 0) -> list[Incident]:
        """Those later than `after`, in order."""
        return [incident for incident in self._incidents if incident.seq > after]

    def _decimate(self, point: Point) -> None:
        worst = self._worst
        if worst is None:
            self._worst = point
        elif point.raw_s // COARSE_S != worst.raw_s // COARSE_S or point.segment != worst.segment:
            self._coarse.append(worst)
            self._worst = point
        elif point.worse_than(worst):
            self._worst = point


def _point(seq: int, result: OffsetResult, raw_s: float) -> Point:
    return Point(
        seq,
        raw_s,
        _or_nan(result.offset_ms),
        _or_nan(result.lower_ms),
        _or_nan(result.upper_ms),
        _or_nan(result.max_error_ms),
        _or_nan(result.drift_ppm),
        _or_nan(result.delay_min_ms),
        result.segment,
        STATES.index(result.state),
    )


def _or_nan(value: float | None) -> float:
    return nan if value is None else value
