"""SQLite databases, open to be read: nothing is written beside them, and nothing in them is changed."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOGS = ("-wal", "-journal")


def logs_of(path: Path) -> list[Path]:
    """SQLite's files beside the database at `path` without which it is not what was last written to it."""
    logs = (path.with_name(f"{path.name}{suffix}") for suffix in _LOGS)
    return [each for each in logs if each.is_file() and each.stat().st_size]


@contextmanager
def read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """The database at `path`; a copy where it has a log, from which SQLite would write beside it or into it.

    OSError where there is no room for the copy.
    """
    logs = logs_of(path)
    if not logs:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            yield database
        return
    with tempfile.TemporaryDirectory(prefix="tidesync-") as folder:
        for each in (path, *logs):
            shutil.copyfile(each, Path(folder) / each.name)
        with closing(sqlite3.connect(Path(folder) / path.name)) as database:
            yield database
