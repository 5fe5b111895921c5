"""Clocks: the machine's, a simulated one, and the reading that relates realtime to RAW.

Sensors stamp with realtime, which can be stepped and slewed. RAW (CLOCK_MONOTONIC_RAW) cannot be. The two
are subtracted from each other only in a `Reading`.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from runtime.clock_resolution import raw, realtime, step_ns
from runtime.kernel_clock import NOMINAL_TICK_US, STA_UNSYNC, KernelState

FASTEST_SLEW_PPM = 100_500
"""Linux moves realtime no faster without setting it: tick ±10 % and frequency ±500 ppm (adjtimex)."""

_READ_ATTEMPTS = 4
_NARROW_NS = 1_000
"""A bracket as narrow as this is not repeated; two successive clock reads take some 100 ns."""


class Clock(Protocol):
    """A machine's clocks. Instants are integer nanoseconds; RAW counts from an arbitrary start."""

    @property
    def boot_id(self) -> str:
        """Changes when RAW restarts."""

    @property
    def resolution_ns(self) -> int:
        """The coarsest step of either clock."""

    def realtime_ns(self) -> int:
        """Nanoseconds since the Unix epoch; can be stepped and slewed."""

    def raw_ns(self) -> int:
        """Nanoseconds that cannot be stepped or slewed; stops during suspend."""


class Reading(NamedTuple):
    """RAW at an instant, and realtime minus RAW at that instant.

    `width_ns` is the time between the two RAW readings that bracket the realtime one, plus the clocks'
    resolution: the difference is known to half of it. A coarse clock shows its last step: in the mean it is
    half a step on, which is added.
    """

    raw_ns: int
    realtime_minus_raw_ns: int
    width_ns: int

    @property
    def realtime_ns(self) -> int:
        """RAW plus the difference, which is published: a subtraction recovers RAW exactly."""
        return self.raw_ns + self.realtime_minus_raw_ns


def read(clock: Clock) -> Reading:
    """Read RAW, realtime, RAW: the narrowest of up to four brackets, dated by the very first RAW reading.

    So the reading is as early as the call allows: not before the arrival, as a receive timestamp must be, and
    before the send, as a transmit timestamp must be. A bracket after the first shows the difference as it was
    later: the width allows for the fastest slew meanwhile.
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
        slewed = (after - first) * 2 * FASTEST_SLEW_PPM // 1_000_000
        if after - before + slewed < width:
            width, difference = after - before + slewed, realtime - (before + after) // 2
        attempts += 1
    resolution_ns = clock.resolution_ns
    return Reading(first, difference + resolution_ns // 2, width + resolution_ns)


def was_set(before: Reading, after: Reading) -> bool:
    """Whether realtime was set between two readings of a clock: it moved farther than a slew can.

    Assumption: the machine did not sleep meanwhile. A step below 10.05 % of the time between goes unseen.
    """
    moved_ns = abs(after.realtime_minus_raw_ns - before.realtime_minus_raw_ns)
    slewed_ns = FASTEST_SLEW_PPM * (after.raw_ns - before.raw_ns) // 1_000_000
    return moved_ns > slewed_ns + before.width_ns + after.width_ns


def machine_boot_id() -> str:
    """Linux's boot id; elsewhere one per process, so that a restart counts as a reboot."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return str(uuid.uuid4())


_REALTIME, _RAW = realtime(), raw()


class SystemClock:
    """This machine's clocks, read without a Python function between: an exchange reads them a dozen times."""

    realtime_ns = staticmethod(_REALTIME.read_ns)
    """CLOCK_REALTIME."""
    raw_ns = staticmethod(_RAW.read_ns)
    """CLOCK_MONOTONIC_RAW if the system has it, else the performance counter."""

    def __init__(self) -> None:
        self.boot_id = machine_boot_id()
        self.raw_resolution_ns = step_ns(_RAW)
        self.resolution_ns = max(self.raw_resolution_ns, step_ns(_REALTIME))


@dataclass(frozen=True, slots=True)
class Step:
    """A simulated step of realtime: `after_s` seconds from the start, by `step_ns`."""

    after_s: float
    step_ns: int


@dataclass(frozen=True, slots=True)
class Slew:
    """A simulated slew of realtime: from `after_s` on, `ppm` fast against RAW, for `seconds`."""

    after_s: float
    ppm: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Suspend:
    """A simulated suspend of the machine: from `after_s` on, for `seconds`."""

    after_s: float
    seconds: float


