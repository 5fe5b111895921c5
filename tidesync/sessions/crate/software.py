"""The software that makes results here: versions that decide about bytes, and all that is installed."""

from __future__ import annotations

import hashlib
import platform
import re
import sqlite3
import zlib
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

PRODUCT = "Tidesync"
_DISTRIBUTION = "tidesync"
_PACKAGES = ("runtime", "schemas", "tidesync", "topside_agent")
"""What corrects, of this project."""
_COMPUTING = (
    "h5netcdf",
    "h5py",
    "lz4",
    "mcap",
    "numpy",
    "pyarrow",
    "pydantic",
    "pymavlink",
    "rosbags",
    "tzdata",
    "zstandard",
)
"""The libraries whose versions can change a result."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def versions() -> dict[str, str]:
    """By name; what is not installed is left out."""
    found = {
        PRODUCT: VERSION,
        platform.python_implementation(): platform.python_version(),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        "SQLite": sqlite3.sqlite_version,
    }
    return found | {name: version for name in _COMPUTING if (version := _version(name))}


@cache
def code_sha256() -> str:
    """A digest of this project's code: a version alone does not name what is between two releases.

    It is that of the code as it was when this was first asked for in the process.
    """
    root, found = Path(__file__).parents[3], hashlib.sha256()
    for package in _PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            content = path.read_bytes().replace(b"\r\n", b"\n")
            name = path.relative_to(root).as_posix()
            found.update(f"{name}\0{len(content)}\0".encode())
            found.update(content)
    return found.hexdigest()


def pins() -> bytes:
    """A requirements file with the exact version of each distribution that is installed for this one."""
    lines = [f"{name}=={version}\n" for name, version in sorted(_installed())]
    head = f"# What {PRODUCT} ran with on Python {platform.python_version()}: pip install -r\n"
    return "".join([head, *lines]).encode()


def _installed() -> set[tuple[str, str]]:
    """This distribution, and what it needs: of itself with its extras, of others without."""
    found, seen, left = set(), set[str](), [_DISTRIBUTION]
    while left:
        name = left.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        version = _version(name)
        if key in seen or version is None:
            continue
        seen.add(key)
        found.add((key, version))
        left += _needs(name)
    return found


def _needs(name: str) -> Iterator[str]:
    for stated in metadata.requires(name) or ():
        requirement, _, marker = stated.partition(";")
        if ("extra" not in marker or name == _DISTRIBUTION) and (found := _NAME.match(requirement)):
            yield found[0]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
