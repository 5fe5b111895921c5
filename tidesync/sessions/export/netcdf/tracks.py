"""The file of a track: what one topside measured of one vehicle's clock, smoothed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tidesync.sessions.correction.timeline import STATES
from tidesync.sessions.export.fields import ERROR, FIELDS, SIGN
from tidesync.sessions.export.netcdf.attributes import About, Span, midnight, units_since
from tidesync.sessions.export.netcdf.axis import time_attributes, timed
from tidesync.sessions.export.netcdf.file import FILLS, Variable
from tidesync.sessions.export.netcdf.flags import numbered, qartod, qartod_attributes, state_attributes
from tidesync.sessions.export.netcdf.rows import seconds_since

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tidesync.sessions.export.netcdf.attributes import Dataset
    from tidesync.sessions.export.netcdf.file import Content
    from topside_agent.estimator import Rows

    Block = NDArray[Any]

_FLAGS = ("offset_qartod", "offset_state")
_COMMENT = f"{SIGN}. {ERROR}."
_OFFSET: Mapping[str, Any] = {
    "long_name": "offset of the vehicle's clock",
    "units": "ns",
    "comment": SIGN,
    "ancillary_variables": " ".join(("lower_ns", "upper_ns", "u95_ns", *_FLAGS)),
    "coverage_content_type": "physicalMeasurement",
}
_STATE_NUMBERS = {name: number for number, name in enumerate(STATES)}


def track_content(columns: Rows, dataset: Dataset, name: str, settings: str) -> Content:
    """The file of a track that has rows, whose path within the export is `name`; `settings` of its making."""
    times = columns.column("topside_unix_ns")
    if (np.diff(times) < 0).any():
        columns = columns.at(np.argsort(times, kind="stable"))
        times = columns.column("topside_unix_ns")
    vehicle, topside = columns.stream
    about = About(
        name=name,
        title=f"Clock offset of {vehicle} to {topside}",
        summary=f"How far the clock of {vehicle} was ahead of the clock of {topside}, smoothed, with bounds.",
        source=f"exchanges of {topside} with {vehicle} over MQTT, time_sync/exchanges.jsonl",
        comment=_COMMENT,
        vehicle=vehicle,
        sensor=None,
        settings=settings,
        own={"tidesync_topside": topside},
    )
    strict = bool((np.diff(seconds_since(dataset.epoch_ns, times)) > 0).all())
    span = Span(int(times[0]), int(times[-1]), len(columns), strict)
    return timed(dataset, about, _variables(columns, dataset), span)


class _Blocks:
    """The columns of a track, block by block."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._at: tuple[int, int] | None = None
        self._columns: dict[str, Sequence[Any]] = {}

    def column(self, name: str, begin: int, end: int) -> Sequence[Any]:
        """The values of `offsets.csv`."""
        if self._at != (begin, end):
            values = zip(*self._rows[begin:end], strict=True)
            self._columns, self._at = dict(zip(FIELDS, values, strict=True)), (begin, end)
        return self._columns[name]

    def states(self, begin: int, end: int) -> NDArray[np.int8]:
        """As places in STATES."""
        return np.array([_STATE_NUMBERS[each] for each in self.column("state", begin, end)], dtype=np.int8)


def _variables(rows: Rows, dataset: Dataset) -> list[Variable]:
    blocks = _Blocks(rows)
    vehicle_ns = midnight(rows[0].pi_unix_ns)

    def seconds(name: str, epoch_ns: int) -> Any:
        return lambda a, b: seconds_since(epoch_ns, np.array(blocks.column(name, a, b), dtype=np.int64))

    def rounded(name: str, towards: float = 0.0) -> Any:
        return lambda a, b: _doubles(blocks.column(name, a, b), towards)

    time = time_attributes(
        dataset, (), "topside's wall clock, to the nanosecond for 52 days from that midnight"
    )
    vehicle_time = {
        "long_name": "time by the vehicle's clock at that instant",
        "units": units_since(vehicle_ns),
        "calendar": "proleptic_gregorian",
        "coverage_content_type": "auxiliaryInformation",
    }
    segment = {
        "long_name": "number of the segment",
        "units": "1",
        "comment": FIELDS["segment"],
        "coverage_content_type": "auxiliaryInformation",
    }
    return [
        Variable("time", "f8", time, seconds("topside_unix_ns", dataset.epoch_ns)),
        Variable("vehicle_time", "f8", vehicle_time, seconds("pi_unix_ns", vehicle_ns)),
        Variable("offset_ns", "f8", _OFFSET, rounded("offset_ns")),
        Variable("lower_ns", "f8", _bound("the offset is not less"), rounded("lower_ns", -np.inf)),
        Variable("upper_ns", "f8", _bound("the offset is not more"), rounded("upper_ns", np.inf)),
        Variable(
            "u95_ns", "f8", _bound("statistical 95 % half-width"), rounded("u95_ns"), may_be_absent=True
        ),
        Variable(
            "segment", "i4", segment, lambda a, b: np.array(blocks.column("segment", a, b), dtype=np.int32)
        ),
        Variable(_FLAGS[0], "i1", qartod_attributes("offset"), lambda a, b: qartod(blocks.states(a, b))),
        Variable(_FLAGS[1], "i1", state_attributes("offset"), lambda a, b: numbered(blocks.states(a, b))),
    ]


def _bound(long_name: str) -> Mapping[str, Any]:
    return {"long_name": long_name, "units": "ns", "coverage_content_type": "qualityInformation"}


def _doubles(values: Sequence[int | None], towards: float) -> Block:
    """The integers as doubles; one that no double has is moved `towards`, so that a bound stays a bound."""
    found = np.array([FILLS["f8"] if value is None else float(value) for value in values])
    if towards:
        for place, value in enumerate(values):
            exact = int(found[place])
            if value is not None and ((exact > value) if towards < 0 else (exact < value)):
                found[place] = np.nextafter(found[place], towards)
    return found
