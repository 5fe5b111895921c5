"""The command line's own errors; `tidesync.__main__` turns them into one line and an exit code."""

from __future__ import annotations


class CommandError(Exception):
    """Base of this package's errors.

    CommandError
    ├── SettingsError   an option, variable or file that cannot be used: exit 2
    └── NotSoError      the thing asked for is not so: exit 1
    """


class SettingsError(CommandError):
    """Wrong usage or settings; the sentence names the setting, where it came from and the value."""


class NotSoError(CommandError):
    """What was asked for is not so, or could not be reached."""
