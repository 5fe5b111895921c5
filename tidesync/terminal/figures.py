"""Numbers, ages and spans as people read them in a terminal."""

from __future__ import annotations

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


def figure(value: float | None, decimals: int) -> str:
    """`value` with so many decimals, or `-`: what is missing is never 0."""
    return "-" if value is None else f"{value:.{decimals}f}"


def span(seconds: float) -> str:
    """`4.2 s`, `3 min 12 s`, `2 h 05 min`, `12 d 03 h`."""
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{seconds:.1f} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S:02d} s"
    if whole < _DAY_S:
        return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S:02d} min"
    return f"{whole // _DAY_S} d {whole % _DAY_S // _HOUR_S:02d} h"


def ago(seconds: float | None) -> str:
    """How long ago, in words; what lies ahead of this computer's clock is said to."""
    if seconds is None:
        return "never"
    if seconds < -1:
        return f"{span(-seconds)} ahead of this clock"
    return f"{span(max(0.0, seconds))} ago"
