"""The times of a netCDF file: what their variable counts by the CF conventions, or EPIC's two variables.

A time without units of CF is read as a number or text of a table is. Times of which the units state no zone
may be local: CF has them in UTC, but writers count what the instrument showed.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from schemas.compat import UTC
from tidesync.sessions.correction.stamps.column import form_of_numbers, form_of_texts
from tidesync.sessions.correction.stamps.numbers import DAY_NS, UNIX, S, Scale
from tidesync.sessions.errors import UnusableFileError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tidesync.sessions.correction.stamps.form import StampForm, Stamps
    from tidesync.sessions.correction.table import Job, Measured
    from tidesync.sessions.correction.unexplained import Flags

_NS_OF = {
    DAY_NS: ("d", "day", "days"),
    3_600 * S: ("h", "hr", "hrs", "hour", "hours"),
    60 * S: ("min", "mins", "minute", "minutes"),
    S: ("s", "sec", "secs", "second", "seconds"),
    1_000_000: ("ms", "msec", "msecs", "millisec", "millisecs", "millisecond", "milliseconds"),
    1_000: ("us", "µs", "microsec", "microsecs", "microsecond", "microseconds"),
    1: ("ns", "nanosec", "nanosecs", "nanosecond", "nanoseconds"),
}
_UNITS = {name: ns for ns, names in _NS_OF.items() for name in names}
_SINCE = re.compile(
    r"(?P<unit>\S+)\s+since\s+(?P<date>\d{1,4}-\d{1,2}-\d{1,2})"
    r"(?:[T ]+(?P<time>\d{1,2}:\d{1,2}(?::\d{1,2})?)(?:\.(?P<part>\d{1,9})\d*)?)?"
    r"\s*(?P<zone>Z|UTC|GMT|[+-]\d{1,2}(?::?\d{2})?)?",
    re.ASCII | re.IGNORECASE,
)
_COUNTS = re.compile(r"since|@|\b(?:after|from|ref)\b", re.IGNORECASE)
"""UDUNITS' words for an instant that is counted from."""
_CALENDARS = {"standard", "gregorian", "proleptic_gregorian"}
_REFORM = datetime(1582, 10, 15, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_JULIAN_DAY, _OF_DAY = (
    re.compile(r"true julian day", re.IGNORECASE),
    re.compile(r"msec since 0:00", re.IGNORECASE),
)
_EPIC_1970 = 2_440_588
"""The true Julian day, which begins at midnight, of 1970-01-01."""
_SURVEYED = 4_096


class TimeVariables(NamedTuple):
    """The variable of the times, and the one of EPIC's milliseconds of the day."""

    time: Any
    of_day: Any | None = None

    @property
    def rows(self) -> int:
        """How many times there are."""
        return int(self.time.shape[0])


class NetcdfTimes:
    """The times of an open file; UnusableFileError where what they count is not known."""

    def __init__(self, job: Job, measured: Measured, variables: TimeVariables) -> None:
        self._variables, self._path = variables, job.path
        kind = variables.time.dtype
        self._texts = kind.kind in "OSU"
        units = _text(variables.time, "units")
        if not self._texts and kind.kind not in "iuf":
            raise UnusableFileError(
                job.path, f"variable {job.column!r} holds {kind}: expected numbers or text"
            )
        packed = [name for name in ("scale_factor", "add_offset") if name in variables.time.attrs]
        if packed:
            raise UnusableFileError(job.path, f"variable {job.column!r} is packed ({packed[0]}): not read")
        calendar = _calendar(job, variables.time)
        scale = None if self._texts else _scale(job, units, calendar)
        scale = UNIX[-1] if variables.of_day is not None else scale
        last = max((variables.rows - 1) // _SURVEYED, 1) * _SURVEYED
        parts = [self._values(0, _SURVEYED), self._values(last, max(last, variables.rows))]
        values = np.concatenate([values[known] for values, known in parts])
        if self._texts:
            self.form: StampForm = form_of_texts(job, measured, values.tolist())
        else:
            self.form = form_of_numbers(job, measured, values, scale)

    def stamps(self, begin: int, end: int) -> Stamps:
        """The times of rows."""
        values, known = self._values(begin, end)
        return self.form.read(values.tolist()) if self._texts else self.form.read_numbers(values, known)

    def text(self, row: int) -> str:
        """A row's time as text."""
        values, (written,) = _written(self._variables.time, row, row + 1)
        if not written:
            return "never written"
        value = values[0]
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

    def _values(self, begin: int, end: int) -> tuple[NDArray[Any], Flags]:
        """Numbers, or texts in UTF-8; and which are there."""
        variable = self._variables.time
        values, written = _written(variable, begin, end)
        if self._texts:
            texts = [each if isinstance(each, bytes) else str(each).encode() for each in values.tolist()]
            texts += [b""] * (end - begin - len(texts))
            return np.array(texts, dtype=object), written
        values = np.pad(values, (0, end - begin - values.size))
        known = _known(variable, values) & written
        if self._variables.of_day is None:
            return values, known
        of_day, written = _written(self._variables.of_day, begin, end)
        of_day = np.pad(of_day, (0, end - begin - of_day.size))
        known &= written & _known(self._variables.of_day, of_day) & (values > 0) & (values < 2 * _EPIC_1970)
        days, ms = (np.where(known, each, 0).astype(np.int64) for each in (values, of_day))
        return np.where(known, (days - _EPIC_1970) * DAY_NS + ms * 1_000_000, 0), known


def is_epic(time: Any, of_day: Any) -> bool:
    """Whether two variables are EPIC's day and milliseconds."""
    return (
        _JULIAN_DAY.search(_text(time, "units")) is not None
        and _OF_DAY.search(_text(of_day, "units")) is not None
        and time.dtype.kind in "iu"
        and of_day.dtype.kind in "iu"
        and time.shape == of_day.shape
    )


def counts_from_an_instant(units: str) -> bool:
    """Whether units have any form of "since", known or not."""
    return _COUNTS.search(units) is not None


def _stored(variable: Any) -> int:
    """How many values there are: an unlimited dimension may be longer, and h5netcdf fills these up."""
    return int(variable._h5ds.shape[0])  # noqa: SLF001 - it tells it nowhere else


def _written(variable: Any, begin: int, end: int) -> tuple[NDArray[Any], Flags]:
    """The values of rows as far as they are stored, and which rows were written."""
    stop = max(begin, min(end, _stored(variable)))
    written: Flags = np.zeros(end - begin, dtype=bool)
    written[: stop - begin] = _allocated(variable._h5ds, begin, stop)  # noqa: SLF001 - as above
    values = np.asarray(variable[begin:stop]) if begin < stop else np.empty(0, dtype=variable.dtype)
    return values, written


def _allocated(dataset: Any, begin: int, stop: int) -> Flags:
    """Which rows have a place in the file: what HDF5 fills the others with may be a plausible time."""
    if dataset.chunks is None:
        return np.full(stop - begin, dataset.id.get_storage_size() > 0)
    size = dataset.chunks[0]
    if dataset.id.get_num_chunks() == -(-dataset.shape[0] // size):
        return np.ones(stop - begin, dtype=bool)
    firsts = range(begin // size * size, stop, size)
    there = [dataset.id.get_chunk_info_by_coord((first,)).byte_offset is not None for first in firsts]
    allocated: Flags = np.repeat(np.array(there, dtype=bool), size)
    return allocated[begin - begin // size * size :][: stop - begin]


def _known(variable: Any, values: NDArray[Any]) -> Flags:
    known: Flags = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, dtype=bool)
    for name in ("_FillValue", "missing_value"):
        if name in variable.attrs:
            known &= ~np.isin(values, np.asarray(variable.attrs[name]))
    return known


def _calendar(job: Job, time: Any) -> str:
    """In lower case, empty for none; UnusableFileError where it is none of topside's."""
    calendar = _text(time, "calendar")
    if (calendar.lower() or "standard") not in _CALENDARS:
        reason = (
            f"variable {job.column!r} has the calendar {calendar!r}: expected {', '.join(sorted(_CALENDARS))}"
        )
        raise UnusableFileError(job.path, reason)
    return calendar.lower()


def _scale(job: Job, units: str, calendar: str) -> Scale | None:
    """What the numbers count by their units; None where these say nothing of it."""
    found = _SINCE.fullmatch(units.strip())
    if found is None or found["unit"].lower() not in _UNITS:
        if counts_from_an_instant(units):
            raise UnusableFileError(
                job.path, f"variable {job.column!r} has units that are not known: {units!r}"
            )
        return None
    if job.stamps.since is not None:
        raise UnusableFileError(job.path, f"--since: variable {job.column!r} counts {units!r} already")
    zero = _zero(job.path, found)
    if zero < _REFORM and calendar != "proleptic_gregorian":
        raise UnusableFileError(job.path, f"{units!r}: before 1582 it needs the calendar proleptic_gregorian")
    zone = found["zone"] or ""
    zero_ns = (zero - _EPOCH) // timedelta(microseconds=1) * 1_000 + int((found["part"] or "0").ljust(9, "0"))
    unit_ns = _UNITS[found["unit"].lower()]
    return Scale(units, unit_ns, zero_ns - _east_ns(zone), local=not zone)


def _zero(path: Path, found: re.Match[str]) -> datetime:
    year, month, day = map(int, found["date"].split("-"))
    hour, minute, second = (int(each) for each in f"{found['time'] or '0:0'}:0".split(":")[:3])
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise UnusableFileError(path, f"units {found[0]!r}: {error}") from error


def _east_ns(zone: str) -> int:
    if not zone or zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "")
    hours, minutes = (int(digits), 0) if len(digits) <= 2 else (int(digits[:-2]), int(digits[-2:]))  # noqa: PLR2004 - of hours
    return (-1 if zone[0] == "-" else 1) * (hours * 3_600 + minutes * 60) * S


def _text(variable: Any, name: str) -> str:
    value = variable.attrs.get(name, "")
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
