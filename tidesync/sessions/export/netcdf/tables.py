"""The two files of a corrected table: its rows in the order of time, and those without an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tidesync.sessions.correction.own_clock import TOPSIDE_CLOCK
from tidesync.sessions.correction.timeline import NO_U95
from tidesync.sessions.export.netcdf.attributes import (
    TAKEN,
    About,
    Span,
    attributes_of,
    midnight,
    units_since,
)
from tidesync.sessions.export.netcdf.axis import time_attributes, timed
from tidesync.sessions.export.netcdf.file import FILLS, Content, Variable
from tidesync.sessions.export.netcdf.flags import numbered, qartod, qartod_attributes, state_attributes
from tidesync.sessions.export.netcdf.names import legal_names, units_of
from tidesync.sessions.export.netcdf.rows import seconds_since

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from tidesync.sessions.export.netcdf.attributes import Dataset
    from tidesync.sessions.export.netcdf.file import Kind
    from tidesync.sessions.export.netcdf.rows import CorrectedRows, Part
    from tidesync.sessions.export.netcdf.settings import Quantity

    Block = NDArray[Any]

_ERROR, _U95, _STATE, _FLAG = "time_max_error_ms", "time_u95_ms", "time_state", "time_qartod"
_OURS = ("time", _ERROR, _U95, _STATE, _FLAG, "recorded_time")
_COMMENT = (
    "Doubles of seconds since that midnight hold an instant to the nanosecond for 52 days, and that is in"
    f" {_ERROR}: no row's time is off by more, if no message travelled back in time and the clocks keep the"
    " limits in history."
)
_INT32_DIGITS = 9
_POSITIVE = {"altitude": "up", "depth": "down", "height": "up"}
"""By standard name the direction, which CF requires of a vertical coordinate."""


class Contents(NamedTuple):
    """A table's files; None: there is no such row."""

    known: Content | None
    unanswered: Content | None
    described: set[str]
    """Columns of numbers."""


def contents_of(
    rows: CorrectedRows, dataset: Dataset, name: str, settings: str, quantities: Mapping[str, Quantity]
) -> Contents:
    """The files of a table of this path within the export; `settings` are those of its correction."""
    about = _about(rows, name, settings)
    known, others = rows.known.records.size, rows.unanswered.records.size
    recorded = midnight(rows.first_recorded_ns)
    columns = _columns(rows.known, rows.columns, quantities)
    described = {
        header for header, each in zip(rows.columns, columns, strict=True) if each.kind != "text" and known
    }
    variables = [*_times(rows, dataset), *_flags(rows.known), _recorded(rows.known, recorded), *columns]
    span = Span(*rows.span_ns, known, rows.strict)
    return Contents(
        timed(dataset, about, variables, span) if known else None,
        _unanswered(rows, dataset, about, recorded) if others else None,
        described,
    )


def _about(rows: CorrectedRows, name: str, settings: str) -> About:
    counts = rows.counts
    own = counts.vehicle == TOPSIDE_CLOCK
    whose = "topside" if own else counts.vehicle
    of_sensor = f" of {counts.sensor}" if counts.sensor else ""
    how = "".join(f"; {each}" for each in counts.remarks)
    corrected = (
        "It was stamped by topside's own clock: their resolution is the only error"
        if own
        else f"Recorded by the clock of {whose}, and put on topside's by the offsets that were measured"
    )
    numbers: dict[str, Any] = {
        f"tidesync_rows_{state}": np.int32(number)
        for state, number in {**counts.counts, "malformed": counts.malformed}.items()
    }
    return About(
        name=name,
        title=f"{counts.path.name}{of_sensor} on topside's clock",
        summary=f"The table {counts.path.name}. {corrected}. Each time has its greatest possible error.",
        source=f"{counts.path.name}, stamped by the clock of {whose}{how}",
        comment=_COMMENT,
        vehicle=whose,
        sensor=counts.sensor,
        settings=settings,
        own=numbers,
    )


def _times(rows: CorrectedRows, dataset: Dataset) -> list[Variable]:
    """`time` and its errors."""
    records, step_ns = rows.known.records, rows.step_ns

    def u95_ms(begin: int, end: int) -> Block:
        found = records.read(begin, end)["u95_ns"]
        return np.where(found == NO_U95, FILLS["f8"], (found + step_ns) / 1e6)

    return [
        Variable(
            "time",
            "f8",
            time_attributes(dataset, (_ERROR, _U95, _FLAG, _STATE), _COMMENT),
            lambda begin, end: seconds_since(dataset.epoch_ns, records.read(begin, end)["topside_ns"]),
        ),
        Variable(
            _ERROR,
            "f8",
            _error_attributes("greatest possible error of time"),
            lambda begin, end: (records.read(begin, end)["max_error_ns"] + step_ns) / 1e6,
        ),
        Variable(
            _U95,
            "f8",
            _error_attributes("statistical 95 % half-width of the error of time"),
            u95_ms,
            may_be_absent=True,
        ),
    ]


