"""The formats of tables, by their files' names, and the names of their outputs.

A format is a module that opens its files as a `table.Table`, and an entry of FORMATS. Text may be compressed
(`session.csv.gz`), and rotated (`session.csv.1`).
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from tidesync.sessions.correction.csv.source import COMPRESSED
from tidesync.sessions.correction.csv.table import open_csv
from tidesync.sessions.correction.parquet_table import open_parquet
from tidesync.sessions.errors import UnusableFileError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tidesync.sessions.correction.table import Job, Measured, OpenTable, Table

FORMATS: Mapping[str, OpenTable] = {
    ".csv": open_csv,
    ".parquet": open_parquet,
    ".tsv": open_csv,
    ".txt": open_csv,
}
"""What opens the tables with a suffix."""

_OUTPUT = ".topside"
_ROTATED = re.compile(r"\.\d{1,3}")


def open_table(job: Job, measured: Measured) -> AbstractContextManager[Table]:
    """The job's table; UnusableFileError where no format is known for its name. See `table.OpenTable`."""
    _, suffix, _ = _divided(job.path)
    if not suffix:
        known = ", ".join(FORMATS)
        reason = f"no format is known for the suffix {job.path.suffix!r} (known: {known})"
        raise UnusableFileError(job.path, reason)
    return FORMATS[suffix.lower()](job, measured)


def is_table(path: Path) -> bool:
    """Whether a file of this name has a known format."""
    return bool(_divided(path)[1])


def output_of(path: Path) -> Path:
    """`NAME.topside.csv` for `NAME.csv`, `NAME.topside.csv.gz` for `NAME.csv.gz`."""
    stem, suffix, rest = _divided(path)
    return path.with_name(f"{stem}{_OUTPUT}{suffix}{rest}")


def is_output(path: Path) -> bool:
    """Whether `path` has the name of an output: never an input."""
    return _divided(path)[0].endswith(_OUTPUT)


def _divided(path: Path) -> tuple[str, str, str]:
    """A file's name before its format's suffix, that suffix, and what follows it; both empty: no format."""
    name, rest = path.name, ""
    for further in (COMPRESSED, None):
        stem, dot, last = name.rpartition(".")
        suffix = f"{dot}{last}"
        is_further = suffix.lower() in further if further else _ROTATED.fullmatch(suffix) is not None
        if stem and is_further:
            name, rest = stem, suffix + rest
    stem, dot, last = name.rpartition(".")
    suffix = f"{dot}{last}"
    text_only = rest.lower().endswith(COMPRESSED)
    known = suffix.lower() in FORMATS and not (text_only and FORMATS[suffix.lower()] is not open_csv)
    return (stem, suffix, rest) if stem and known else (path.stem, "", path.suffix)
