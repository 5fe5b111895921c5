"""Arrival stamps: from the kernel's stamp to a reading of the agent's clock, where it can be trusted.

The kernel stamps with CLOCK_REALTIME, which can be stepped. What is taken from it is therefore only the
arrival's age, and only while realtime has kept to RAW since before the arrival.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from runtime.clock import SLEW_LIMIT_PPM, Reading, earlier, machine_clock, read

if TYPE_CHECKING:
    from runtime.clock import Clock
    from runtime.logs import RateLimitedLog
    from schemas.exchange import StampKind

MOST_AGE_NS = 1_000_000_000
"""The stamp of an older arrival is not used: this process was too slow."""
_BLURRED_NS = 50_000
"""A reading wider than this (the thread was preempted in the middle of it) could hide a step."""

_UNSTAMPED_MOST = 8
"""Messages in a row without a usable kernel stamp until they are no longer expected."""


class KernelStamp(NamedTuple):
    """When the kernel received the last byte of what was read, or of what it had queued up with it."""

    realtime_ns: int
    exact: bool
    """False when more bytes were queued behind: the stamp may be theirs, hence too late, never too early."""


class ArrivalStamper:
    """Reads an agent's clock at the arrival of a message; call `observe` before every wait."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._machine = machine_clock(clock)
        self._last = read(self._machine)
        self.now = read(clock)
        """The agent's clock when it was read last, for a message or for `observe`."""
        self._steady_since_ns = self._last.raw_ns

    def observe(self, now: Reading) -> None:
        """Compare realtime with RAW once more, before anything else arrives; `now` is the agent's clock."""
        self._note(now if self._machine is self._clock else read(self._machine))
        self.now = now

    def arrived(self, kernel: KernelStamp | None) -> tuple[Reading, StampKind]:
        """The clock at the arrival and how that is known; without a usable kernel stamp, the clock now."""
        machine = read(self._machine)
        self._note(machine)
        # The agent's clock second: what passes between the two readings only makes the stamp later.
        now = machine if self._machine is self._clock else read(self._clock)
        self.now = now
        age_ns = self._age_ns(kernel, machine) if kernel else None
        if kernel is None or age_ns is None:
            return now, "user"
        if now is machine:
            received = Reading(now.raw_ns - age_ns, now.realtime_minus_raw_ns, now.width_ns)
        else:
            received = earlier(self._clock, now, age_ns)
        return received, "kernel" if kernel.exact else "kernel_inexact"

    def _age_ns(self, kernel: KernelStamp, machine: Reading) -> int | None:
        """How long ago it arrived at least, in ns of RAW; None when it is unknown.

        Too short an age makes the receive stamp too late, which only widens the bound. So the reading's own
        error is taken off, and all the slewing that there can have been.
        """
        age_ns = machine.raw_ns + machine.realtime_minus_raw_ns - kernel.realtime_ns
        if not -machine.width_ns <= age_ns <= MOST_AGE_NS or machine.width_ns > _BLURRED_NS:
            return None
        if machine.raw_ns - age_ns < self._steady_since_ns:
            return None
        slewed_ns = age_ns * SLEW_LIMIT_PPM // 1_000_000
        return max(0, age_ns - slewed_ns - machine.width_ns // 2 - 1)

    def _note(self, machine: Reading) -> None:
        if machine.stepped_since(self._last):
            self._steady_since_ns = machine.raw_ns
        elif machine.width_ns > _BLURRED_NS:
            return
        self._last = machine


class StampSource(Protocol):
    """What of a client knows when its packets arrived."""

    @property
    def unstamped_because(self) -> str | None:
        """Why there are no kernel stamps, if that is known."""

    def arrival(self) -> KernelStamp | None:
        """The kernel's stamp of the packet that is being handled."""


class Arrivals:
    """Reads the clock at the arrival of the packet that `client` handles; learns how arrivals are stamped."""

    def __init__(self, stamper: ArrivalStamper, client: StampSource, log: RateLimitedLog) -> None:
        self._client = client
        self._log = log
        self._stamper = stamper
        self._kernel_stamps: bool | None = None
        self._unstamped = 0
        self.unstamped_because: str | None = None
        """Why there are no kernel stamps, once that is known."""

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
        received, stamp = self._stamper.arrived(self._client.arrival())
        if stamp == "user" or not self._kernel_stamps or self._unstamped:
            self._note(stamp)
        return received, stamp

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
