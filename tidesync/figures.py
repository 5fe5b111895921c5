"""Numbers, ages and tables as plain text, for terminals and for grep."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONG_MS = 60_000.0
_MOST_DECIMALS = 6
"""Of what is published: ns in ms."""
_MINUTE_S, _HOUR_S, _DAY_S, _YEAR_S = 60, 3600, 86_400, 31_536_000


def figure(value: float | None, decimals: int, unit: str = "") -> str:
    """`value` with this many decimals and its unit, or `-`: what is missing is never 0.

    Without separators of thousands, as everything that is printed in lines: those are read by programs, too.
    What is shown as 0 has no sign.
    """
    return "-" if value is None else f"{round(value, decimals) + 0.0:.{decimals}f} {unit}".rstrip()


def decimals_of(error: float | None, least: int, most: int = _MOST_DECIMALS) -> int:
    """The decimals at which `error` has two significant digits, for it and for what it is the error of."""
    if error is None or not 0 < error < math.inf:
        return least
    return max(least, min(most, 1 - math.floor(math.log10(error))))


def error_figure(
    error: float | None, decimals: int, value: float | None = None, value_decimals: int | None = None
) -> str:
    """`error` with this many decimals, or `-`: rounded up until it holds around `figure` of `value`, too.

    `value` is shown with as many decimals, or with `value_decimals`.
    """
    if error is None:
        return "-"
    shown = Decimal(repr(error))
    if value is not None:
        at = decimals if value_decimals is None else value_decimals
        shown += abs(Decimal(figure(value, at)) - Decimal(repr(value)))
    return _figure(shown, decimals, ROUND_CEILING)


def bound_figure(error: float | None, least: int) -> str:
    """An error alone, rounded up, with the decimals that it deserves, at least `least`."""
    return error_figure(error, decimals_of(error, least))


def limits_figure(lower: float | None, upper: float | None, decimals: int) -> str:
    """`LOWER to UPPER` with this many decimals, rounded outward."""
    if lower is None or upper is None:
        return "-"
    low, high = Decimal(repr(lower)), Decimal(repr(upper))
    return f"{_figure(low, decimals, ROUND_FLOOR)} to {_figure(high, decimals, ROUND_CEILING)}"


def _figure(value: Decimal, decimals: int, rounding: str) -> str:
    return f"{value.quantize(Decimal(1).scaleb(-decimals), rounding):f}"


def span(seconds: float) -> str:
    """`4.2 s`, `3 min 12 s`, `2 h 05 min`, `12 d 03 h`, `2 y 311 d` (of 365 days)."""
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{seconds:.1f} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S:02d} s"
    if whole < _DAY_S:
        return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S:02d} min"
    if whole >= _YEAR_S:
        return f"{whole // _YEAR_S} y {whole % _YEAR_S // _DAY_S} d"
    return f"{whole // _DAY_S} d {whole % _DAY_S // _HOUR_S:02d} h"


def text_of(name: str) -> str:
    """A file's name as text that UTF-8 has: bytes of it that are none in hexadecimal."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def counted(number: int, noun: str) -> str:
    """A number of things, as `1 file` and `2 files`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def some_of(names: Sequence[str], noun: str, most: int = 3) -> str:
    """`rov1, rov2`, or of more than `most` + 1: `37 vehicles (rov1, rov2, rov3, … and 34 more)`."""
    if len(names) <= most + 1:
        return ", ".join(names)
    first = ", ".join(names[:most])
    return f"{counted(len(names), noun)} ({first}, … and {len(names) - most} more)"


def is_long(ms: float | None) -> bool:
    """Whether a time is read in its units rather than in milliseconds."""
    return ms is not None and abs(ms) >= _LONG_MS


def distance(offset_ms: float) -> str:
    """`2 y 311 d behind`: how far a vehicle's clock is from topside's."""
    return f"{span(abs(offset_ms) / 1e3)} {'ahead' if offset_ms > 0 else 'behind'}"


def ago(seconds: float | None) -> str:
    """How long ago, in words; an instant in the future by this computer's clock is called so."""
    if seconds is None:
        return "never"
    if seconds < -1:
        return f"{span(-seconds)} ahead of this clock"
    return f"{span(max(0.0, seconds))} ago"


def in_columns(
    heads: Sequence[str], rows: Sequence[Sequence[str]], below: Sequence[Sequence[str]] = ()
) -> str:
    """`heads` and `rows` in columns, left-aligned; the lines of `below` are indented under their row."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = ["  ".join(map(str.ljust, heads, widths)).rstrip()]
    for row, remarks in zip(rows, below or [()] * len(rows), strict=True):
        lines.append("  ".join(map(str.ljust, row, widths)).rstrip())
        lines += [f"    {remark}" for remark in remarks]
    return "\n".join(lines)
