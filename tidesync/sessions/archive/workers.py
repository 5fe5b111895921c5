"""What does tasks of one kind: this process in turn; others on this computer or elsewhere do the same."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple, Protocol

Progress = Callable[[int], None]
"""Takes how much was done since the last call."""
Work = Callable[[Any, Any, Progress], Any]
"""Does a task: what it is, what all tasks share, and the progress; a function of a module: others find it.

Of exceptions it raises those of wrong usage (TidesyncError) alone.
"""


Results = Generator[tuple[int, Any], None, None]
"""The number of each task and its result, or `Lost`, as they are done."""


class Lost(NamedTuple):
    """In place of a result: what became of the worker, a sentence that names no task."""

    reason: str


class Workers(Protocol):
    """Do tasks."""

    def each(self, work: Work, shared: Any, tasks: Sequence[Any], progress: Progress) -> Results:
        """Do them, begun in their order; whoever closes this ends what is being worked on."""


class InTurn:
    """This process; see `Workers`."""

    def each(self, work: Work, shared: Any, tasks: Sequence[Any], progress: Progress) -> Results:
        """One after the other."""
        for number, task in enumerate(tasks):
            yield number, work(task, shared, progress)