def _error_attributes(name: str) -> Mapping[str, Any]:
    return {
        "long_name": name,
        "units": "ms",
        "valid_min": 0.0,
        "coverage_content_type": "qualityInformation",
    }


def _flags(part: Part) -> list[Variable]:
    records = part.records
    return [
        Variable(
            _FLAG,
            "i1",
            {"standard_name": "time status_flag", **qartod_attributes("time")},
            lambda begin, end: qartod(records.read(begin, end)["state"]),
        ),
        Variable(
            _STATE,
            "i1",
            {"standard_name": "time status_flag", **state_attributes("time")},
            lambda begin, end: numbered(records.read(begin, end)["state"]),
        ),
    ]


def _recorded(part: Part, epoch_ns: int) -> Variable:
    records = part.records

    def values(begin: int, end: int) -> Block:
        found = records.read(begin, end)
        seconds = seconds_since(epoch_ns, found["recorded_ns"])
        return np.where(found["readable"], seconds, FILLS["f8"])

    attributes = {
        "long_name": "time as it was recorded, by the clock of the platform",
        "units": units_since(epoch_ns),
        "calendar": "proleptic_gregorian",
        "comment": "not corrected; the table's own column has it as it is written",
        "coverage_content_type": "auxiliaryInformation",
    }
    return Variable("recorded_time", "f8", attributes, values, may_be_absent=True)


def _columns(part: Part, headers: Sequence[str], quantities: Mapping[str, Quantity]) -> list[Variable]:
    names = legal_names(headers, (*_OURS, *TAKEN))
    return [
        _column(part, number, name, header, quantities.get(header))
        for number, (name, header) in enumerate(zip(names, headers, strict=True))
    ]


def _column(part: Part, number: int, name: str, header: str, quantity: Quantity | None) -> Variable:
    texts, width, absent = part.texts, part.widths[number], part.absent[number]
    attributes: dict[str, Any] = {"long_name": header or name}
    kind = _kind(texts.kind(number), width)
    if kind == "text":
        return Variable(name, kind, attributes, lambda a, b: _texts(part, number, a, b), width)
    if quantity is not None:
        attributes |= quantity._asdict() | {"coverage_content_type": "physicalMeasurement"}
        if direction := _POSITIVE.get(quantity.standard_name):
            attributes["positive"] = direction
    elif units := units_of(header):
        attributes["units"] = units

    def values(begin: int, end: int) -> Block:
        return np.array([text or _FILL_TEXTS[kind] for text in _texts(part, number, begin, end)]).astype(kind)

    return Variable(name, kind, attributes, values, may_be_absent=absent)


_FILL_TEXTS = {kind: repr(fill.item()).encode() for kind, fill in FILLS.items()}


def _kind(kind: str, width: int) -> Kind:
    """How to write a column whose texts are no longer than that; integers beyond doubles as text."""
    if kind == "integer" and width <= _INT32_DIGITS:
        return "i4"
    return "text" if kind == "text" or (kind == "integer" and width > _DOUBLE_DIGITS) else "f8"


_DOUBLE_DIGITS = 15


def _texts(part: Part, number: int, begin: int, end: int) -> Block:
    texts = part.texts.texts(number, np.arange(begin, end))
    found = np.empty(len(texts), dtype=object)
    found[:] = texts
    return found


def _unanswered(rows: CorrectedRows, dataset: Dataset, about: About, recorded_ns: int) -> Content:
    """The rows without an instant, in the table's order; they have no `time`."""
    part = rows.unanswered
    variables = [*_flags(part), _recorded(part, recorded_ns), *_columns(part, rows.columns, {})]
    about = About(
        name=about.name.removesuffix(".nc") + ".unanswered.nc",
        title=f"Rows of {rows.counts.path.name} without a time by topside's clock",
        summary=f"The rows of the table {rows.counts.path.name} whose time by topside's clock is not"
        " known, in the table's order.",
        source=about.source,
        comment=f"{qartod_attributes('time')['comment']} Damaged rows of which no field can be"
        " read are in the table alone.",
        vehicle=about.vehicle,
        sensor=about.sensor,
        settings=about.settings,
        own=about.own,
    )
    size = part.records.size
    return Content(size, ("row",), attributes_of(dataset, about, variables, None), variables)
