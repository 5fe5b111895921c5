"""Tidesync for programs: sessions corrected in memory, and the running topside's knowledge of a clock.

    session = tidesync.open_session(path)
    session.to_topside(times, vehicle="rov1")
    tidesync.interval(stamp_ns, vehicle="rov1")

Names are imported when they are first used; all but the errors come with `pip install tidesync`. The same
package has what people start: the command line, the demo, the doctor, the dashboard, recorded sessions.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidesync.library.live import interval
    from tidesync.library.places import Interval
    from tidesync.library.session import Session, open_session
    from tidesync.sessions.errors import (
        NothingMeasuredError,
        SessionError,
        UnknownVehicleError,
        UsageError,
    )

__all__ = [
    "Interval",
    "NothingMeasuredError",
    "Session",
    "SessionError",
    "UnknownVehicleError",
    "UsageError",
    "interval",
    "open_session",
]

_ERRORS = "tidesync.sessions.errors"
_HOMES = {
    "Interval": "tidesync.library.places",
    "Session": "tidesync.library.session",
    "interval": "tidesync.library.live",
    "open_session": "tidesync.library.session",
}


def __getattr__(name: str) -> object:
    """A public name, imported now."""
    if name not in __all__:
        raise AttributeError(f"module 'tidesync' has no attribute {name!r}")
    try:
        found = getattr(import_module(_HOMES.get(name, _ERRORS)), name)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"tidesync.{name} is not installed here; it comes with: pip install tidesync"
        ) from error
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """The public names."""
    return sorted({*globals(), *__all__})
