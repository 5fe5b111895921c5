"""Times, durations and errors as people read them; errors are rounded up, never down."""

from __future__ import annotations

import math
from typing import Final

from schemas.instants import utc_from_ns
from tidesync.figures import is_long, span

_S = 1_000_000_000
_DAY_NS = 86_400 * _S
NO_BREAK: Final = "\N{NO-BREAK SPACE}"
"""A number stays with its unit at the end of a line."""


def clock_time(unix_ns: int, *, near_ns: int | None = None, decimals: int = 0) -> str:
    """`12:00:03` in UTC, truncated; with the date unless it is that of `near_ns`."""
    instant = utc_from_ns(unix_ns)
    text = f"{instant:%H:%M:%S}"
    if decimals:
        text += f".{instant.microsecond:06d}"[: decimals + 1]
    same_day = near_ns is not None and unix_ns // _DAY_NS == near_ns // _DAY_NS
    return text if same_day else f"{instant:%Y-%m-%d} {text}"


def duration(ns: float) -> str:
    """`0.3 s`, `12 s`, `5 min 3 s`, `1 h 12 min`."""
    tenths = round(ns / 1e8)
    if tenths < 100:  # noqa: PLR2004 - below ten seconds a tenth counts
        return f"{max(tenths, 1) / 10:g}{NO_BREAK}s" if ns > 0 else f"0{NO_BREAK}s"
    minutes, rest = divmod(round(ns / _S), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours}{NO_BREAK}h {minutes_left}{NO_BREAK}min"
    return f"{minutes}{NO_BREAK}min {rest}{NO_BREAK}s" if minutes else f"{rest}{NO_BREAK}s"


def error(ns: float) -> str:
    """`0.31 µs`, `0.42 ms`, `3.01 s`: two figures, of a second and more three; rounded up."""
    size, unit = _unit(ns, small_ns=10_000)
    value = ns / size
    if value <= 0:
        return f"0{NO_BREAK}ms"
    figures = 3 if ns >= 1e9 else 2  # noqa: PLR2004 - a second
    step = 10.0 ** (math.floor(math.log10(value)) + 1 - figures)
    up = math.ceil(round(value / step, 6)) * step
    return f"{up:.{max(0, -round(math.log10(step)))}f}{NO_BREAK}{unit}"


def signed(ns: float) -> str:
    """`+3.000 s`, `−12.345 ms`, `+40 µs`, `+0.02 µs`: for offsets and steps."""
    size, unit = _unit(abs(ns), small_ns=1_000_000)
    decimals = 3 if unit != "µs" else 0 if abs(ns) >= 10_000 else 2  # noqa: PLR2004 - from here on hundredths are noise
    return f"{'−' if ns < 0 else '+'}{abs(ns) / size:,.{decimals}f}{NO_BREAK}{unit}"


def step(ns: float) -> str:
    """As `signed`; of a minute and more `+56 y 341 d`, since a label has little room."""
    if not is_long(ns / 1e6):
        return signed(ns)
    return f"{'−' if ns < 0 else '+'}{span(abs(ns) / 1e9)}".replace(" ", NO_BREAK)


def milliseconds(ns: float, decimals: int = 3) -> str:
    """`−1,234.567 ms`; what is shown as 0 has no sign."""
    return f"{round(ns / 1e6, decimals) + 0.0:,.{decimals}f}".replace("-", "−") + f"{NO_BREAK}ms"


def count(number: int, one: str, many: str) -> str:
    """`1 step`, `1,200 steps`."""
    return f"{number:,} {one if number == 1 else many}"


def _unit(ns: float, *, small_ns: float) -> tuple[float, str]:
    """The unit for a size of `ns`, and how many ns it has; microseconds below `small_ns`."""
    if ns >= _S:
        return 1e9, "s"
    return (1e3, "µs") if ns < small_ns else (1e6, "ms")
