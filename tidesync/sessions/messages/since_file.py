"""The .tlog by which the boot times of a dataflash log are related to a clock: how an option names it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_TOPSIDE = "topside:"
_SUFFIX = ".tlog"


class Since(NamedTuple):
    """`--since` as it was stated, and the path of a .tlog in it."""

    stated: str | None
    path: str | None
    """None: it is an instant or a column."""
    by_topside: bool
    """Whether the .tlog has topside's times."""

    def renamed(self, path_of: Callable[[str], str]) -> str | None:
        """The same statement with another path."""
        if self.path is None:
            return self.stated
        return f"{_TOPSIDE if self.by_topside else ''}{path_of(self.path)}"


def divided(stated: str | None) -> Since:
    """The parts of `--since`."""
    path = (stated or "").removeprefix(_TOPSIDE)
    if not path.lower().endswith(_SUFFIX):
        return Since(stated, None, by_topside=False)
    return Since(stated, path, by_topside=path != stated)


def since_file(log: Path, path: str) -> Path:
    """The .tlog that is stated for the dataflash log at `log`: beside that, or by its path."""
    beside = log.parent / path
    return beside if beside.exists() else Path(path)
