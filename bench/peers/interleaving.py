"""Time slots: requesting processes share one grid of the machine's RAW clock, each at its own phase."""

from __future__ import annotations

import time
import zlib
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def raw_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)


def slots(rate_hz: float, place: float, seconds: float) -> Iterator[int]:
    """Wait for each slot of `rate_hz`, `place` (0 to 1) into the interval; ends after `seconds`."""
    interval_ns = round(1e9 / rate_hz)
    phase_ns = round(place * interval_ns)
    end_ns = raw_ns() + round(seconds * 1e9)
    for number in count((raw_ns() - phase_ns) // interval_ns + 1):
        due_ns = number * interval_ns + phase_ns
        if due_ns > end_ns:
            return
        time.sleep(max(0, due_ns - raw_ns()) / 1e9)
        yield number


def name_at(place: float, rate_hz: float, stem: str = "rov") -> str:
    """A vehicle's name whose pings stand at `place`: the agent makes the phase from the name."""
    interval_ns = round(1e9 / rate_hz)
    names = (f"{stem}{number}" for number in range(1, 2000))
    return min(names, key=lambda name: abs(zlib.crc32(name.encode()) % interval_ns / interval_ns - place))
