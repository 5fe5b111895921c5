"""What goes wrong in a correction; each sentence names the file, and where it can the line and the value."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class CorrectionError(Exception):
    """Base of this package's errors.

    CorrectionError
    ├── NothingMeasuredError   no exchange of a vehicle that is asked for
    ├── UnknownVehicleError    it is not said by whose clock a table was stamped
    └── UnusableFileError      a data file that cannot be read, understood or written
        └── NoTimestampError   a table without the column that is asked for
    """


class NothingMeasuredError(CorrectionError):
    """There is nothing to correct by."""


class UnknownVehicleError(CorrectionError):
    """Wrong usage: a table cannot be corrected without being told more."""


class UnusableFileError(CorrectionError):
    """`path` cannot be corrected, and nothing was written for it."""

    def __init__(self, path: Path, reason: str, line: int | None = None) -> None:
        super().__init__(f"{path}{'' if line is None else f', line {line}'}: {reason}")
        self.path = path
        self.line = line


class NoTimestampError(UnusableFileError):
    """`path` is a table, but has no such column."""
