"""How far a long command is: a bar in a terminal, after two seconds; elsewhere lines of the log."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING, Any, ClassVar

import click

from schemas.compat import Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_log = logging.getLogger(__name__)

_SHOWN_AFTER_S = 2.0
_LINE_EACH_S = 10.0


class Progress:
    """Counts bytes; shows the bar once the command has run for two seconds."""

    observer: ClassVar[Callable[[float], None] | None] = None
    """Called with the part that is done, from 0 to 1, in a process that shows no bar."""

    def __init__(self, label: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        """The command begins now; `length` is set when it is known."""
        self._label, self._clock, self._began_s = label, clock, clock()
        self.length, self._done = 1, 0
        self._bar: Any = None
        self._line_s = self._began_s

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
        part = min(self._done / max(self.length, 1), 1.0)
        if Progress.observer is not None:
            Progress.observer(part)
        if self._bar is not None:
            self._bar.update(more)
        elif not sys.stderr.isatty():
            self._write_line(part)
        elif self._clock() - self._began_s > _SHOWN_AFTER_S:
            bar = click.progressbar(length=max(self.length, 1), label=self._label, file=sys.stderr)
            self._bar = bar.__enter__()
            self._bar.update(self._done)

    def note(self, line: str) -> None:
        """Log it, where no terminal shows a bar."""
        if not sys.stderr.isatty() and Progress.observer is None:
            self._line_s = self._clock()
            _log.info("%s", line)

    def _write_line(self, part: float) -> None:
        if Progress.observer is None and self._clock() - self._line_s > _LINE_EACH_S:
            self._line_s = self._clock()
            _log.info("%s: %d %%", self._label, 100 * part)
