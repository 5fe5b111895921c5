"""This computer's clocks: what steers the wall clock, how fine RAW is, whether the date can be."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.clock import SLEW_LIMIT_PPM, SystemClock, read
from runtime.kernel_clock import clock_synchronized
from tidesync.doctor import chrony
from tidesync.doctor.finding import fail, ok, skipped, warn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runtime.clock import Clock
    from tidesync.doctor.finding import Finding

_DAEMONS = {
    "chronyd": "chronyd",
    "systemd-timesyn": "systemd-timesyncd",
    "ntpd": "ntpd",
    "ntpsec": "ntpsec",
    "openntpd": "openntpd",
    "ptp4l": "ptp4l",
    "phc2sys": "phc2sys",
}
"""By the fifteen characters that the kernel keeps of a program's name."""
_ONE_CLOCK = {"chronyd", "systemd-timesyncd", "ntpd", "ntpsec", "openntpd", "phc2sys"}
_FIRST_YEAR, _LAST_YEAR = 2026, 2100
_COARSE_NS = 100_000
_SLOW_SOURCES = {"jiffies", "acpi_pm", "hpet", "refined-jiffies"}
_SOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")


def clock_checks() -> Iterator[Finding]:
    """All of this computer's clocks."""
    daemons = running_daemons(Path("/proc"))
    yield steering(daemons, synchronized=clock_synchronized())
    yield chrony_slew(daemons, chrony.CONFIGURATIONS)
    yield raw_clock(SystemClock())
    yield clock_source(_SOURCE)
    yield wall_clock(datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Daemon:
    """A program that runs here and steers a clock."""

    name: str
    arguments: tuple[str, ...] = ()


def running_daemons(proc: Path) -> list[Daemon]:
    """Those that are known; a chronyd told to leave the clock alone (`-x`) is none."""
    found = {}
    for path in proc.glob("[0-9]*/comm"):
        try:
            name = _DAEMONS.get(path.read_text(encoding="ascii", errors="replace").strip())
            words = path.with_name("cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
        except OSError:  # it has ended meanwhile
            continue
        if name and not (name == "chronyd" and "-x" in words):
            found[name] = Daemon(name, tuple(words[1:]))
    return [found[name] for name in sorted(found)]


def steering(daemons: Sequence[Daemon], *, synchronized: bool) -> Finding:
    """What steers the wall clock, if anything: both are fine, two masters are not."""
    check, told = "NTP", ", ".join(daemon.name for daemon in daemons) or "no daemon that is known"
    if sum(daemon.name in _ONE_CLOCK for daemon in daemons) > 1:
        return warn(check, f"{told} run side by side", "two of them pull one clock to and fro: keep one")
    if synchronized:
        return ok(check, f"the kernel calls the clock synchronized; running: {told}")
    return ok(
        check,
        f"the clock runs free (the kernel says unsynchronized; running: {told}): right for measuring,"
        " as the offset is between the two clocks, not to UTC",
    )


def chrony_slew(daemons: Sequence[Daemon], configurations: Sequence[Path]) -> Finding:
    """Whether chronyd may slew faster than an exchange's bound allows for."""
    check = "chrony's slewing"
    chronyd = next((daemon for daemon in daemons if daemon.name == "chronyd"), None)
    if chronyd is None:
        return skipped(check, "no chronyd steers this clock")
    for path in [_named(chronyd), *configurations]:
        try:
            if path:
                return _judged_slew(path, chrony.max_slew_ppm(path))
        except FileNotFoundError:
            continue
        except OSError as error:
            return skipped(check, f"{path}: {error.strerror}", "run it as a user who may read that file")
    return skipped(check, "its configuration is in none of the usual places", "set `maxslewrate 400` there")


def _named(chronyd: Daemon) -> Path | None:
    """The configuration that its command line names."""
    given = chronyd.arguments
    return Path(given[given.index("-f") + 1]) if "-f" in given[:-1] else None


def _judged_slew(path: Path, rate_ppm: float) -> Finding:
    check = "chrony's slewing"
    if rate_ppm <= SLEW_LIMIT_PPM:
        return ok(check, f"maxslewrate {rate_ppm:g} ppm in {path}")
    return warn(
        check,
        f"may slew by {rate_ppm:,.0f} ppm ({path}), more than {SLEW_LIMIT_PPM}: while it does,"
        " that looks like a step, and exchanges are refused",
        f"add `maxslewrate 400` to {path} (room is left for the crystal's own error), then restart chrony",
    )


def raw_clock(clock: Clock) -> Finding:
    """Whether there is a clock that nobody can slew, and how fine it is."""
    check, resolution_ns = "RAW clock", clock.resolution_ns
    if not hasattr(time, "CLOCK_MONOTONIC_RAW"):
        return warn(
            check,
            f"this system has no CLOCK_MONOTONIC_RAW; its counter's resolution is {resolution_ns} ns",
            "results are right, with a wider bound; Linux has it",
        )
    width_ns = min(read(clock).width_ns for _ in range(5))
    if max(resolution_ns, width_ns) > _COARSE_NS:
        return warn(
            check,
            f"it is read to {max(resolution_ns, width_ns) / 1000:.0f} µs only",
            "the bound is widened by that; see the clock source",
        )
    return ok(check, f"resolution {resolution_ns} ns, read beside the wall clock within {width_ns} ns")


def clock_source(path: Path) -> Finding:
    """What the kernel counts with."""
    try:
        name = path.read_text(encoding="ascii").strip()
    except OSError:
        return skipped("clock source", "this system does not tell")
    if name in _SLOW_SOURCES:
        return warn(
            "clock source",
            f"{name}: slow to read, or coarse",
            "see whether the kernel has given up tsc (`dmesg | grep clocksource`)",
        )
    return ok("clock source", name)


def wall_clock(now: datetime) -> Finding:
    """Whether the date can be: without a battery clock it is the day of the last shutdown, or 1970."""
    told = f"{now:%Y-%m-%d %H:%M:%S}Z"
    if _FIRST_YEAR <= now.year < _LAST_YEAR:
        return ok("wall clock", told)
    return fail(
        "wall clock",
        f"{told} cannot be",
        "set it (`sudo date -u -s '2026-05-01 12:00'`): sessions and recordings would carry that date",
    )
