"""The rules of time zones that this computer has: governments change them, and so what a local time means."""

from __future__ import annotations

import hashlib
import zoneinfo
from functools import cache
from pathlib import Path

_ALL_RULES = "tzdata.zi"
"""The text that the zones' files are compiled from, where the system has it."""


@cache
def rules_sha256() -> str:
    """A digest of the system's rules; those of the package `tzdata`, used without these, go by its version.

    Without the text of all rules it is that of the files' names, sizes and times: it may then change though
    no rule has, never the other way round unless a file was altered and its time put back.
    """
    found = hashlib.sha256()
    for place in map(Path, zoneinfo.TZPATH):
        rules = place / _ALL_RULES
        if rules.is_file():
            found.update(rules.read_bytes())
            continue
        for path in sorted(path for path in place.rglob("*") if path.is_file()):
            state = path.stat()
            found.update(f"{path}\0{state.st_size}\0{state.st_mtime_ns}\0".encode("utf-8", "surrogateescape"))
    return found.hexdigest()
