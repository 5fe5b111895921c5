"""Dates with a time of day, as text: what the accepted ways of writing them have in common is their parts.

Accepted without an option: ISO 8601 (extended and basic, date and time divided by T, a space or a comma),
year first with / or ., names of months (1 May 2026, May 1, 2026, RFC 2822, the output of `date`), the time
before the date, 12 hours with AM or PM; behind it Z, UTC, GMT, +01:00 or UTC+1. A date in numbers that does
not begin with the year is read with `day-first` or `month-first` only: 05/06/2026 is never guessed.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import NamedTuple

S = 1_000_000_000
MINUTE_NS, HOUR_NS, DAY_NS = 60 * S, 3600 * S, 86_400 * S

_EPOCH = date(1970, 1, 1).toordinal()
_NAMES = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_MONTHS = {name[:length]: number for number, name in enumerate(_NAMES, 1) for length in (3, len(name))}
_MONTHS["sept"] = 9
_HOURS, _HALF_DAY, _SIXTY, _NANO = 24, 12, 60, 9
_CENTURY = 2000

_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+)?"
_FRACTION = r"(?:[.,](?P<f>\d+))?"
_TIMES = (
    rf"(?P<H>\d\d?):(?P<M>\d\d)(?::(?P<S>\d\d){_FRACTION})?(?:\s?(?P<p>[ap]\.?m\.?))?",
    rf"(?P<H>\d\d)(?P<M>\d\d)(?:(?P<S>\d\d){_FRACTION})?",
)
_DISTANCE = r"(?:utc|gmt)(?:[+-]\d\d?(?::?\d\d)?)?|[+-]\d\d(?::?\d\d)?"
_ZONE = rf"(?:\s?(?P<z>z|{_DISTANCE})(?:\[[\w/+-]+\])?(?:\s\([a-z]+\))?)?"
_YEAR_FIRST = (
    r"(?P<Y>\d{4})(?P<s>[-/.])(?P<m>\d\d?)(?P=s)(?P<d>\d\d?)",
    r"(?P<Y>\d{4})(?P<m>\d\d)(?P<d>\d\d)",
)
_NAMED = (
    _WEEKDAY + r"(?P<d>\d\d?)[\s-](?P<b>[a-z]{3,9})\.?,?[\s-](?P<Y>\d{4})",
    _WEEKDAY + r"(?P<b>[a-z]{3,9})\.?\s+(?P<d>\d\d?),?\s+(?P<Y>\d{4})",
)
_DAY_FIRST = (r"(?P<d>\d\d?)(?P<s>[-/.])(?P<m>\d\d?)(?P=s)(?P<Y>\d{4}|\d\d)",)
_MONTH_FIRST = (r"(?P<m>\d\d?)(?P<s>[-/.])(?P<d>\d\d?)(?P=s)(?P<Y>\d{4}|\d\d)",)

_DIRECTIVES = {
    "Y": r"(?P<Y>\d{4})",
    "y": r"(?P<Y>\d\d)",
    "m": r"(?P<m>\d\d?)",
    "d": r"(?P<d>\d\d?)",
    "e": r"\s?(?P<d>\d\d?)",
    "j": r"(?P<j>\d{1,3})",
    "b": r"(?P<b>[a-z]{3,9})",
    "H": r"(?P<H>\d\d?)",
    "I": r"(?P<H>\d\d?)",
    "M": r"(?P<M>\d\d?)",
    "S": r"(?P<S>\d\d?)",
    "f": r"(?P<f>\d+)",
    "3f": r"(?P<c3>\d{1,3})",
    "6f": r"(?P<c6>\d{1,6})",
    "9f": r"(?P<c9>\d{1,9})",
    "s": r"(?P<u>\d{9,11})",
    "p": r"(?P<p>[ap]\.?m\.?)",
    "z": r"(?P<z>z|[+-]\d\d(?::?\d\d)?)",
    "Z": r"(?P<z>z|utc|gmt)",
    "a": "[a-z]+",
    "%": "%",
}
_DIRECTIVES |= {"B": _DIRECTIVES["b"], "h": _DIRECTIVES["b"], "A": _DIRECTIVES["a"]}
_SHORT = {"%F": "%Y-%m-%d", "%T": "%H:%M:%S", "%R": "%H:%M", "%D": "%m/%d/%y", "%c": "%a %b %d %H:%M:%S %Y"}


class Written(NamedTuple):
    """A text's local time (ns since 1970-01-01T00:00 on that clock) and how finely it is written."""

    local_ns: int
    step_ns: int
    """The unit of the last digit."""
    east_ns: int | None
    """How far the stated zone is east of UTC; None where none is stated."""
    twelve: bool
    """Whether AM or PM is stated."""
    zone_digits: int = 0
    """How many digits its zone has."""
    digits: int = 0
    """How many its fraction has."""
    narrow: int = 0
    """Its parts of one digit: a sum of DATE, HOUR and MINUTE."""
    padded: int = 0
    """The same of parts that begin with a zero."""


