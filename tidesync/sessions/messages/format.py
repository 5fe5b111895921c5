"""What a format of messages provides to the driver: its messages' stamps, and files of the corrected ones.

A message has one stamp that places it in time, the first of `names`, and may have further ones. Each of them
is a column of its own, whose order in the file is evidence as that of a table's rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from tidesync.sessions.correction.stamps.form import StampForm
    from tidesync.sessions.correction.table import Batch, Job, Measured
    from tidesync.sessions.correction.timeline import Corrections, Timeline


class Loss(NamedTuple):
    """A part of the file that could not be read, or not be trusted: where it begins, and why."""

    at: int
    size: int
    """Bytes."""
    reason: str


class Block(NamedTuple):
    """Consecutive messages of a file."""

    records: Any
    """In the format's own form, for `Write`."""
    columns: Sequence[Batch]
    """The stamps of each name, of all these messages; only those of the first one count bytes."""


@dataclass(slots=True)
class Target:
    """Where the corrected messages go, and what their file is to say of its times."""

    output: Path
    unanswered: Path
    """Where messages without an answer go, if the format writes them to a file of their own."""
    sidecar: Path
    """A table of their errors, for formats that have no place for them."""
    about: Mapping[str, str]
    """Version, session, vehicle."""
    summary: Callable[[], Mapping[str, str]]
    """What became of the messages; to be asked after the last one."""


@dataclass(slots=True)
class Outcome:
    """What else a format has to say of a file; filled while it is read and written."""

    losses: list[Loss] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Sentences on what was done and what was left as it is."""
    beside: list[Path] = field(default_factory=list)
    """Further files that were written."""
    missing: int | None = None
    """How many messages the file states that were not found; None: it does not state how many it has."""


Answer = Callable[["Messages", "Timeline"], Iterator[tuple[Block, "Sequence[Corrections]"]]]
"""All blocks of a file, with the corrections of each column by a timeline."""

Write = Callable[[Block, "Sequence[Corrections]"], None]
"""Writes a block's messages; of each stamp's column the corrections."""


class Messages(Protocol):
    """An open file of messages."""

    @property
    def names(self) -> Sequence[str]:
        """Of the stamps; the first one decides whether a message is answered."""

    @property
    def forms(self) -> Sequence[StampForm]:
        """How they are written, of each."""

    @property
    def step_ns(self) -> int:
        """The unit of the times that are written, ns: each error contains it; 0 for exact ones."""

    @property
    def outcome(self) -> Outcome:
        """Of the last pass."""

    def scan(self) -> Iterator[Sequence[Batch]]:
        """All messages' stamps, for a first pass."""

    def read(self) -> Iterator[Block]:
        """All messages, in the order of the file; after a scan those that the scan saw."""

    def timeline(self, vehicles: Timeline, answer: Answer) -> Timeline:
        """What answers its stamps: the timeline of the vehicle's clock, or one that is made by it.

        `answer` answers the messages of another file that is opened for this.
        """

    def foreign(self, target: Target) -> Iterable[Path]:
        """The files that `output` would replace and that it has not written."""

    def output(self, target: Target) -> AbstractContextManager[Write]:
        """Files of corrected messages, which appear complete or not at all; opened before `read` begins."""


OpenMessages = Callable[["Job", "Measured"], AbstractContextManager[Messages]]
"""Opens a job's file; the measured Pi times show how its stamps are written.

UnusableFileError where it is no such file, or nothing of it can be read.
"""
