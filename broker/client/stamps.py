"""Arrival stamps: from the kernel's stamp to a reading of the agent's clock, where it can be trusted.

The kernel stamps with CLOCK_REALTIME, which can be stepped and slewed. What is taken from it is therefore
only the arrival's age, less all that realtime moved against RAW between a reading before the arrival and the
reading after it. The assumption: between these two nothing moved and came back. The movement that they show,
beyond the rate of before, may have happened within the age. Realtime − RAW at the arrival follows likewise:
by the rate of before, as wide as that movement.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Protocol

from runtime.clock import FASTEST_SLEW_PPM, Reading, earlier, machine_clock, read
from runtime.stamp_probe import kernel_stamps_by

if TYPE_CHECKING:
    from runtime.clock import Clock
    from runtime.logs import RateLimitedLog
    from schemas.exchange import StampKind

MOST_AGE_NS = 1_000_000_000
"""The stamp of an older arrival is not used: this process was too slow."""
_BLURRED_NS = 50_000
"""A reading wider than this (the thread was preempted in the middle of it) could hide a step."""

_FASTEST = FASTEST_SLEW_PPM * 1e-6
_APART_NS = 1_000_000
"""Readings that are kept are at least so far apart."""
_MOST_READINGS = 128
_RATE_OVER_NS = 100_000_000
"""The rate of realtime is taken over at least this; two brackets of 100 ns then blur it by 1 ppm."""

_UNSTAMPED_MOST = 8
"""Messages in a row without a usable kernel stamp until they are no longer expected."""


class KernelStamp(NamedTuple):
    """When the kernel received the last byte of what was read, or of what it had queued up with it."""

    realtime_ns: int
    exact: bool
    """False when more bytes were queued behind: the stamp may be theirs, hence too late, never too early."""


class Movement(NamedTuple):
    """How realtime − RAW moved in an age before a reading: by `rate` × age, ± `unexplained_ns`."""

    rate: float
    """Of realtime against RAW until the arrival, as a fraction."""
    unexplained_ns: int
    """What the readings show beyond the rate; their widths are not counted."""
    before: Reading
    """The last reading before the arrival."""

    def difference_at(self, age_ns: int, now: Reading) -> tuple[int, int]:
        """Realtime − RAW `age_ns` of RAW before `now`, and the width within which it is known, ns.

        It lies between what both readings show, carried to the arrival by the rate.
        """
        width_ns = max(now.width_ns, self.before.width_ns + 2 * self.unexplained_ns)
        return now.realtime_minus_raw_ns - round(self.rate * age_ns), width_ns


class RealtimeCourse:
    """How realtime has moved against RAW: a machine's readings of the last waits."""

    def __init__(self, first: Reading) -> None:
        self._readings = deque([(first, 0.0)], maxlen=_MOST_READINGS)
        """Each with the rate of realtime − RAW until then, as a fraction; 0 if it is not known."""
        self._recent = deque([first])
        """Those that a rate may begin with: the first is the only one that may be `_RATE_OVER_NS` old."""
        self._found: tuple[Reading, Movement] | None = None
        """The newest reading and what was found for it."""

    def note(self, reading: Reading) -> None:
        """Keep `reading`, unless it is too wide, or soon after the last one."""
        if reading.width_ns > _BLURRED_NS or reading.raw_ns - self._readings[-1][0].raw_ns < _APART_NS:
            return
        recent, since_ns = self._recent, reading.raw_ns - _RATE_OVER_NS
        while len(recent) > 1 and recent[1].raw_ns <= since_ns:
            recent.popleft()
        rate, since = 0.0, recent[0]
        if since.raw_ns <= since_ns:
            moved_ns = reading.realtime_minus_raw_ns - since.realtime_minus_raw_ns
            rate = moved_ns / (reading.raw_ns - since.raw_ns)
        recent.append(reading)
        self._readings.append((reading, rate if abs(rate) <= _FASTEST else 0.0))

    def movement(self, age_ns: int, now: Reading) -> Movement | None:
        """How realtime moved against RAW in the `age_ns` (of realtime) before `now`.

        Over the age it ran at the rate of before, and all that differs from that since the last reading
        before the arrival may have happened within the age. None after a step, or without such a reading.
        """
        arrived_ns = now.raw_ns - round(age_ns * (1 + _FASTEST))
        readings = self._readings
        index = len(readings) - 1
        while readings[index][0].raw_ns > arrived_ns and index:
            index -= 1
        before, rate = readings[index]
        if before.raw_ns > arrived_ns and len(readings) == _MOST_READINGS:
            return None  # else the first reading of all, before the connection was made
        elapsed_ns = now.raw_ns - before.raw_ns
        widths_ns = (now.width_ns + before.width_ns) // 2 + 1
        if elapsed_ns * (1 + _FASTEST) < age_ns - widths_ns:
            return None
        if self._found and self._found[0] is now and self._found[1].before is before:
            return self._found[1]
        moved_ns = now.realtime_minus_raw_ns - before.realtime_minus_raw_ns
        if abs(moved_ns) > elapsed_ns * _FASTEST + widths_ns:
            return None
        found = Movement(rate, math.ceil(abs(moved_ns - rate * elapsed_ns)), before)
        self._found = now, found
        return found


