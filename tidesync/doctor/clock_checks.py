"""Checks of this computer's clocks: NTP, chrony's slew rate, resolution of RAW, the date."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from runtime import chrony
from runtime.clock import FASTEST_SLEW_PPM, SystemClock, read
from runtime.clock_daemons import FREE_AFTER_S, Discipline, running_daemons
from runtime.kernel_clock import kernel_state
from schemas.compat import UTC
from tidesync.doctor.finding import fail, ok, skipped, warn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runtime.clock import Clock
    from runtime.clock_daemons import Daemon
    from runtime.kernel_clock import KernelState
    from tidesync.doctor.finding import Finding

_ONE_CLOCK = {"chronyd", "systemd-timesyncd", "ntpd", "ntpsec", "openntpd", "phc2sys"}
_FIRST_YEAR, _LAST_YEAR = 2026, 2100
_COARSE_NS = 100_000
_SLOW_SOURCES = {"jiffies", "acpi_pm", "hpet", "refined-jiffies"}
_CLOCK_SOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")


def clock_checks() -> Iterator[Finding]:
    """Every check of this computer's clocks."""
    daemons = running_daemons(Path("/proc"))
    yield discipline(daemons, kernel_state())
    yield chrony_slew(daemons, chrony.CONFIGURATIONS)
    yield raw_clock(SystemClock())
    yield clock_source(_CLOCK_SOURCE)
    yield wall_clock(datetime.now(UTC))


def discipline(daemons: Sequence[Daemon], state: KernelState | None) -> Finding:
    """What disciplines the wall clock, and how fast it may move. Two daemons work against each other."""
    check, found = "discipline", Discipline.of(state, daemons, rested_s=0.0)
    if sum(name in _ONE_CLOCK for name in found.daemons) > 1:
        return warn(check, f"{found.names} run at the same time", "they work against each other: keep one")
    if state is None:
        return ok(check, f"running: {found.names}; this system does not say how it moves its clock")
    if state.is_nominal and not daemons:
        return ok(
            check,
            "no known daemon runs, and the kernel leaves the clock at its own rate; a running agent's `info` "
            f"says that it is free once it has rested for {FREE_AFTER_S:.0f} s",
        )
    now = f"the kernel moves it by {state.rate_ppm:+.1f} ppm"
    pending = f", {state.offset_ns / 1e6:+.3f} ms are still to be slewed" if state.offset_ns else ""
    return ok(
        check, f"running: {found.names}; {now}{pending}; it may slew by up to {found.max_slew_ppm:,.0f} ppm"
    )


def chrony_slew(daemons: Sequence[Daemon], configurations: Sequence[Path]) -> Finding:
    """How fast chronyd may slew the clock, by its configuration."""
    check = "chrony's slewing"
    chronyd = next((daemon for daemon in daemons if daemon.name == "chronyd"), None)
    if chronyd is None:
        return skipped(check, "no chronyd disciplines this clock")
    try:
        found = chrony.configured(chronyd.arguments, configurations)
    except OSError as error:
        return skipped(
            check, f"{error.filename}: {error.strerror}", "run it as a user who may read that file"
        )
    return _slew_rate(*found) if found else skipped(check, "its configuration is not in the usual places")


def _slew_rate(path: Path, rate_ppm: float) -> Finding:
    check = "chrony's slewing"
    if rate_ppm <= FASTEST_SLEW_PPM:
        return ok(check, f"by up to {rate_ppm:,.0f} ppm ({path}): the clock history follows it")
    return warn(
        check,
        f"by up to {rate_ppm:,.0f} ppm ({path}), more than a slew can be: a faster one counts as a step",
        f"set `maxslewrate` below {FASTEST_SLEW_PPM:,} in {path}, then restart chrony",
    )


def raw_clock(clock: Clock) -> Finding:
    """Whether there is a clock that cannot be slewed, and its resolution."""
    check, resolution_ns = "RAW clock", clock.resolution_ns
    if not hasattr(time, "CLOCK_MONOTONIC_RAW"):
        return warn(
            check,
            f"this system has no CLOCK_MONOTONIC_RAW; its counter's resolution is {resolution_ns} ns",
            "results are correct, with a wider bound; Linux has this clock",
        )
    width_ns = min(read(clock).width_ns for _ in range(5))
    if max(resolution_ns, width_ns) > _COARSE_NS:
        return warn(
            check,
            f"it can be read to {max(resolution_ns, width_ns) / 1000:.0f} µs only",
            "the bound is wider by that; see the clock source",
        )
    return ok(check, f"resolution {resolution_ns} ns, read beside the wall clock within {width_ns} ns")


def clock_source(path: Path) -> Finding:
    """The kernel's clock source."""
    try:
        name = path.read_text(encoding="ascii").strip()
    except OSError:
        return skipped("clock source", "this system does not report it")
    if name in _SLOW_SOURCES:
        return warn(
            "clock source",
            f"{name}: slow to read, or coarse",
            "check whether the kernel has rejected tsc (`dmesg | grep clocksource`)",
        )
    return ok("clock source", name)


def wall_clock(now: datetime) -> Finding:
    """Whether the date is plausible; without a battery-backed clock it is the last shutdown's, or 1970."""
    shown = f"{now:%Y-%m-%d %H:%M:%S}Z"
    if _FIRST_YEAR <= now.year < _LAST_YEAR:
        return ok("wall clock", shown)
    return fail(
        "wall clock",
        f"{shown} is impossible",
        "set it (`sudo date -u -s '2026-05-01 12:00'`): sessions and recordings would carry that date",
    )