@dataclass
class SimulatedClock:
    """A clock derived from another, with an offset, a drift, steps, slews and suspends.

    Its RAW is `drift_ppm` fast against the base's RAW, and stands still in a suspend; at the start its
    realtime is `offset_ns` ahead of the base's. It has its own boot id: it boots when it is created. Every
    `after_s` and `seconds` is on the base's RAW. The truth is exact: whole nanoseconds, rounded down term by
    term.
    """

    base: Clock
    offset_ns: int = 0
    drift_ppm: float = 0.0
    steps: tuple[Step, ...] = ()
    boot_id: str = field(default_factory=lambda: f"simulated-{uuid.uuid4()}")
    slews: tuple[Slew, ...] = ()
    suspends: tuple[Suspend, ...] = ()
    kernel_flag: Literal["synchronized", "unsynchronized"] = "unsynchronized"
    """What its kernel claims, whatever the clock does."""

    def __post_init__(self) -> None:
        started = read(self.base)
        self.started_raw_ns = started.raw_ns
        """The base's RAW when it was created; its own is the same then."""
        self.started_realtime_ns = started.realtime_ns
        """The base's realtime then."""
        self._drift_ppt = round(self.drift_ppm * 1_000_000)
        self.resolution_ns = raw_resolution_ns(self.base)  # of which its realtime is computed

    def raw_ns(self) -> int:
        """RAW; equal to the base's at the start."""
        return self.raw_at(self.base.raw_ns())

    def realtime_ns(self) -> int:
        """Realtime, steps, slews and suspends included."""
        return self.realtime_at(self.base.raw_ns())

    def suspended_ns(self) -> int:
        """The time in suspend since the start, as BOOTTIME − MONOTONIC shows it."""
        return self.slept_ns(self.base.raw_ns())

    def suspended_now(self) -> bool:
        """Whether the machine sleeps: its agent must be silent."""
        return self.wakes_in_ns() > 0

    def wakes_in_ns(self) -> int:
        """The time on the base's RAW until the machine wakes; 0 if it is awake."""
        if not self.suspends:
            return 0
        on_ns = self.base.raw_ns() - self.started_raw_ns
        spans = self._suspend_spans
        return max(
            (start + span - on_ns for start, span in spans if start <= on_ns < start + span), default=0
        )

    def kernel_state(self) -> KernelState:
        """What its kernel reports of its discipline: the slews as tick and frequency."""
        on_ns = self.base.raw_ns() - self.started_raw_ns
        ppm = sum([ppm for start, span, ppm, _ in self._slew_spans if start <= on_ns < start + span])
        ticks = round(ppm / 100)
        status = 0 if self.kernel_flag == "synchronized" else STA_UNSYNC
        return KernelState(NOMINAL_TICK_US + ticks, round((ppm - ticks * 100) * 65_536), status=status)

    def raw_at(self, base_raw_ns: int) -> int:
        """RAW when the base's RAW is `base_raw_ns`."""
        awake_ns = base_raw_ns - self.started_raw_ns - self.slept_ns(base_raw_ns)
        return self.started_raw_ns + awake_ns + awake_ns * self._drift_ppt // 10**12

    def realtime_at(self, base_raw_ns: int) -> int:
        """Realtime when the base's RAW is `base_raw_ns`: the truth that tests compare with."""
        on_ns = base_raw_ns - self.started_raw_ns
        stepped = sum([step_ns for at_ns, step_ns in self._step_instants if at_ns <= on_ns])
        ran = self.raw_at(base_raw_ns) - self.started_raw_ns + self.slept_ns(base_raw_ns)
        return self.started_realtime_ns + self.offset_ns + stepped + ran + self.slewed_ns(base_raw_ns)

    def slept_ns(self, base_raw_ns: int) -> int:
        """The time in suspend until the base's RAW is `base_raw_ns`."""
        on_ns = base_raw_ns - self.started_raw_ns
        return sum([min(max(0, on_ns - start), span) for start, span in self._suspend_spans])

    def slewed_ns(self, base_raw_ns: int) -> int:
        """What the slews moved realtime by until the base's RAW is `base_raw_ns`."""
        on_ns = base_raw_ns - self.started_raw_ns
        return sum(
            [min(max(0, on_ns - start), span) * ppt // 10**12 for start, span, _, ppt in self._slew_spans]
        )

    @cached_property
    def _step_instants(self) -> list[tuple[int, int]]:
        return [(_ns(step.after_s), step.step_ns) for step in self.steps]

    @cached_property
    def _slew_spans(self) -> list[tuple[int, int, float, int]]:
        """Start and length in ns, the rate in ppm and in 1e-12."""
        return [
            (_ns(slew.after_s), _ns(slew.seconds), slew.ppm, round(slew.ppm * 1_000_000))
            for slew in self.slews
        ]

    @cached_property
    def _suspend_spans(self) -> list[tuple[int, int]]:
        return [(_ns(suspend.after_s), _ns(suspend.seconds)) for suspend in self.suspends]

    def true_offset_ns(self, base: Reading) -> int:
        """The true offset to the base clock at its reading `base`, in ns."""
        return self.realtime_at(base.raw_ns) - base.realtime_ns


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


def raw_resolution_ns(clock: Clock) -> int:
    """The step of RAW alone, where it is known; the other's at most."""
    return clock.raw_resolution_ns if isinstance(clock, SystemClock) else clock.resolution_ns


def machine_clock(clock: Clock) -> Clock:
    """The clock that the kernel stamps with: the base of a simulated clock, else `clock` itself."""
    while isinstance(clock, SimulatedClock):
        clock = clock.base
    return clock


def earlier(clock: Clock, reading: Reading, machine_raw_ns: int) -> Reading:
    """`reading` of `clock`, moved back to `machine_raw_ns` of the machine's RAW, rounded to the later side.

    Only RAW is moved: the difference stays as it was read. A simulated clock's is taken from what it showed
    then, so that a suspend counts as it should.
    """
    return reading._replace(raw_ns=min(reading.raw_ns, raw_when(clock, machine_raw_ns)))


def raw_when(clock: Clock, machine_raw_ns: int) -> int:
    """RAW of `clock` when the machine's was `machine_raw_ns`, rounded to the later side."""
    if isinstance(clock, SimulatedClock):
        return clock.raw_at(raw_when(clock.base, machine_raw_ns)) + 1
    return machine_raw_ns


def asleep_s(clock: Clock) -> float:
    """Seconds until a simulated machine wakes; 0 while it is awake. A real one does not run to be asked."""
    if isinstance(clock, SimulatedClock):
        return max(clock.wakes_in_ns() / 1e9, asleep_s(clock.base))
    return 0.0


def process_instance_id() -> str:
    """An id of this process, by which peers notice a restart, or two processes of one name."""
    return f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