DATE, HOUR, MINUTE = 1, 2, 4
_WIDTHS = {"m": DATE, "d": DATE, "H": HOUR, "M": MINUTE, "S": MINUTE}


def _compiled(text: str) -> re.Pattern[str]:
    return re.compile(text, re.ASCII | re.IGNORECASE)


def _patterns(dates: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """Each date with each time behind or before it."""
    behind = [
        f"{day}{between}{time}{_ZONE}"
        for day in dates
        for time, between in zip(_TIMES, _BETWEEN, strict=True)
    ]
    before = [rf"{_TIMES[0]},?\s+{day}{_ZONE}" for day in dates]
    return tuple(_compiled(text) for text in (*behind, *before))


_BETWEEN = (r"(?:t|_|,?\s+)", r"(?:t|_|,?\s+)?")
_DATE_COMMAND = rf"{_WEEKDAY}(?P<b>[a-z]{{3}})\s+(?P<d>\d\d?)\s+{_TIMES[0]}{_ZONE}\s+(?P<Y>\d{{4}})"
UNDECIDED = (*_patterns(_YEAR_FIRST + _NAMED), _compiled(_DATE_COMMAND))
DAY_FIRST, MONTH_FIRST = _patterns(_DAY_FIRST), _patterns(_MONTH_FIRST)


def pattern_of_format(text: str) -> re.Pattern[str]:
    """The pattern of a strptime format; ValueError where it cannot give an instant."""
    for short, long in _SHORT.items():
        text = text.replace(short, long)
    found, parts = [], re.split(r"%-?([369]f|.)", text)
    literals, directives = parts[::2], [*parts[1::2], ""]
    for place, (literal, directive) in enumerate(zip(literals, directives, strict=True)):
        found.append(re.sub(r"(?:\\?\s)+", r"\\s+", re.escape(literal)))
        if directive and directive not in _DIRECTIVES:
            raise ValueError(f"%{directive} is not read: expected one of %{' %'.join(sorted(_DIRECTIVES))}")
        between = [literals[place], *literals[place + 1 : place + 2]]
        alone = (place == 0 or between[0]) and (place + 1 == len(directives) - 1 or between[-1])
        part = _DIRECTIVES.get(directive, "")
        # Digits that follow digits are as many as can be, else a shorter text would match.
        found.append(part if alone else part.replace(r"\d\d?", r"\d\d").replace("{1,3}", "{3}"))
    try:
        pattern = _compiled("".join(found))
    except re.error as error:
        raise ValueError("a part is stated twice") from error
    has = pattern.groupindex.keys()
    if len(has & {"f", "c3", "c6", "c9"}) > 1 or ("u" in has and has & set("YmdbjHMSpz")):
        raise ValueError("a part is stated twice")
    if "u" not in has and not (
        "Y" in has and "H" in has and ("j" in has or ("d" in has and has & {"m", "b"}))
    ):
        raise ValueError("it must have a year, a month, a day and an hour")
    if "%I" in text and "p" not in has:
        raise ValueError("%I needs %p")
    return pattern


def written(match: re.Match[str]) -> Written | None:
    """The local time of a match of any of these patterns; None where there is no such time."""
    part = match.groupdict()
    written_digits = part.get("f") or part.get("c3") or part.get("c6") or part.get("c9") or ""
    digits = part.get("f") or _counted(part)
    fraction = int(digits[:_NANO].ljust(_NANO, "0"))
    step = 10 ** max(_NANO - len(digits), 0) if digits else _step_ns(part)
    if part.get("u"):
        return Written(int(part["u"]) * S + fraction, step, 0, twelve=False, digits=len(written_digits))
    day = _day_ns(part["Y"], part.get("m") or part.get("b") or "", part.get("d") or "", part.get("j") or "")
    hour, minute, second = int(part.get("H") or 0), int(part.get("M") or 0), int(part.get("S") or 0)
    half = (part.get("p") or "").lower()
    if half:
        if not 1 <= hour <= _HALF_DAY:
            return None
        hour = hour % _HALF_DAY + (_HALF_DAY if half[0] == "p" else 0)
    east = east_ns(part.get("z"))
    if day is None or hour >= _HOURS or minute >= _SIXTY or second >= _SIXTY or east == _NO_ZONE:
        return None
    time = (hour * _SIXTY + minute) * _SIXTY + second
    narrow = padded = 0
    for name, kind in _WIDTHS.items():
        text = part.get(name)
        if text and len(text) == 1:
            narrow |= kind
        elif text and text[0] == "0":
            padded |= kind
    local_ns, zone_digits = day + time * S + fraction, _digits_in(part.get("z"))
    return Written(local_ns, step, east, bool(half), zone_digits, len(written_digits), narrow, padded)


def _counted(part: dict[str, str | None]) -> str:
    """The digits of a fraction that is a count of ms, us or ns."""
    counts = ((part.get(f"c{digits}"), digits) for digits in (3, 6, 9))
    return next((count.rjust(digits, "0") for count, digits in counts if count), "")


def _step_ns(part: dict[str, str | None]) -> int:
    return S if part.get("S") or part.get("u") else MINUTE_NS if part.get("M") else HOUR_NS


@lru_cache(maxsize=512)
def _day_ns(year: str, month: str, day: str, of_year: str) -> int | None:
    number = int(month) if month.isdigit() else _MONTHS.get(month.lower(), 0)
    whole = int(year) if len(year) > 2 else _CENTURY + int(year)  # noqa: PLR2004 - digits
    try:
        if of_year:
            found = date(whole, 1, 1).toordinal() + int(of_year) - 1
            same_year = date.fromordinal(found).year == whole
            return (found - _EPOCH) * DAY_NS if same_year else None
        return (date(whole, number, int(day)).toordinal() - _EPOCH) * DAY_NS
    except (ValueError, OverflowError):
        return None


_NO_ZONE = -1


@lru_cache(maxsize=128)
def _digits_in(zone: str | None) -> int:
    return sum(character.isdigit() for character in zone or "")


@lru_cache(maxsize=128)
def east_ns(zone: str | None) -> int | None:
    """How far a stated zone is east of UTC; None where none is stated, _NO_ZONE where it is none."""
    if zone is None:
        return None
    rest = re.sub(r"^(?:z|utc|gmt)", "", zone, flags=re.IGNORECASE)
    if not rest:
        return 0
    digits = rest[1:].replace(":", "")
    hours, minutes = (int(digits), 0) if len(digits) <= 2 else (int(digits[:-2]), int(digits[-2:]))  # noqa: PLR2004
    if hours >= _HOURS or minutes >= _SIXTY:
        return _NO_ZONE
    return (hours * _SIXTY + minutes) * MINUTE_NS * (1 if rest[0] == "+" else -1)
