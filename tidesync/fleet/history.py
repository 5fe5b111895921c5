"""A vehicle's last hours, pure and bounded: ten minutes by the second, hours by the worst of ten seconds."""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass
from math import inf, isnan, nan
from struct import Struct
from typing import TYPE_CHECKING, Literal, NamedTuple

from schemas.doubtful import for_people
from schemas.messages import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from schemas.messages import OffsetResult
    from tidesync.fleet.renewal import Renewal

FINE_S, FINE_POINTS = 0.9, 600
"""A little below a second, so that a topside's jitter does not drop every second result."""
COARSE_S, COARSE_POINTS = 10.0, 1080
MOST_INCIDENTS = 200
FULL_HISTORIES = 500
"""As many vehicles have all of these; more share the room of so many, 67 MB and their incidents."""
_STEP = 1.25
HistoryState = State | Literal["unknown"]
"""`unknown`: a word of a later version."""
STATES: tuple[HistoryState, ...] = ("acquiring", "locked", "holdover", "stale", "unsynced", "unknown")
_STATE_NUMBERS: dict[str, int] = {state: number for number, state in enumerate(STATES)}
_UNKNOWN = _STATE_NUMBERS["unknown"]
IncidentKind = Literal["step", "suspend", "state", "reboot", "online", "offline"]


class Point(NamedTuple):
    """One result; all are doubles, nan where there is no value. `raw_s`: when it is of, on our RAW clock."""

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


_RAW_S, _MAX_ERROR, _SEGMENT = map(Point._fields.index, ("raw_s", "max_error_ms", "segment"))


@dataclass(frozen=True, slots=True)
class Incident:
    """An event of a vehicle, dated by this computer's RAW clock; `text` is for people."""

    seq: int
    raw_s: float
    kind: IncidentKind
    text: str


class Ring:
    """At most `capacity` rows of `width` doubles; the newest replace the oldest.

    Memory is allocated until the ring is full, then never again.
    """

    def __init__(self, width: int, capacity: int) -> None:
        self._width = width
        self._pack_into = Struct(f"{width}d").pack_into
        self._capacity = capacity
        self._values = array("d")
        self._oldest = 0
        """Index of the oldest row, once the ring is full."""

    def __len__(self) -> int:
        return len(self._values) // self._width

    def append(self, row: Sequence[float]) -> None:
        """Add a row; the oldest is dropped when the ring is full."""
        if len(self._values) < self._capacity * self._width:
            self._values.extend(row)
            return
        self._pack_into(self._values, self._oldest * self._width * self._values.itemsize, *row)
        self._oldest = (self._oldest + 1) % self._capacity

    def limit(self, capacity: int) -> None:
        """Keep at most `capacity` rows from now on; the oldest are dropped."""
        at = self._oldest * self._width
        ordered = self._values[at:] + self._values[:at]
        self._values = ordered[max(0, len(self) - capacity) * self._width :]
        self._capacity, self._oldest = capacity, 0

    def __iter__(self) -> Iterator[tuple[float, ...]]:
        """From the oldest to the newest."""
        for place in range(len(self)):
            at = (self._oldest + place) % len(self) * self._width
            yield tuple(self._values[at : at + self._width])

    def first(self) -> tuple[float, ...] | None:
        """The oldest row."""
        return next(iter(self), None)


class ResultHistory:
    """Results and incidents of one vehicle as one topside measures it; `seq` numbers both."""

    def __init__(self, share: float = 1.0) -> None:
        """With `share` of the points and incidents that one vehicle alone would have."""
        self._fine = Ring(len(Point._fields), _part(FINE_POINTS, share))
        self._coarse = Ring(len(Point._fields), _part(COARSE_POINTS, share))
        self._incidents: deque[Incident] = deque(maxlen=_part(MOST_INCIDENTS, share))
        self._last_s, self._last_state, self._last_segment = -inf, _UNKNOWN, 0
        self._worst: tuple[float, ...] | None = None
        self.seq = 0
        self.steps = 0
        """How many of its incidents were steps, those included that are no longer kept."""

    def limit(self, share: float) -> None:
        """Keep `share` of them from now on; the oldest are dropped."""
        self._fine.limit(_part(FINE_POINTS, share))
        self._coarse.limit(_part(COARSE_POINTS, share))
        self._incidents = deque(self._incidents, _part(MOST_INCIDENTS, share))

    def result(self, result: OffsetResult, raw_s: float, of_s: float | None = None) -> None:
        """Keep a result, unless it is too near to the last one and of the same state and segment.

        It arrived at `raw_s`, and is of `of_s` if that was earlier. A duplicate's numbers are left out: they
        may be of two clocks.
        """
        state, segment = _STATE_NUMBERS.get(result.state, _UNKNOWN), result.segment
        if raw_s - self._last_s < FINE_S and state == self._last_state and segment == self._last_segment:
            return
        self.seq += 1
        self._last_s, self._last_state, self._last_segment = raw_s, state, segment
        row = _row(self.seq, raw_s if of_s is None else of_s, for_people(result), segment, state)
        self._fine.append(row)
        self._decimate(row)

    def renewal(self, found: Renewal, raw_s: float, of_s: float) -> None:
        """Keep a result of the state and segment of the last one, unless it is too near to that."""
        if raw_s - self._last_s < FINE_S:
            return
        self.seq += 1
        self._last_s = raw_s
        row = (self.seq, of_s, *found.curves(), self._last_segment, self._last_state)
        self._fine.append(row)
        self._decimate(row)

    def incident(self, kind: IncidentKind, text: str, raw_s: float) -> None:
        """Keep an incident."""
        self.seq += 1
        self.steps += kind == "step"
        self._incidents.append(Incident(self.seq, raw_s, kind, text))

    def points(self, after: int = 0) -> Iterator[Point]:
        """Those later than `after`, in order; coarse ones only for the time before the fine ones."""
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

    def _decimate(self, row: tuple[float, ...]) -> None:
        worst = self._worst
        if worst is None:
            self._worst = row
        elif row[_RAW_S] // COARSE_S != worst[_RAW_S] // COARSE_S or row[_SEGMENT] != worst[_SEGMENT]:
            self._coarse.append(worst)
            self._worst = row
        elif row[_MAX_ERROR] >= worst[_MAX_ERROR] or isnan(row[_MAX_ERROR]):  # no bound at all is the worst
            self._worst = row


def share_of(histories: int) -> float:
    """Which part of a full history each of so many may have; in steps, so that they are seldom cut."""
    share = 1.0
    while histories * share > FULL_HISTORIES:
        share /= _STEP
    return share


def _part(most: int, share: float) -> int:
    return max(1, round(most * share))


def _row(seq: int, raw_s: float, result: OffsetResult, segment: int, state: int) -> tuple[float, ...]:
    """The values of `Point`."""
    offset, lower, upper = result.offset_ms, result.lower_ms, result.upper_ms
    error, drift, delay = result.max_error_ms, result.drift_ppm, result.delay_min_ms
    return (
        seq,
        raw_s,
        nan if offset is None else offset,
        nan if lower is None else lower,
        nan if upper is None else upper,
        nan if error is None else error,
        nan if drift is None else drift,
        nan if delay is None else delay,
        segment,
        state,
    )
