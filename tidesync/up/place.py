"""Where `tidesync up` keeps what it made; the commands of the same computer look there too."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import platformdirs

from runtime.files import is_root

VARIABLE = "TIDESYNC_HOME"
OF_ROOT = Path("/var/lib/tidesync/surface")
"""Mosquitto, which root starts as another user, must be able to read there."""


def surface_folder() -> Path:
    """The folder in TIDESYNC_HOME, else one in the user's data folder; root's is the system's."""
    if given := os.environ.get(VARIABLE):
        return Path(given)
    return _default_folder()


def _default_folder() -> Path:
    if is_root():
        return OF_ROOT
    return platformdirs.user_data_path("tidesync") / "surface"


def for_other_terminals(path: Path, platform: str = sys.platform) -> str | None:
    """What makes the commands of another terminal look in `path`; None: they look there anyway."""
    if path == _default_folder():
        return None
    if platform == "win32":
        quoted = str(path).replace("'", "''")
        return f"$env:{VARIABLE} = '{quoted}'"
    return f"export {VARIABLE}={shlex.quote(str(path))}"
