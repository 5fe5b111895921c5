"""All forms that a column may have, as far as the options leave them open: a reader and a scale for each."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.stamps.calendar import UNDECIDED
from tidesync.sessions.correction.stamps.numbers import (
    GPS_WEEKS,
    NAMED,
    NS_OF_UNIT,
    UNIX,
    Scale,
    decimal,
    since,
)
from tidesync.sessions.correction.stamps.options import UndecidedError
from tidesync.sessions.correction.stamps.readers import (
    ANY_DIGITS,
    AnchoredReader,
    CalendarReader,
    NumberReader,
    PairReader,
    Reader,
)
from tidesync.sessions.correction.stamps.widths import padded_parts, part_width

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidesync.sessions.correction.stamps.options import StampOptions
    from tidesync.sessions.correction.stamps.session_span import SessionSpan

ISO = "iso"
UNITS = (ISO, *NS_OF_UNIT)

_UNIT_IN_NAME = re.compile(
    r"(?:^|[\W_])(?:(n|nano)|(u|µ|μ|micro)|(m|milli))?s(?:ec(?:ond)?s?)?[)\]]?$", re.IGNORECASE
)
_Meant = tuple[Reader, Scale | None]
"""A reader, and the scale on which instants are written (None: ISO 8601)."""


@dataclass(frozen=True, slots=True)
class ColumnContext:
    """What is known about a column beside its values."""

    name: str
    """Of the column, or of both with a comma; empty: the file has no columns."""
    span: SessionSpan
    options: StampOptions
    unit: str | None = None
    """One of UNITS, where it is stated."""
    zone: str | None = None
    """The zone that the session's metadata states."""
    fixed: bool = False
    """Whether the file's format says what its values count, so that no option does."""

    @property
    def subject(self) -> str:
        """Of a sentence on its values."""
        return f"column {self.name!r}" if self.name else "it"

    @property
    def elapsed(self) -> str:
        """The column of elapsed times, without that of their starts."""
        return self.name.removeprefix(f"{self.options.since_column},")


def readers_of(column: ColumnContext, values: Sequence[str]) -> Iterator[_Meant]:
    """All that may be meant."""
    if column.options.since is not None:
        return _elapsed(column, values)
    if column.options.time_format is not None:
        return _of_format(column, values)
    return _usual(column, values)


def _usual(column: ColumnContext, values: Sequence[str]) -> Iterator[_Meant]:
    if column.unit in {None, ISO}:
        yield _calendar(UNDECIDED, values), None
    for scale in UNIX:
        if column.unit in {None, scale.name}:
            yield NumberReader(scale, column.options.decimal == ","), scale
    if column.options.columns:
        yield PairReader(UNIX[0], _part_ns(column, values), _part_width(values)), None


def _of_format(column: ColumnContext, values: Sequence[str]) -> Iterator[_Meant]:
    options = column.options
    if not options.scales:
        reader = _calendar(options.dates or (options.pattern(),), values)
        yield reader if options.dates else replace(reader, digits=ANY_DIGITS), None
        return
    for scale in NAMED[options.time_format or ""]:
        yield NumberReader(scale, options.decimal == ","), scale
    if options.time_format == "gps" and options.columns:
        yield PairReader(GPS_WEEKS, NS_OF_UNIT["s"]), None
        yield PairReader(GPS_WEEKS, NS_OF_UNIT["ms"]), None


def _elapsed(column: ColumnContext, values: Sequence[str]) -> Iterator[_Meant]:
    """Since an instant; or beside their anchors: if all are the same, rows without one have it too."""
    comma = column.options.decimal == ","
    if column.options.since_column is None:
        for scale in elapsed_scales(column):
            yield NumberReader(scale, comma), None
        return
    unit = _unit_of_elapsed(column)
    counted = next(scale for scale in UNIX if scale.name == unit)
    anchors = {value.rpartition(" ")[0].strip() for value in values} - {""}
    readers: tuple[Reader, ...] = (_calendar(UNDECIDED, [*anchors]), *map(NumberReader, UNIX))
    for reader in readers:
        usual = reader.parse(next(iter(anchors))) if len(anchors) == 1 else None
        yield AnchoredReader(reader, counted, comma, usual), None


def _calendar(patterns: Sequence[re.Pattern[str]], values: Sequence[str]) -> CalendarReader:
    """A column with AM and PM, seconds, a zone's digits, or zeros in front, has them in every row."""
    reader = CalendarReader(patterns)
    found = [parsed for parsed in map(reader.parse, values) if parsed is not None]
    twelve = 2 * sum(each.twelve for each in found) > len(found)
    seconds = 2 * sum(each.step_ns <= NS_OF_UNIT["s"] for each in found) > len(found)
    zones = Counter(each.zone_digits for each in found if each.zone_digits)
    zone_digits = max(zones, key=lambda digits: (zones[digits], digits), default=0)
    padded = padded_parts(found)
    return CalendarReader(patterns, twelve=twelve, seconds=seconds, zone_digits=zone_digits, padded=padded)


def elapsed_scales(column: ColumnContext) -> tuple[Scale, ...]:
    """Of numbers that count from the stated instant."""
    return since(since_of(column.options)[0], _unit_of_elapsed(column))


def since_of(options: StampOptions) -> tuple[int, int]:
    """The anchor and the unit of its last digit, ns."""
    found = CalendarReader(UNDECIDED).parse((options.since or "").strip())
    zone = options.stated_zone
    if found is None or not (found.fixed or zone):
        raise UndecidedError(
            f"--since {options.since!r}: expected an instant with its zone, as 2026-05-01T12:00:00.000Z"
        )
    if found.fixed or zone is None:
        return found.at_ns, found.step_ns
    return int(zone.utc(np.array([found.at_ns])).utc_ns[0]), found.step_ns


def _unit_of_elapsed(column: ColumnContext) -> str:
    named = _UNIT_IN_NAME.search(column.name)
    unit = column.unit
    if unit is None and named:
        unit = "ns" if named[1] else "us" if named[2] else "ms" if named[3] else "s"
    if unit is None or unit == ISO:
        accepted = ", ".join(NS_OF_UNIT)
        counts = f"{column.elapsed!r} counts" if column.name else "its numbers count"
        raise UndecidedError(f"--since: say with --unit what {counts}: {accepted}")
    return unit


def _part_width(values: Sequence[str]) -> int:
    return part_width([value.rpartition(" ")[2] for value in values if decimal(value.rpartition(" ")[2])])


def _part_ns(column: ColumnContext, values: Sequence[str]) -> int:
    """What the second of two numbers counts: by its name; else seconds if all are below one, else by size."""
    named = _UNIT_IN_NAME.search(column.options.columns[1])
    if named and (named[1] or named[2] or named[3]):
        return NS_OF_UNIT["ns" if named[1] else "us" if named[2] else "ms"]
    parts = [part for value in values if (part := decimal(value.rpartition(" ")[2]))]
    if any(part.places > 0 and part.digits for part in parts) and all(abs(part.value) < 1 for part in parts):
        return NS_OF_UNIT["s"]
    digits = len(str(int(max((part.value for part in parts), default=0))))
    return NS_OF_UNIT["ms" if digits <= 3 else "us" if digits <= 6 else "ns"]  # noqa: PLR2004 - digits
