"""When a recording of Cockpit began, by the computer's clock: by its name, and by its subtitles' texts.

A name has the second in which it began, as `Reef 42 (Nov 30, 2026 - 02꞉08꞉13 GMT+0) #1a2b3c4d.mp4`. Subtitles
have times relative to that begin, and by default each shows its time of day to the second: after some minutes
only a few hundredths of a second are left in which all of them agree. Source: Cockpit's
`src/utils/video.ts` and `src/libs/sensors-logging.ts`.

A bound is what at least two texts prove, so that a single damaged one does not move it.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tidesync.sessions.correction.stamps.readers import EARLIEST_NS, LATEST_NS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from topside_agent.estimator.blocks import Integers

S = 1_000_000_000
_LAST_NS = S - 1_000_000
"""Cockpit's instants are whole ms: the latest one within a second."""
CENTISECOND_NS = 10_000_000
_WITHIN_NS = CENTISECOND_NS - 1_000_000
"""The latest one within a hundredth."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE = rf"(?P<month>{'|'.join(_MONTHS)}) (?P<day>\d\d), (?P<year>\d{{4}})"
_ZONE = r"GMT(?P<sign>[+-])(?P<east>\d{1,2})(?:[:_꞉](?P<minutes>\d\d))?"
_NAME = re.compile(
    rf"\({_DATE} - (?P<hour>\d\d)[꞉:_](?P<minute>\d\d)[꞉:_](?P<second>\d\d) {_ZONE}\)", re.ASCII
)
_TIME = re.compile(rf"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d) {_ZONE}", re.ASCII)
_DAY = re.compile(_DATE, re.ASCII)
EXPECTED = "`MISSION (Nov 30, 2026 - 02꞉08꞉13 GMT+0) #1a2b3c4d`"
"""A name as Cockpit writes it."""


class Begin(NamedTuple):
    """The first and the last instant at which a recording may have begun, Unix ns by the computer's clock."""

    first_ns: int
    last_ns: int
    by: str
    """What says so: `name` or `subtitles`."""

    @property
    def middle_ns(self) -> int:
        """Halfway between them."""
        return (self.first_ns + self.last_ns) // 2

    @property
    def half_ns(self) -> int:
        """How far it may be from there."""
        return -(-(self.last_ns - self.first_ns) // 2)


class Shown(NamedTuple):
    """A subtitle's begin after the recording's, cut off to hundredths, and the second that it shows; ns."""

    after_ns: int
    second_ns: int


def begin_of_name(name: str) -> Begin | None:
    """By a file's name; None where it has no such date."""
    match = _NAME.search(name)
    found = match and _instant(match.groupdict())
    return Begin(found, found + _LAST_NS, "name") if found else None


def second_of(parts: Sequence[str], near_ns: int | None) -> int | None:
    """The second that a text of these parts shows; None: none does.

    Of several days that which it names, else the one that is nearest to `near_ns`.
    """
    for part in parts:
        if (match := _TIME.fullmatch(part)) is None:
            continue
        days = [day.groupdict() for each in parts if (day := _DAY.fullmatch(each)) is not None]
        if days:
            return _instant({**match.groupdict(), **days[0]})
        return None if near_ns is None else _nearest(match.groupdict(), near_ns)
    return None


def begin_of_texts(shown: Sequence[Shown], named: Begin | None) -> Begin | None:
    """Where most subtitles agree, and the name too if it does; None: they do not, or are too few."""
    if len(shown) < 3:  # noqa: PLR2004 - two for each bound, and one that may be damaged
        return None
    after_ns, second_ns = np.array(shown, dtype=np.int64).T
    first_ns, last_ns = second_ns - after_ns - _WITHIN_NS, second_ns - after_ns + _LAST_NS
    best = _most_covered(first_ns, last_ns)
    agree = (first_ns <= best) & (best <= last_ns)
    if 10 * int(agree.sum()) < 9 * len(shown) or int(agree.sum()) < 2:  # noqa: PLR2004 - as above
        return None
    found = Begin(int(np.sort(first_ns[agree])[-2]), int(np.sort(last_ns[agree])[1]), "subtitles")
    if named is not None and found.first_ns <= named.last_ns and named.first_ns <= found.last_ns:
        first, last = max(found.first_ns, named.first_ns), min(found.last_ns, named.last_ns)
        return Begin(first, last, "subtitles")
    return found


def contradicts(shown: Shown, begin: Begin) -> bool:
    """Whether a subtitle shows another second than that in which it begins."""
    earliest_ns, latest_ns = begin.first_ns + shown.after_ns, begin.last_ns + shown.after_ns + _WITHIN_NS
    return latest_ns < shown.second_ns or earliest_ns > shown.second_ns + _LAST_NS


def rewritten(part: str, unix_ns: int, zone_of: Sequence[str]) -> str:
    """The part of a text with another instant, if it is a date or a time of day; in the zone of `zone_of`."""
    zones = [match.groupdict() for each in zone_of if (match := _TIME.fullmatch(each)) is not None]
    if not zones or not (_TIME.fullmatch(part) or _DAY.fullmatch(part)):
        return part
    local = datetime.fromtimestamp(unix_ns // S, _zone(zones[0]))
    if _DAY.fullmatch(part):
        return f"{_MONTHS[local.month - 1]} {local:%d, %Y}"
    return f"{local:%H:%M:%S}{part[8:]}"


def _most_covered(first_ns: Integers, last_ns: Integers) -> int:
    """An instant that most of the intervals have."""
    starts, ends = np.sort(first_ns), np.sort(last_ns)
    covered = np.searchsorted(starts, starts, side="right") - np.searchsorted(ends, starts, side="left")
    return int(starts[int(covered.argmax())])


def _nearest(time: dict[str, str], near_ns: int) -> int | None:
    day = datetime.fromtimestamp(near_ns // S, _zone(time))
    found = [instant for days in (-1, 0, 1) if (instant := _at(day + timedelta(days=days), time)) is not None]
    return min(found, key=lambda each: abs(each - near_ns), default=None)


def _instant(found: dict[str, str]) -> int | None:
    try:
        day = datetime(
            int(found["year"]),
            1 + _MONTHS.index(found["month"]),
            int(found["day"]),
            tzinfo=_zone(found),
        )
    except ValueError:
        return None
    return _at(day, found)


def _at(day: datetime, time: dict[str, str]) -> int | None:
    """The instant of a time of day on that day; None: there is none, or no clock shows it."""
    try:
        local = day.replace(
            hour=int(time["hour"]), minute=int(time["minute"]), second=int(time["second"]), microsecond=0
        )
        found = round(local.timestamp()) * S
    except (ValueError, OverflowError):
        return None
    return found if EARLIEST_NS <= found <= LATEST_NS else None


def _zone(found: dict[str, str]) -> timezone:
    """Its distance from UTC; what is none counts as UTC, and puts its text at odds with the others."""
    east = timedelta(hours=int(found["east"]), minutes=int(found["minutes"] or 0))
    east = east if east < timedelta(days=1) else timedelta(0)
    return timezone(-east if found["sign"] == "-" else east)
