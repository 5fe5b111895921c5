"""Where `tidesync up` keeps what it made; the commands of the same computer look there too."""

from __future__ import annotations

import os
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
    if is_root():
        return OF_ROOT
    return platformdirs.user_data_path("tidesync") / "surface"
