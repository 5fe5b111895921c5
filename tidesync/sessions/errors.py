"""Errors of sessions; each sentence names the file, and if possible the line and the value."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class SessionError(Exception):
    """Base of this package's errors.

    SessionError
    ├── NotASessionError       a folder without any file of a session
    ├── AlreadyCorrectedError  a session whose tables have topside's times
    ├── NothingMeasuredError   no exchange of a vehicle that is asked for
    ├── NothingRecordedError   no correction of a session is recorded
    ├── UnknownVehicleError    it is not known by whose clock a table was stamped
    │   ├── UnknownTopsideError      nor is the topside or process that was named
    │   └── ConcurrentTopsidesError  several processes of one name measured at a time; none is named
    ├── UsageError             an argument of the library that cannot be used
    ├── UnusableFileError      a file that cannot be read, understood or written
    │   ├── NoTimestampError   a table without the column that is asked for
    │   ├── GrowingFileError   a file that changes while it is read
    │   └── ForeignFileError   an output's place that somebody else's file has
    ├── UnusableRootError      the recorder's root cannot be written, or another recorder has it
    ├── UnusableCrateError     a crate that is damaged, incomplete or another program's
    ├── RefusedError           the recorder refuses a command: the answer `refused`
    └── TornIndexError         an index that cannot be used: the journal is read instead
    """


class NotASessionError(SessionError):
    """A folder without any file of a session."""


class AlreadyCorrectedError(SessionError):
    """To correct its tables once more would shift them by the offset again."""


class NothingMeasuredError(SessionError):
    """There is nothing to estimate or correct by."""


class NothingRecordedError(SessionError):
    """It is not recorded how a session's tables were corrected."""


class UnknownVehicleError(SessionError):
    """Wrong usage: a table cannot be corrected unless its vehicle is given."""


class UnknownTopsideError(UnknownVehicleError):
    """Wrong usage: no exchange of the topside or process that was named."""


class ConcurrentTopsidesError(UnknownVehicleError):
    """Several processes of one topside's name measured at the same time: one must be named."""


class UsageError(SessionError, ValueError):
    """Wrong usage of the library; the sentence names the argument, what was received and what is accepted."""


class UnusableFileError(SessionError):
    """`path` cannot be read, understood or written; nothing was written for it."""

    def __init__(self, path: Path, reason: str, line: int | None = None) -> None:
        super().__init__(f"{path}{'' if line is None else f', line {line}'}: {reason}")
        self.path = path
        self.line = line


class NoTimestampError(UnusableFileError):
    """`path` is a table, but has no such column."""


class GrowingFileError(UnusableFileError):
    """`path` changed while it was read, as one does that is still being recorded."""


class ForeignFileError(UnusableFileError):
    """`path` has an output's name, and was not written by a correction."""


class UnusableRootError(SessionError):
    """The recorder's root folder cannot be used."""


class UnusableCrateError(SessionError):
    """A crate that is damaged, incomplete or another program's; nothing was done by it."""


class RefusedError(SessionError):
    """The recorder refuses a session command; the sentence is the answer's `error`."""


class TornIndexError(SessionError):
    """The recorder's index is torn, or of another journal or version."""
