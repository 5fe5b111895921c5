"""Texts of usual forms, many at once: ISO 8601 of fixed width, and plain decimal numbers of Unix units.

The rest is left to the readers, one by one. Each vectorised form is read exactly as its reader reads it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tidesync.sessions.correction.stamps.calendar import MINUTE_NS, UNDECIDED, S
from tidesync.sessions.correction.stamps.numbers import NS_OF_UNIT
from tidesync.sessions.correction.stamps.readers import LATEST_NS, CalendarReader, NumberReader, is_longer

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tidesync.sessions.correction.stamps.readers import Reader
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Integers

Read = tuple["Integers | int", bool, int, "Flags | bool"]
"""Unix ns on the column's clock, whether that is UTC, the unit of the last digit, which rows were read."""

_TEMPLATES = 16
"""Texts of so many different shapes are read at once; those of further shapes one by one."""
_NOTHING: Read = (0, False, 0, False)
_PARTS, _SECOND = ((0, 4), (5, 7), (8, 10), (11, 13), (14, 16)), (17, 19)
_TO_MINUTE = 16
_ISO = re.compile(
    r"\d{4}([-/.])\d\d\1\d\d[Tt_ ]\d\d:\d\d:\d\d(?:[.,](?P<f>\d+))?"
    r"(?:\s?(?P<z>[zZ]|UTC|GMT|(?P<sign>[+-])(?P<h>\d\d)(?::?(?P<m>\d\d))?))?",
    re.ASCII,
)
_TEN, _ZERO, _NANO, _MOST_DIGITS = 10, ord("0"), 9, 18
_EPOCH, _EARLIEST, _LATEST = 1970, 1800, 2200


def block_of(
    reader: Reader, buffer: NDArray[np.uint8], starts: Integers, ends: Integers
) -> tuple[Integers, Flags, Integers, Flags]:
    """Of each text what `Read` has; whether it was read here."""
    at_ns, steps_ns = np.zeros(starts.shape, dtype=np.int64), np.zeros(starts.shape, dtype=np.int64)
    fixed, done = np.zeros(starts.shape, dtype=bool), np.zeros(starts.shape, dtype=bool)
    if isinstance(reader, CalendarReader) and reader.patterns is UNDECIDED and not reader.twelve:
        read: Callable[[Reader, NDArray[np.uint8], Flags], Read] = _iso
    elif isinstance(reader, NumberReader) and reader.scale.unit_ns in NS_OF_UNIT.values():
        read = _numbers
    else:
        return at_ns, fixed, steps_ns, done
    left = np.ones(starts.shape, dtype=bool)
    lengths = ends - starts
    for _ in range(_TEMPLATES):
        todo = np.flatnonzero(left)
        if not todo.size:
            break
        same = todo[lengths[todo] == lengths[todo[0]]]
        length = int(lengths[todo[0]])
        text = sliding_window_view(buffer, length)[starts[same]] if length else np.empty((same.size, 0), "u1")
        digit = (text - _ZERO) < _TEN  # bytes wrap around
        matches = ((digit == digit[0]) & (digit | (text == text[0]))).all(axis=1)
        rows = same[matches]
        left[rows] = False
        at_ns[rows], fixed[rows], steps_ns[rows], done[rows] = read(reader, text[matches], digit[0])
    return at_ns, fixed, steps_ns, done


def _value(text: NDArray[np.uint8], begin: int, end: int) -> Integers:
    """The digits from `begin` to `end` as numbers; at most 18."""
    value = np.zeros(text.shape[0], dtype=np.int64)
    for place in range(begin, end):
        value = value * _TEN + (text[:, place] - _ZERO)
    return value


def _nanoseconds(text: NDArray[np.uint8], begin: int, end: int, digits: int = _NANO) -> Integers:
    """The digits of a fraction in units of 10^−`digits`, rounded down."""
    end = min(end, begin + digits)
    found: Integers = _value(text, begin, end) * _TEN ** (digits - (end - begin))
    return found


def _iso(reader: Reader, text: NDArray[np.uint8], _digit: Flags) -> Read:
    """Texts that have their digits where the first has them, and its other characters."""
    assert isinstance(reader, CalendarReader)
    first = text[0].tobytes().decode("latin-1")
    found = _ISO.fullmatch(first)
    digits = len((found["f"] or "") if found else "")
    if not found or 0 < digits < reader.digits or is_longer(digits, reader.most_digits):
        return _NOTHING
    if reader.zone_digits and len((found["h"] or "") + (found["m"] or "")) not in {0, reader.zone_digits}:
        return _NOTHING
    changes = np.append(True, (text[1:, :_TO_MINUTE] != text[:-1, :_TO_MINUTE]).any(axis=1))
    minutes, valid_minutes = _minutes(text[changes])
    which = np.cumsum(changes) - 1
    second = _value(text, *_SECOND)
    valid = valid_minutes[which] & (second < 60)  # noqa: PLR2004
    at_ns = minutes[which] * MINUTE_NS + second * S
    if found["f"]:
        at_ns += _nanoseconds(text, *found.span("f"))
    if found["sign"]:
        east_h = _value(text, *found.span("h"))
        east_m = _value(text, *found.span("m")) if found["m"] else np.zeros_like(east_h)
        valid &= (east_h < 24) & (east_m < 60)  # noqa: PLR2004
        at_ns -= (east_h * 60 + east_m) * MINUTE_NS * (1 if found["sign"] == "+" else -1)
    return at_ns, bool(found["z"]), 10 ** max(_NANO - len(found["f"] or ""), 0), valid


def _minutes(text: NDArray[np.uint8]) -> tuple[Integers, Flags]:
    """The minutes since 1970 of dates with a time of day, and which there are."""
    year, month, day, hour, minute = (_value(text, *each) for each in _PARTS)
    months = (year - _EPOCH) * 12 + month - 1
    first_day = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    next_month = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    valid = (month >= 1) & (month <= 12) & (day >= 1) & (day <= next_month - first_day) & (year >= 1)  # noqa: PLR2004
    valid &= (hour < 24) & (minute < 60)  # noqa: PLR2004
    # Far years do not fit 64 bits: the reader refuses them.
    valid &= (year > _EARLIEST) & (year < _LATEST)
    return ((first_day + day - 1) * 24 + hour) * 60 + minute, valid


def _numbers(reader: Reader, text: NDArray[np.uint8], digit: Flags) -> Read:
    """Digits with at most one decimal sign."""
    assert isinstance(reader, NumberReader)
    other = np.flatnonzero(~digit)
    length = text.shape[1]
    point = int(other[0]) if other.size else length
    sign = b"," if reader.comma else b"."
    if other.size > 1 or not 0 < point <= _MOST_DIGITS or (other.size and text[0, point] != sign[0]):
        return _NOTHING
    if 0 < length - point - 1 < reader.digits or is_longer(length - point - 1, reader.most_digits):
        return _NOTHING
    unit = reader.scale.unit_ns
    whole = _value(text, 0, point)
    valid = whole <= LATEST_NS // unit
    part = _nanoseconds(text, point + 1, length, len(str(unit)) - 1)
    step_ns = -(-unit // 10 ** max(length - point - 1, 0))
    return reader.scale.unix_ns(np.where(valid, whole, 0), part), True, step_ns, valid
