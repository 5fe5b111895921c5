"""A progress bar for runs that take long: in a terminal, from the third second on."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, ClassVar

import click

from schemas.compat import Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_SHOWN_AFTER_S = 2.0


class Progress:
    """Counts bytes; shows the bar once the command has run for two seconds."""

    observer: ClassVar[Callable[[float], None] | None] = None
    """Called with the part that is done, from 0 to 1, in a process that shows no bar."""

    def __init__(self, label: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        """The command begins now; `length` is set when it is known."""
        self._label, self._clock, self._began_s = label, clock, clock()
        self.length, self._done = 1, 0
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.__exit__(kind, error, trace)

    def update(self, more: int) -> None:
        """Count `more` bytes."""
        self._done += more
        if Progress.observer is not None:
            Progress.observer(min(self._done / max(self.length, 1), 1.0))
        if self._bar is not None:
            self._bar.update(more)
        elif sys.stderr.isatty() and self._clock() - self._began_s > _SHOWN_AFTER_S:
            bar = click.progressbar(length=max(self.length, 1), label=self._label, file=sys.stderr)
            self._bar = bar.__enter__()
            self._bar.update(self._done)
