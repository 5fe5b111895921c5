"""The columns of a fused table: as text for CSV, as values for formats with types."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np

from tidesync.figures import text_of
from tidesync.sessions.correction.stamps.writing import write_iso
from tidesync.sessions.correction.timeline import STATES
from tidesync.sessions.fuse.pairing import NONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.sessions.correction.unexplained import Flags
    from tidesync.sessions.fuse.axis import Fused
    from tidesync.sessions.fuse.pairing import Pairs
    from tidesync.sessions.fuse.sensors import Sensor
    from topside_agent.estimator.blocks import Floats, Integers

FieldKind = Literal["time", "integer", "number", "text"]
AGE, ERROR, STATE = "age_ms", "time_max_error_ms", "time_state"


class Values(NamedTuple):
    """The values of some rows: int64 (Unix ns for `time`), float64 or texts; and which are absent."""

    values: Any
    absent: Flags


class Field(Protocol):
    """A column; `begin` and `end` are places on the axis."""

    name: str
    note: str

    @property
    def kind(self) -> FieldKind:
        """What its values are."""

    def texts(self, begin: int, end: int) -> list[bytes]:
        """The values as text; absent is empty."""

    def values(self, begin: int, end: int) -> Values:
        """The values as they are."""


class TimeField:
    """`timestamp_topside`."""

    name = "timestamp_topside"
    kind: FieldKind = "time"
    note = "topside's clock"

    def __init__(self, instants_ns: Integers) -> None:
        self._instants = instants_ns
        self._fine = bool((instants_ns % 1000).any())

    def texts(self, begin: int, end: int) -> list[bytes]:
        """ISO 8601 in UTC, to the microsecond or the nanosecond."""
        texts: list[bytes] = write_iso(self._instants[begin:end], fine=self._fine).tolist()
        return texts

    def values(self, begin: int, end: int) -> Values:
        """Unix ns."""
        return Values(self._instants[begin:end], np.zeros(end - begin, dtype=bool))


class SourceField:
    """A column of a sensor's table: the nearest row's text, or between two rows where it is a number."""

    def __init__(self, sensor: Sensor, place: int, pairs: Pairs, *, linear: bool) -> None:
        column = sensor.columns[place]
        self.name = f"{sensor.name}.{column}" + (" (table)" if column == AGE else "")
        names = ", ".join(text_of(table.job.path.name) for table in sensor.tables)
        self.note = f"column {column} of {names}"
        self._sensor, self._pairs = sensor, pairs
        self._column = sensor.column(place)
        self._between = linear and self._column.measures

    @property
    def kind(self) -> FieldKind:
        """What all its texts are; between two rows there are numbers."""
        return "number" if self._between else self._column.kind

    def texts(self, begin: int, end: int) -> list[bytes]:
        """The table's text, or the number between two."""
        if self._between:
            return [
                b"" if isnan(value) else repr(value).encode() for value in self._line(begin, end).tolist()
            ]
        return self._nearest(begin, end)

    def values(self, begin: int, end: int) -> Values:
        """Numbers where all texts are."""
        if self._between:
            line = self._line(begin, end)
            return Values(line, np.isnan(line))
        texts = self._nearest(begin, end)
        absent = np.array([not text for text in texts], dtype=bool)
        if self.kind == "text":
            return Values([text.decode("utf-8", "backslashreplace") for text in texts], absent)
        kind, void = (np.int64, 0) if self.kind == "integer" else (np.float64, np.nan)
        return Values(np.array([kind(text) if text else void for text in texts], dtype=kind), absent)

    def _nearest(self, begin: int, end: int) -> list[bytes]:
        return self._column.texts(self._sensor.places(self._pairs.nearest[begin:end]))

    def _line(self, begin: int, end: int) -> Floats:
        """Numbers at the instants; NaN where a row or its value is missing."""
        first, last = (
            self._column.numbers(self._sensor.places(rows[begin:end]))
            for rows in (self._pairs.first, self._pairs.last)
        )
        share = self._pairs.share[begin:end]
        found: Floats = np.where(share == 0, first, first + share * (last - first))
        return found


class AgeField:
    """How much earlier than the instant the nearest row was taken, ms; negative: later."""

    kind: FieldKind = "number"
    note = "ms from the sensor's row to the instant; negative where the row is the later one"

    def __init__(self, sensor: Sensor, pairs: Pairs, instants_ns: Integers) -> None:
        self.name = f"{sensor.name}.{AGE}"
        self._sensor, self._pairs, self._instants = sensor, pairs, instants_ns

    def texts(self, begin: int, end: int) -> list[bytes]:
        """Exact, without zeros at the end."""
        found = self.values(begin, end)
        shown = (f"{value:.6f}".rstrip("0").rstrip(".").encode() for value in found.values.tolist())
        return [b"" if missing else text for text, missing in zip(shown, found.absent.tolist(), strict=True)]

    def values(self, begin: int, end: int) -> Values:
        """In ms."""
        rows = self._pairs.nearest[begin:end]
        taken = rows != NONE
        age_ms = np.full(rows.shape, np.nan)
        age_ms[taken] = (self._instants[begin:end][taken] - self._sensor.times.topside_ns[rows[taken]]) / 1e6
        return Values(age_ms, ~taken)


class ErrorField:
    """The greatest error of the times of all rows at an instant, ms."""

    name = ERROR
    kind: FieldKind = "number"
    note = "the greatest error of the times of all sensors' rows at the instant, ms"

    def __init__(self, fused: Fused) -> None:
        self._fused = fused

    def texts(self, begin: int, end: int) -> list[bytes]:
        """With three decimals, rounded up: a bound stays a bound."""
        errors = self._fused.max_error_ns(begin, end)
        whole_us = (-(-errors // 1000)).tolist()
        return [b"%d.%03d" % divmod(error_us, 1000) if error_us else b"" for error_us in whole_us]

    def values(self, begin: int, end: int) -> Values:
        """In ms."""
        errors = self._fused.max_error_ns(begin, end)
        return Values(np.where(errors == 0, np.nan, errors / 1e6), errors == 0)


class StateField:
    """The worst state of all rows at an instant."""

    name = STATE
    kind: FieldKind = "text"
    note = "the worst of all sensors' rows at the instant: ok < holdover < ambiguous < outside"

    def __init__(self, fused: Fused) -> None:
        self._fused = fused

    def texts(self, begin: int, end: int) -> list[bytes]:
        """Empty without a row."""
        return [text.encode() for text in self.values(begin, end).values]

    def values(self, begin: int, end: int) -> Values:
        """The words."""
        states = self._fused.state(begin, end)
        return Values([STATES[state] if state >= 0 else "" for state in states.tolist()], states < 0)


def fields_of(fused: Fused) -> list[Field]:
    """All columns, in their order; the sensors' texts have been read."""
    found: list[Field] = [TimeField(fused.instants_ns)]
    for sensor, pairs in zip(fused.sensors, fused.pairs, strict=True):
        linear = fused.method == "linear"
        found += [SourceField(sensor, place, pairs, linear=linear) for place in range(len(sensor.columns))]
        found.append(AgeField(sensor, pairs, fused.instants_ns))
    found += [ErrorField(fused), StateField(fused)]
    for each, name in zip(found, distinct([each.name for each in found]), strict=True):
        each.name = name
    return found


def distinct(names: Sequence[str]) -> list[str]:
    """The names, in their order; one that was there before gets a number, as `a_2`."""
    found: list[str] = []
    for name in names:
        numbered = (f"{name}_{number}" for number in range(2, len(names) + 2))
        found.append(name if name not in found else next(each for each in numbered if each not in names))
    return found
