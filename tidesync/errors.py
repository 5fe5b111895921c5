"""Errors of commands; `tidesync.command_line` turns them into one line and an exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import TidesyncError
from schemas.names import InvalidNameError

if TYPE_CHECKING:
    from collections.abc import Callable


class CommandError(TidesyncError):
    """Base of this package's errors.

    CommandError
    ├── SettingsError       an option, variable or file that cannot be used: exit 2
    └── NotSoError          what was asked for is not the case: exit 1
        └── NotFoundOutError    it could not be found out whether it is
    """


class SettingsError(CommandError):
    """Wrong usage or settings; the sentence names the setting, where it came from and the value."""


class NotSoError(CommandError):
    """What was asked for is not the case, or the broker could not be reached."""

    exit_code = 1


class NotFoundOutError(NotSoError):
    """It could not be found out whether what was asked for is the case; the sentence says why."""


def named(where: str, check: Callable[[str], str], name: str) -> str:
    """`name`, which `check` may refuse; the error then begins with `where`, an option or argument."""
    try:
        return check(name)
    except InvalidNameError as error:
        raise SettingsError(f"{where}: {error}") from error
