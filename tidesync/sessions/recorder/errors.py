"""What goes wrong in the recorder; each error names the session or the path."""

from __future__ import annotations


class RecorderError(Exception):
    """Base of this package's errors.

    RecorderError
    ├── UnusableRootError    the root folder cannot be written, or another recorder has it
    └── RefusedError         a command that is not done, and why: the answer `refused`
    """


class UnusableRootError(RecorderError):
    """The root folder cannot be used; the sentence names it."""


class RefusedError(RecorderError):
    """A session command that is not done; the sentence is the answer's `error`."""
