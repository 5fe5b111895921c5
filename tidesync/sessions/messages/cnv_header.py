"""The header of Sea-Bird's .cnv: its columns, its start, and what of its columns is a time, pure.

Source: Sea-Bird's manual of SBE Data Processing. Each line begins with `*` or `#` up to `*END*`; a scan is a
line of numbers of eleven characters each. timeJ, days of the year of which the first is 1, is made of the
start and the scans counted since, as timeS is; timeJV2 and timeK are of the instrument's clock in each scan.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from schemas.compat import UTC
from tidesync.sessions.correction.stamps.numbers import DAY_NS, S, Scale

if TYPE_CHECKING:
    from collections.abc import Iterable

END = b"*END*"
_NAME = re.compile(r"#\s*name\s+(\d{1,4})\s*=\s*([^:\s]+)\s*(?::.*)?")
_VALUE = re.compile(r"#\s*(start_time|bad_flag|file_type|nquan|datcnv_skipover)\s*=\s*(.*?)\s*")
_START = re.compile(r"([A-Z][a-z]{2}\s+\d{1,2}\s+\d{4}\s+\d\d:\d\d:\d\d)\s*(?:\[(.*)\])?", re.ASCII)
_CAST = re.compile(
    r"\*\s*cast\s+\d+\s+(?:(\d{1,2})\s+([A-Z][a-z]{2})\s+(\d{4})|(\d\d)/(\d\d))\s+(\d\d:\d\d:\d\d)\b.*",
    re.ASCII | re.IGNORECASE,
)
_UPLOAD = re.compile(r"up\s*load", re.IGNORECASE)
_NEAR = timedelta(seconds=2)
_2000_NS = 946_684_800 * S

ELAPSED = {"timeS": S, "timeM": 60 * S, "timeH": 3_600 * S}
"""Times since the start: what one counts, ns."""
_COUNTED = {
    "timeK": Scale("timeK", S, _2000_NS, local=True),
    "timeY": Scale("timeY", S, 0, local=True),
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_PREFERRED = ("timeK", "timeY", "timeJV2", "timeS", "timeM", "timeH", "timeJ")
_GPS = ("timeN", "timeQ")


class TimeColumn(NamedTuple):
    """A column of time: where it is among the others, and what it counts."""

    name: str
    place: int
    elapsed_ns: int
    """What one counts of the time since the start, ns; 0: it counts as `scale` has it."""
    scale: Scale | None
    begin_ns: int = 0
    """What it shows at the start, ns."""


@dataclass(slots=True)
class CnvHeader:
    """What a header says."""

    names: dict[int, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    starts: list[str] = field(default_factory=list)
    """Every start_time that is there."""
    casts: list[tuple[str, str, str, str]] = field(default_factory=list)
    """Day, month, year (empty where it is not written) and time of day of each cast that was uploaded."""

    @classmethod
    def of(cls, lines: Iterable[str]) -> CnvHeader:
        """Of its lines; what stands in several counts as in the first."""
        made = cls()
        for line in lines:
            if match := _NAME.fullmatch(line):
                made.names.setdefault(int(match[1]), match[2])
            elif match := _VALUE.fullmatch(line):
                made.values.setdefault(match[1], match[2])
                if match[1] == "start_time":
                    made.starts.append(match[2])
            elif match := _CAST.fullmatch(line):
                day, month, year, month_number, day_number, time = match.groups(default="")
                made.casts.append((day or day_number, month or month_number, year, time))
        return made

    @property
    def columns(self) -> list[str]:
        """Their names, in order; empty where one is missing."""
        count = self.values.get("nquan", str(len(self.names)))
        complete = count.isdecimal() and sorted(self.names) == list(range(int(count)))
        return [self.names[place] for place in range(int(count))] if complete else []

    @property
    def start(self) -> tuple[str, str] | None:
        """Its text, and by which clock it is; None: there is none."""
        match = _START.fullmatch(self.values.get("start_time", ""))
        return (" ".join(match[1].split()), match[2] or "") if match else None

    @property
    def uploaded(self) -> bool:
        """Whether its start is when the computer took the file over."""
        return self.start is not None and _UPLOAD.search(self.start[1]) is not None

    @property
    def contradiction(self) -> str:
        """Why its start cannot be right; empty where nothing in the header is against it."""
        texts = {" ".join(each.split()) for each in self.starts}
        if len(texts) > 1:
            return f"it has start_time {' and '.join(map(repr, self.starts))}, which contradict each other"
        begin = self._begin()
        if begin is None or not self.uploaded or not self.casts:
            return ""
        near = [begin + _NEAR, begin, begin - _NEAR]  # one may be of another year
        casts = [_instant(each, beside.year) for each in self.casts for beside in near]
        if any(at is not None and abs(at - begin) <= _NEAR for at in casts):
            return ""
        cast = " ".join(filter(None, self.casts[0]))
        return f"its start_time {self.starts[0]!r} is when it was uploaded: its cast is of {cast}"

    def time_column(self, name: str | None) -> TimeColumn | str:
        """The column of that name, or the one to take; a sentence where there is none."""
        columns = self.columns
        known = [each for each in _PREFERRED if each in columns]
        if name is None and not known:
            gps = [each for each in _GPS if each in columns]
            also = f" ({gps[0]} is time of GPS, not of a clock that was measured)" if gps else ""
            return f"it has no column of time: expected one of {', '.join(_PREFERRED)}{also}"
        name = known[0] if name is None else name
        if name not in known:
            expected = f"expected one of {', '.join(_PREFERRED)}, received {columns}"
            return f"there is no column of time {name!r}: {expected}"
        return self._column(name, columns.index(name))

    def _column(self, name: str, place: int) -> TimeColumn | str:
        if name in ELAPSED:
            return TimeColumn(name, place, ELAPSED[name], None)
        if name in _COUNTED:
            return TimeColumn(name, place, 0, _COUNTED[name])
        begin = self._begin()
        if begin is None:
            return f"column {name!r} has days of a year that start_time does not state"
        zero_ns = _unix_ns(begin.replace(month=1, day=1, hour=0, minute=0, second=0)) - DAY_NS
        if name == "timeJ":
            return TimeColumn(name, place, DAY_NS, None, _unix_ns(begin) - zero_ns)
        return TimeColumn(name, place, 0, Scale(name, DAY_NS, zero_ns, local=True))

    def _begin(self) -> datetime | None:
        """The start by its own clock; None where it is none."""
        if self.start is None:
            return None
        month, day, year, time = self.start[0].split()
        return _instant((day, month, year, time), 0)


def _instant(written: tuple[str, str, str, str], other_year: int) -> datetime | None:
    """Of day, month, year (the other one where it is empty) and time of day; None: there is no such date."""
    day, month, year, time = written
    try:
        hour, minute, second = (int(each) for each in time.split(":"))
        number = int(month) if month.isdecimal() else 1 + _MONTHS.index(month.capitalize())
        return datetime(int(year or other_year), number, int(day), hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def _unix_ns(at: datetime) -> int:
    return int(at.timestamp()) * S
