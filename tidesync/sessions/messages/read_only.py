"""SQLite databases, open to be read: nothing is written beside them where that can be avoided."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def read_only(path: Path) -> sqlite3.Connection:
    """The database at `path`.

    One in WAL mode, as ROS 2 records, would get two files beside it; where its log has content, it does.
    """
    log = path.with_name(f"{path.name}-wal")
    mode = "mode=ro" if log.exists() and log.stat().st_size else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True)
