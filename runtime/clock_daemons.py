"""Running programs that discipline a clock, how fast they may move it, and whether a clock is free."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runtime import chrony
from runtime.clock import FASTEST_SLEW_PPM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.kernel_clock import KernelState

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
FREE_AFTER_S = 60.0
"""How long realtime minus RAW must have rested before a clock may count as free."""
_FASTEST_PPM = {"systemd-timesyncd": 50_000.0, "ntpd": 500.0, "ntpsec": 500.0, "openntpd": 500.0}
"""By default. timesyncd hands offsets up to 0.4 s to the kernel's loop, which slews an eighth a second."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """A running program that disciplines a clock."""

    name: str
    arguments: tuple[str, ...] = ()


def running_daemons(proc: Path = Path("/proc")) -> list[Daemon]:
    """The known ones that run; not a chronyd that leaves the clock alone (`-x`).

    One in another container or namespace is not seen: then only the kernel's state and the clock show it.
    """
    found = {}
    for entry in os.scandir(proc) if proc.is_dir() else ():
        if not entry.name.isdecimal():
            continue
        try:
            name = _DAEMONS.get(_content(f"{entry.path}/comm").strip())
            if name is None:
                continue
            words = _content(f"{entry.path}/cmdline").split("\0")
        except OSError:  # it has ended meanwhile
            continue
        if not (name == "chronyd" and "-x" in words):
            found[name] = Daemon(name, tuple(words[1:]))
    return [found[name] for name in sorted(found)]


def _content(path: str) -> str:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - of hundreds of processes: a third of the time
        return file.read().decode(errors="replace")


def is_free(state: KernelState | None, daemons: Sequence[Daemon], rested_s: float) -> bool:
    """Whether nothing disciplines a clock now, as far as its machine can know.

    `rested_s`: how long realtime minus RAW has not moved, seconds. A state that is unknown is not free.
    It is no promise for the future: a daemon may start, and a clock may be set, a moment later.
    """
    return state is not None and state.is_nominal and not daemons and rested_s >= FREE_AFTER_S


@dataclass(frozen=True, slots=True)
class Discipline:
    """Who disciplines a clock, and how fast it may move."""

    daemons: tuple[str, ...]
    """Those that run, by name; a program that is not known is not among them."""
    max_slew_ppm: float
    """The fastest that these daemons slew, ppm; 0 of a free clock; else the fastest that the kernel slews."""
    free: bool
    """`is_free`."""

    @classmethod
    def of(cls, state: KernelState | None, daemons: Sequence[Daemon], rested_s: float) -> Discipline:
        """By the kernel's state, the daemons that run, and the seconds for which the clock has rested."""
        free = is_free(state, daemons, rested_s)
        fastest_ppm = max(map(_fastest_ppm, daemons), default=0.0 if free else FASTEST_SLEW_PPM)
        return cls(tuple(daemon.name for daemon in daemons), float(fastest_ppm), free)

    @property
    def names(self) -> str:
        """The daemons in one line."""
        return ", ".join(self.daemons) or "no known daemon"

    def __str__(self) -> str:
        return discipline_text(self.daemons, self.max_slew_ppm, free=self.free)


def discipline_text(daemons: Sequence[str], max_slew_ppm: float | None, *, free: bool) -> str:
    """Who disciplines a clock, for people."""
    if free:
        return "free: nothing disciplines it"
    if not daemons:
        return f"not known yet (it counts as free once it has rested for {FREE_AFTER_S:.0f} s)"
    by = f"disciplined by {', '.join(daemons)}"
    return by if max_slew_ppm is None else f"{by}, slews up to {max_slew_ppm:,.0f} ppm"


def _fastest_ppm(daemon: Daemon) -> float:
    if daemon.name != "chronyd":
        return _FASTEST_PPM.get(daemon.name, FASTEST_SLEW_PPM)
    try:
        found = chrony.configured(daemon.arguments)
    except OSError:
        found = None
    return found[1] if found else chrony.DEFAULT_PPM
