"""Clocks: this machine's, a simulated one, and the reading that ties realtime to raw.

Realtime is what sensors are stamped with; it can be stepped and slewed. RAW (CLOCK_MONOTONIC_RAW) is what
nobody can step or slew. The two are never subtracted from each other but through a `Reading`.
"""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

SLEW_LIMIT_PPM = 500
"""The fastest that Linux slews realtime (adjtimex: MAXFREQ, and adjtime's fixed rate)."""

_READ_ATTEMPTS = 4
_NARROW_NS = 1_000
"""A bracket this narrow is good enough; two clock reads back to back take some 100 ns."""


class Clock(Protocol):
    """A machine's clocks. Instants are integer nanoseconds; RAW counts from an arbitrary start."""

    @property
    def boot_id(self) -> str:
        """Changes when RAW starts anew."""

    @property
    def resolution_ns(self) -> int:
        """The coarsest step of either clock."""

    def realtime_ns(self) -> int:
        """Nanoseconds since the Unix epoch; can be stepped and slewed."""

    def raw_ns(self) -> int:
        """Nanoseconds that nobody can step or slew; stops in suspend."""


class Reading(NamedTuple):
    """RAW at an instant, and how far realtime stood ahead of it then.

    `width_ns` is the gap between the two raw readings that bracket the realtime one, and the clocks' own
    resolution: the difference is known to half of it.
    """

    raw_ns: int
    realtime_minus_raw_ns: int
    width_ns: int

    @property
    def realtime_ns(self) -> int:
        """RAW plus the difference: what is published, so that a subtraction recovers RAW exactly."""
        return self.raw_ns + self.realtime_minus_raw_ns

    def stepped_since(self, earlier: Reading) -> bool:
        """Whether realtime moved against RAW since `earlier` by more than slewing and the widths allow."""
        moved = abs(self.realtime_minus_raw_ns - earlier.realtime_minus_raw_ns)
        slewed = abs(self.raw_ns - earlier.raw_ns) * SLEW_LIMIT_PPM // 1_000_000
        return moved > slewed + self.width_ns + earlier.width_ns


def read(clock: Clock) -> Reading:
    """Read RAW, realtime, RAW: the narrowest of a few brackets, dated by the first RAW reading of all.

    So the reading is taken as early as the call can: late enough for a receive stamp, which must not be
    earlier than the arrival, and early enough for a transmit stamp, which must not be later than the send.
    """
    raw_ns, realtime_ns = clock.raw_ns, clock.realtime_ns
    first = raw_ns()
    realtime = realtime_ns()
    after = raw_ns()
    width, difference = after - first, realtime - (first + after) // 2
    attempts = 1
    while width > _NARROW_NS and attempts < _READ_ATTEMPTS:
        before = raw_ns()
        realtime = realtime_ns()
        after = raw_ns()
        if after - before < width:
            width, difference = after - before, realtime - (before + after) // 2
        attempts += 1
    return Reading(first, difference, width + clock.resolution_ns)


def machine_boot_id() -> str:
    """Linux's boot id; elsewhere one per process, so that a restart is taken for a reboot."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return str(uuid.uuid4())


def _raw_clock() -> Callable[[], int]:
    raw_id = getattr(time, "CLOCK_MONOTONIC_RAW", None)
    return time.perf_counter_ns if raw_id is None else partial(time.clock_gettime_ns, raw_id)


class SystemClock:
    """This machine's clocks, read with no Python in between: an exchange reads them a dozen times."""

    realtime_ns = staticmethod(time.time_ns)
    """CLOCK_REALTIME."""
    raw_ns = staticmethod(_raw_clock())
    """CLOCK_MONOTONIC_RAW where the system has it, else the performance counter."""

    def __init__(self) -> None:
        self.boot_id = machine_boot_id()
        self.resolution_ns = self._resolution_ns()

    def _resolution_ns(self) -> int:
        steps_s = (time.get_clock_info("time").resolution, time.get_clock_info("perf_counter").resolution)
        return max(1, round(max(steps_s) * 1e9))


@dataclass(frozen=True, slots=True)
class Step:
    """A simulated step of realtime: `after_s` seconds from the start, by `step_ns`."""

    after_s: float
    step_ns: int


@dataclass
class SimulatedClock:
    """A vehicle's clock made from another: off by an offset, drifting, stepped at given moments.

    Its RAW runs `drift_ppm` fast against the base's RAW; at the start its realtime is `offset_ns` ahead of
    the base's. It boots when it is made, so it has a boot id of its own.
    """

    base: Clock
    offset_ns: int = 0
    drift_ppm: float = 0.0
    steps: tuple[Step, ...] = ()
    boot_id: str = field(default_factory=lambda: f"simulated-{uuid.uuid4()}")

    def __post_init__(self) -> None:
        started = read(self.base)
        self._start_raw_ns = started.raw_ns
        self._start_realtime_ns = started.realtime_ns
        self._drift_ppt = round(self.drift_ppm * 1_000_000)
        self.resolution_ns = self.base.resolution_ns

    def raw_ns(self) -> int:
        """RAW, counted from the base's at the start."""
        return self.raw_at(self.base.raw_ns())

    def realtime_ns(self) -> int:
        """Realtime, steps included."""
        return self.realtime_at(self.base.raw_ns())

    def raw_at(self, base_raw_ns: int) -> int:
        """What RAW shows when the base's RAW shows `base_raw_ns`."""
        elapsed = base_raw_ns - self._start_raw_ns
        return base_raw_ns + elapsed * self._drift_ppt // 10**12

    def realtime_at(self, base_raw_ns: int) -> int:
        """What realtime shows when the base's RAW shows `base_raw_ns`: the truth to compare with."""
        elapsed_s = (base_raw_ns - self._start_raw_ns) / 1e9
        stepped = sum(step.step_ns for step in self.steps if step.after_s <= elapsed_s)
        return (
            self._start_realtime_ns
            + self.offset_ns
            + stepped
            + (self.raw_at(base_raw_ns) - self._start_raw_ns)
        )

    def elapsed_ns(self, base_ns: int) -> int:
        """How far RAW moves while the base's moves by `base_ns`, rounded down."""
        return base_ns + base_ns * self._drift_ppt // 10**12

    def true_offset_ns(self, base: Reading) -> int:
        """The offset that a perfect measurement would give at the base's reading `base`, in ns."""
        return self.realtime_at(base.raw_ns) - base.realtime_ns


def machine_clock(clock: Clock) -> Clock:
    """The clock that the kernel stamps with: what a simulated clock is made from, else `clock` itself."""
    while isinstance(clock, SimulatedClock):
        clock = clock.base
    return clock


def earlier(clock: Clock, reading: Reading, machine_ns: int) -> Reading:
    """`reading` of `clock` taken back by `machine_ns` of the machine's RAW, rounded to the later side.

    The difference stays as it was read: RAW is what is dated.
    """
    return Reading(
        reading.raw_ns - _elapsed_ns(clock, machine_ns), reading.realtime_minus_raw_ns, reading.width_ns
    )


def _elapsed_ns(clock: Clock, machine_ns: int) -> int:
    if isinstance(clock, SimulatedClock):
        return clock.elapsed_ns(_elapsed_ns(clock.base, machine_ns))
    return machine_ns


def process_instance_id() -> str:
    """An id for this process's life, so that peers notice a restart and a namesake."""
    return f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
