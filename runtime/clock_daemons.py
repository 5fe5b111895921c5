"""Running programs that discipline a clock, and whether a clock is free."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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
    for path in proc.glob("[0-9]*/comm"):
        try:
            name = _DAEMONS.get(path.read_text(encoding="ascii", errors="replace").strip())
            if name is None:
                continue
            words = path.with_name("cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
        except OSError:  # it has ended meanwhile
            continue
        if not (name == "chronyd" and "-x" in words):
            found[name] = Daemon(name, tuple(words[1:]))
    return [found[name] for name in sorted(found)]


def is_free(state: KernelState | None, daemons: Sequence[Daemon], rested_s: float) -> bool:
    """Whether nothing disciplines a clock now, as far as its machine can know.

    `rested_s`: how long realtime minus RAW has not moved, seconds. A state that is unknown is not free.
    It is no promise for the future: a daemon may start, and a clock may be set, a moment later.
    """
    return state is not None and state.is_nominal and not daemons and rested_s >= FREE_AFTER_S
