"""The steps in which a machine's clocks move: as the system says, and as they are seen to move.

A clock that is coarser than it says would make bounds wrong in silence, so its step is looked for. The
assumption: a clock shows its last step (rounds down), and makes none longer than the longer of what it says
and what was seen at the start. It is broken by a clock that becomes coarser later without saying so.
"""

from __future__ import annotations

import ctypes
import math
import time
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK_NS = 100_000_000
_STEPS = 4
_LONGER = 1.5
"""A step that is longer than the shortest by this was two, seen by a thread that had to wait."""
_FINE_S = 1e-6
_FILETIME_UNIT_NS = 100
_1601_TO_1970 = 116_444_736_000_000_000


class Source(NamedTuple):
    """How a clock is read, and the step that the system states, ns."""

    read_ns: Callable[[], int]
    stated_ns: int


def realtime() -> Source:
    """Python's, but on Windows where Python's has 15.6 ms (before 3.13) the system's precise one."""
    stated_s = time.get_clock_info("time").resolution
    precise = windows_time_ns() if stated_s > _FINE_S else None
    if precise is not None:
        return Source(precise, _FILETIME_UNIT_NS)
    return Source(time.time_ns, _whole_ns(stated_s))


def windows_time_ns() -> Callable[[], int] | None:
    """GetSystemTimePreciseAsFileTime, in ns since 1970; None where the system has none."""
    libraries: Any = getattr(ctypes, "windll", None)
    ask = getattr(getattr(libraries, "kernel32", None), "GetSystemTimePreciseAsFileTime", None)
    if ask is None:
        return None

    def read_ns() -> int:
        units = ctypes.c_ulonglong()
        ask(ctypes.byref(units))
        return (units.value - _1601_TO_1970) * _FILETIME_UNIT_NS

    return read_ns


def raw() -> Source:
    """CLOCK_MONOTONIC_RAW where the system has it, else the performance counter."""
    clock = getattr(time, "CLOCK_MONOTONIC_RAW", None)
    read_ns, step_s = getattr(time, "clock_gettime_ns", None), getattr(time, "clock_getres", None)
    if clock is None or read_ns is None or step_s is None:
        return Source(time.perf_counter_ns, _whole_ns(time.get_clock_info("perf_counter").resolution))
    return Source(partial(read_ns, clock), _whole_ns(step_s(clock)))


@cache
def step_ns(clock: Source) -> int:
    """The longer of the stated step and the one that is seen, at least 1; takes 0.1 s for a coarse clock."""
    return max(1, clock.stated_ns, seen_step_ns(clock.read_ns))


def seen_step_ns(read_ns: Callable[[], int]) -> int:
    """The step of a clock that shows the same instant more than once; 0 for one that is finer than that."""
    until_ns = time.perf_counter_ns() + _LOOK_NS
    steps: list[int] = []
    shown, changes, repeated = read_ns(), 0, False
    while changes < _STEPS:
        now = read_ns()
        if now == shown:
            repeated = True
            if time.perf_counter_ns() > until_ns:
                break
            continue
        if repeated and now > shown:
            steps.append(now - shown)
        shown, changes, repeated = now, changes + 1, False
    if not steps:
        return _LOOK_NS if repeated else 0  # it has not moved at all
    return max(step for step in steps if step <= _LONGER * min(steps))


def _whole_ns(seconds: float) -> int:
    return math.ceil(round(seconds * 1e9, 3))