class ArrivalStamper:
    """Reads an agent's clock at the arrival of a message; call `observe` before every wait."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._machine = machine_clock(clock)
        self._same_clock = kernel_stamps_by(self._machine)
        """Whether the kernel stamps with the clock that this program reads."""
        self._course = RealtimeCourse(read(self._machine))
        self.now = read(clock)
        self._own_course = self._course if self._machine is clock else RealtimeCourse(self.now)
        """The agent's clock when it was read last, for a message or for `observe`."""

    def observe(self, now: Reading) -> None:
        """Compare realtime with RAW once more, before anything else arrives; `now` is the agent's clock."""
        self._course.note(now if self._machine is self._clock else read(self._machine))
        if self._own_course is not self._course:
            self._own_course.note(now)
        self.now = now

    def arrived(self, kernel: KernelStamp | None) -> tuple[Reading, StampKind]:
        """The clock at the arrival and how that is known; without a usable kernel stamp, the clock now."""
        machine = read(self._machine)
        # The agent's clock second: what passes between the two readings only makes the stamp later.
        now = machine if self._machine is self._clock else read(self._clock)
        self.now = now
        age_ns = self._age_ns(kernel, machine) if kernel and self._same_clock else None
        received = None if age_ns is None else self._earlier(now, machine.raw_ns - age_ns)
        self._course.note(machine)
        if kernel is None or received is None:
            return now, "user"
        return received, "kernel" if kernel.exact else "kernel_inexact"

    def _earlier(self, now: Reading, machine_raw_ns: int) -> Reading | None:
        """The agent's clock when the machine's RAW was `machine_raw_ns`; None if it was set since."""
        raw_ns = min(now.raw_ns, machine_raw_ns)
        if self._machine is not self._clock:
            raw_ns = earlier(self._clock, now, machine_raw_ns).raw_ns
        age_ns = now.raw_ns - raw_ns
        movement = self._own_course.movement(age_ns, now)
        if movement is None:
            return None
        return Reading(raw_ns, *movement.difference_at(age_ns, now))

    def _age_ns(self, kernel: KernelStamp, machine: Reading) -> int | None:
        """How long ago it arrived at least, in ns of RAW; None when it is unknown.

        Too short an age makes the receive stamp too late, which only widens the bound. So the reading's own
        error is taken off, and all that realtime can have moved.
        """
        age_ns = machine.raw_ns + machine.realtime_minus_raw_ns - kernel.realtime_ns
        if not -machine.width_ns <= age_ns <= MOST_AGE_NS or machine.width_ns > _BLURRED_NS:
            return None
        movement = self._course.movement(max(age_ns, 0), machine)
        if movement is None:
            return None
        widths_ns = machine.width_ns + movement.before.width_ns // 2 + 2
        moved_ns = math.ceil(abs(movement.rate) * max(age_ns, 0)) + movement.unexplained_ns
        return max(0, age_ns - moved_ns - widths_ns)


class StampSource(Protocol):
    """What of a client knows when its packets arrived."""

    reads: int
    """How often it has read."""

    @property
    def unstamped_because(self) -> str | None:
        """Why there are no kernel stamps, if that is known."""

    last_of_read: bool
    """Whether the packet that is being handled is the last of its read."""

    def arrival(self) -> KernelStamp | None:
        """The kernel's stamp of the last byte that was read."""


class Arrivals:
    """Reads the clock at the arrival of the packet that `client` handles; learns how arrivals are stamped."""

    def __init__(
        self, stamper: ArrivalStamper, client: StampSource, log: RateLimitedLog, *, together: bool = False
    ) -> None:
        """What was read at once has one reading, taken for the first of it; `together`: it had gathered."""
        self._client = client
        self._together = together
        self._read = 0
        self._received: tuple[Reading, StampKind] | None = None
        self._log = log
        self._stamper = stamper
        self._kernel_stamps: bool | None = None
        self._unstamped = 0
        self.unstamped_because: str | None = None
        """Why there are no kernel stamps, once that is known."""
        self.fresh = False
        """Whether `reading` read the clock when it was called last."""

    @property
    def stamp(self) -> StampKind:
        """Where arrivals are stamped, as far as this connection has shown."""
        return "kernel" if self._kernel_stamps else "user"

    def begin(self) -> None:
        """A connection was accepted: learn again, beginning with that packet."""
        self._kernel_stamps, self._unstamped = None, 0
        self.reading()

    def reading(self) -> tuple[Reading, StampKind]:
        """The clock at the arrival of the packet that is being handled, and how that is known."""
        client = self._client
        self.fresh = self._received is None or client.reads != self._read
        if self._received is None or self.fresh:
            self._read = client.reads
            self._received = self._stamper.arrived(client.arrival())
            stamp = self._received[1]
            if stamp == "user" or not self._kernel_stamps or self._unstamped:
                self._note(stamp)
        if self._received[1] == "kernel" and (self._together or not client.last_of_read):
            return self._received[0], "kernel_inexact"
        return self._received

    def _note(self, stamp: StampKind) -> None:
        """Learn whether usable kernel stamps come; log once that they do not."""
        if stamp != "user":
            self._kernel_stamps, self._unstamped, self.unstamped_because = True, 0, None
            return
        self._unstamped += 1
        refused = self._client.unstamped_because
        if self._kernel_stamps is False or (refused is None and self._unstamped < _UNSTAMPED_MOST):
            return
        self._kernel_stamps = False
        why = refused or "the kernel's stamps do not come, or contradict its clock"
        self.unstamped_because = why
        self._log.info(f"arrivals are stamped in user space: {why}")
