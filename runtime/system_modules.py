"""Modules of the standard library that not every system has: None where missing, and callers have a fallback.

Whether a module is there decides, not the system's name: so tests on Linux run what Windows runs.
"""

from __future__ import annotations

import importlib
from typing import Any


def if_present(name: str) -> Any:
    """The module, or None."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


fcntl = if_present("fcntl")
"""Locks and interfaces of POSIX."""
msvcrt = if_present("msvcrt")
"""Locks of Windows."""
pwd = if_present("pwd")
"""Users of POSIX."""
resource = if_present("resource")
"""Limits of a POSIX process."""
