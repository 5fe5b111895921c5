"""What a table format provides to the driver: rows' timestamps, and an output with four more columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol

from tidesync.sessions.correction.stamps.options import AS_FOUND, StampOptions

if TYPE_CHECKING:
    from tidesync.sessions.correction.instrument_clock import InstrumentClock
    from tidesync.sessions.correction.stamps.form import StampForm
    from tidesync.sessions.correction.timeline import Corrections
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Integers

Measured = Sequence[tuple[int, int]]
"""The first and the last Pi time, ns, that was measured in each segment."""

EXPORTED = "tidesync_version"
"""The attribute of netCDF files that `tidesync export` wrote: their times are topside's already."""
COLUMNS = ("timestamp_topside", "time_max_error_ms", "time_u95_ms", "time_state")


@dataclass(frozen=True, slots=True)
class TextLayout:
    """Where a table of text has its header, as far as a user states it."""

    header_line: int | None = None
    """Its number, from 1; None: the first line that is neither blank nor a comment."""
    comment: str = ""
    """Lines that begin with it are no rows; empty: there are none."""
    header: bool = True
    """Whether there is one; else the columns are named 1, 2, …"""


@dataclass(frozen=True, slots=True)
class Job:
    """A table to correct: the vehicle whose clock stamped it, the column and its unit."""

    path: Path
    vehicle: str
    column: str = "timestamp"
    unit: str | None = None
    """One of survey.UNITS; None: recognised."""
    stamps: StampOptions = AS_FOUND
    zone: str | None = None
    """The zone of the sensor's times that the session's metadata states."""
    sensor: str | None = None
    """Whose folder it was found in; None: it was named."""
    layout: TextLayout = TextLayout()
    message_stamps: bool = False
    """Whether stamps within the messages of a file of messages are corrected too."""
    clock: InstrumentClock | None = None
    """Which clock stamped it, where it is stated; an instrument's file needs it."""
    sample_clock_ppm: float = 100.0
    """How far off the rate may be of a file that states its start and counts samples."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that together are the timestamp: one, or two."""
        if self.stamps.columns:
            return self.stamps.columns
        anchor = self.stamps.since_column
        return (self.column,) if anchor is None else (anchor, self.column)


NO_TIMESTAMP = "is no timestamp"


class Malformed(NamedTuple):
    """A row that should have a timestamp and has none: its place (see `Table.place`), and what is wrong."""

    place: int
    value: str
    reason: str = NO_TIMESTAMP


class Batch(NamedTuple):
    """Consecutive rows of a table."""

    rows: Any
    """In the format's own form, for `Write`."""
    unix_ns: Integers
    """Each row's timestamp, int64; void where it is not readable."""
    readable: Flags
    """Which rows have one, of the same shape."""
    malformed: Sequence[Malformed]
    size: int
    """Bytes of the input."""
    repeated: Flags | None = None
    """Which rows have two instants, because their local time is repeated; None: none."""
    resolution_ns: Integers | None = None
    """The steps in which each row is written, where they are coarser than the table's; else 0."""

    @property
    def certain(self) -> Flags:
        """Which rows have one instant."""
        return self.readable if self.repeated is None else self.readable & ~self.repeated


Write = Callable[[Any, "Corrections"], None]
"""Writes a batch's `rows`, each with its entry of the corrections (UNREADABLE without a timestamp)."""


class Stamped(Protocol):
    """Rows with timestamps."""

    @property
    def form(self) -> StampForm | None:
        """How its timestamps are written; None: as exact instants."""

    def scan(self) -> Iterator[Batch]:
        """All rows' timestamps; `Batch.rows` is not used."""


class Table(Stamped, Protocol):
    """An open table. The driver scans it if it needs two passes, then reads its rows while it writes them."""

    @property
    def columns(self) -> Sequence[str]:
        """The names of its columns."""

    @property
    def place(self) -> str:
        """What `Batch.malformed` counts: `line` or `row`."""

    @property
    def step_ns(self) -> int:
        """The unit of the instants that were written, ns: each row's error contains it; 0 for exact ones."""

    def read(self) -> Iterator[Batch]:
        """All rows; after a scan those that the scan saw, although the file may have grown since."""

    def texts(self, rows: Any, wanted: Sequence[int]) -> Sequence[Sequence[bytes]]:
        """Of each column the texts of those of a batch's `rows` that are `wanted`, without quotes, in UTF-8.

        Absent ones are empty.
        """

    def output(self, stream: BinaryIO) -> AbstractContextManager[Write]:
        """A table with the same columns and COLUMNS after them, on `stream`; opened before `read` begins."""


OpenTable = Callable[[Job, Measured], AbstractContextManager[Table]]
"""Opens the table of a job; the measured Pi times (`Timeline.measured`) show how its timestamps are written.

UnusableFileError where the file is no such table, NoTimestampError where it does not have the job's column.
"""
