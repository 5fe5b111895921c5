"""A session's folder: the one reader and writer of its files, and the smoothed tracks of what they hold."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from runtime.files import read, replacing
from schemas.events import EventLine
from schemas.metadata import EXCHANGES_NAME, FILE_NAME, FOLDER_NAME
from tidesync.sessions import document
from tidesync.sessions.bridged import bridged
from tidesync.sessions.clock_pieces import ClockJournal, ClockPieces, Machine, read_clock_journal
from tidesync.sessions.errors import NothingMeasuredError, UnusableFileError
from tidesync.sessions.frames import parts_of
from tidesync.sessions.isolation import StreamFaults, Tracks, each_made
from tidesync.sessions.journal import (
    Journal,
    LineCounts,
    Stream,
    decode_event,
    journal_lines,
    lines_in,
    read_journal,
)
from tidesync.sessions.one_machine import joined
from tidesync.sessions.processes import Choice, chosen
from tidesync.sessions.streams import Streams, read_streams
from topside_agent.estimator import EstimatorSettings, Exchanges, Row, Track, in_order, smooth

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from schemas.exchange import Exchange
    from tidesync.sessions.processes import Process

_log = logging.getLogger(__name__)

METADATA = FILE_NAME
REPORT = "report.html"
"""Written by `tidesync report`."""
TIME_SYNC = FOLDER_NAME
EXCHANGES = EXCHANGES_NAME
EVENTS = "events.jsonl"
CLOCK = "clock.jsonl"
OFFSETS = "offsets.csv"
RECORDING = "recording.json"
INDEX = "exchanges.index"
CORRECTIONS = "corrections.json"
CORRECTED_FILES = "corrected_files.jsonl"

OFFSET_COLUMNS = Row._fields


@dataclass(frozen=True, slots=True)
class Measured:
    """What one topside measured of one vehicle, or several topsides of one machine."""

    vehicle: str
    topside: str
    """Of several the latest: the exchanges name each."""
    exchanges: Exchanges
    """In the order in which topside finished them: by `seq` within one topside process, independent of clock
    steps and of the order of the lines."""
    track: Track
    namesakes: Sequence[Process] = ()
    """It is what the first of these processes measured, while the others of its name were active."""


class ReadStreams(NamedTuple):
    """A journal by stream, and the counts of its lines."""

    streams: Streams
    counts: LineCounts


AddRows = Callable[[Stream, Sequence[Row]], None]
"""Adds the rows of a track to a table."""


@dataclass(frozen=True, slots=True)
class SessionFolder:
    """The files below `path`. Reading raises OSError; absent is None."""

    path: Path

    @property
    def metadata_path(self) -> Path:
        """The consumer's `sync_metadata.json`."""
        return self.path / METADATA

    @property
    def time_sync_path(self) -> Path:
        """The folder of everything else."""
        return self.path / TIME_SYNC

    @property
    def exchanges_path(self) -> Path:
        """Every exchange, a line each, append-only: the source of truth; `frames.parts_of` has its files."""
        return self.time_sync_path / EXCHANGES

    @property
    def events_path(self) -> Path:
        """Steps, suspends, reboots, outages, gaps; a line each, append-only."""
        return self.time_sync_path / EVENTS

    @property
    def clock_path(self) -> Path:
        """The clock history of each machine; a piece a line, append-only; it may have two files as well."""
        return self.time_sync_path / CLOCK

    @property
    def offsets_path(self) -> Path:
        """The smoothed tracks."""
        return self.time_sync_path / OFFSETS

    @property
    def corrected_files_path(self) -> Path:
        """What each corrected file was made of, so that it need not be made again."""
        return self.time_sync_path / CORRECTED_FILES

    @property
    def corrections_path(self) -> Path:
        """Which settings the corrected tables were made with."""
        return self.time_sync_path / CORRECTIONS

    @property
    def index_path(self) -> Path:
        """The recorder's index of `growing_paths`, a cache; there only until the session has stopped."""
        return self.time_sync_path / INDEX

    @property
    def growing_paths(self) -> tuple[Path, ...]:
        """The files that grow with a session's length: of exchanges and of clocks, plain and compressed."""
        return (*parts_of(self.exchanges_path), *parts_of(self.clock_path))

    @property
    def recording_path(self) -> Path:
        """What is being recorded; there only until the session has stopped."""
        return self.time_sync_path / RECORDING

    def read_exchanges(self) -> Journal | None:
        """Every exchange recorded, in the order of the file, and which lines are malformed; all in memory."""
        try:
            return read_journal(journal_lines(self.exchanges_path))
        except FileNotFoundError:
            return None

    def read_streams(self, wanted: Callable[[Exchange], bool] = lambda _: True) -> ReadStreams | None:
        """Every exchange recorded that is `wanted`, by stream, and which lines are malformed."""
        counts = LineCounts()
        try:
            return ReadStreams(read_streams(journal_lines(self.exchanges_path), counts, wanted), counts)
        except FileNotFoundError:
            return None

    def read_events(self) -> list[EventLine]:
        """The events recorded; other tools' lines are left out."""
        return list(self.each_event())

    def each_event(self) -> Iterator[EventLine]:
        """The same, one at a time."""
        try:
            with self.events_path.open("rb") as stream:
                for line in lines_in(stream):
                    if line.strip() and (event := decode_event(line)):
                        yield event
        except FileNotFoundError:
            return

    def read_clock(self) -> ClockJournal | None:
        """The clock histories, and which lines are malformed."""
        try:
            return read_clock_journal(journal_lines(self.clock_path))
        except FileNotFoundError:
            return None

    def clock_history(self, machine: Machine, name: str) -> dict[str, ClockPieces]:
        """The pieces of each process of a machine, by instance id; empty if there is no history of it."""
        journal = self.read_clock() or ClockJournal()
        if journal.malformed:
            _log.warning("%s: %s", self.path, journal.complaint)
        return journal.histories.get((machine, name), {})

    def read_metadata(self) -> document.Document | None:
        """The consumer's document; NotMetadataError where it is none."""
        content = read(self.metadata_path)
        return None if content is None else document.parse(content)

    def measure(
        self,
        settings: EstimatorSettings = EstimatorSettings(),  # noqa: B008
        choice: Choice = Choice(),  # noqa: B008
    ) -> Tracks[Measured]:
        """The track of every stream that has one, all in memory; raises as `each_measured`."""
        tracks: Tracks[Measured] = Tracks()
        tracks.update(self.each_measured(tracks.failed, settings, choice))
        return tracks

    def each_measured(
        self,
        failed: StreamFaults,
        settings: EstimatorSettings = EstimatorSettings(),  # noqa: B008
        choice: Choice = Choice(),  # noqa: B008
    ) -> Iterator[tuple[Stream, Measured]]:
        """The track of one stream after the other; as `each_made`.

        NothingMeasuredError at the end if none has a track, others as `chosen`.
        """
        try:
            journal = self.read_streams()
        except OSError as error:
            raise UnusableFileError(self.exchanges_path, error.strerror or str(error)) from error
        if journal is None:
            raise NothingMeasuredError(
                f"{self.exchanges_path} is missing: nothing was measured, or this is no session's folder"
            )
        if journal.counts.malformed:
            _log.warning("%s: %s", self.path, journal.counts.complaint)
        meant = chosen(journal.streams, choice)
        streams = meant if choice else joined(meant)
        yield from each_measured(streams, failed, settings)
        if len(failed) == len(streams):
            reason = "; ".join(failed.complaints()) or "it holds no exchange: nothing was measured"
            raise NothingMeasuredError(f"{self.exchanges_path}: {reason}")
        for complaint in failed.complaints():
            _log.error("%s: %s", self.path, complaint)

    def write_offsets(self, tracks: Iterable[tuple[Stream, Sequence[Row]]]) -> None:
        """Replace `offsets.csv` by the rows of `tracks`, one after the other; UnusableFileError."""
        with self.writing_offsets() as add:
            for stream, rows in tracks:
                add(stream, rows)
                del rows

    @contextmanager
    def writing_offsets(self) -> Iterator[AddRows]:
        """Replace `offsets.csv` by the tracks that are added until the block ends; UnusableFileError."""
        try:
            self.time_sync_path.mkdir(parents=True, exist_ok=True)
            with replacing(self.offsets_path) as stream, writing_table(stream) as add:
                yield add
        except OSError as error:
            reason = f"{error.strerror or error}; it was not written"
            raise UnusableFileError(self.offsets_path, reason) from error


def measure(
    streams: Mapping[Stream, Exchanges],
    settings: EstimatorSettings = EstimatorSettings(),  # noqa: B008
) -> Tracks[Measured]:
    """Smooth every stream, by the streams' names; an internal fault is that stream's alone."""
    tracks: Tracks[Measured] = Tracks()
    tracks.update(each_measured(streams, tracks.failed, settings))
    return tracks


def each_measured(
    streams: Mapping[Stream, Exchanges],
    failed: StreamFaults,
    settings: EstimatorSettings = EstimatorSettings(),  # noqa: B008
) -> Iterator[tuple[Stream, Measured]]:
    """What was measured of one stream after the other; as `each_made`."""

    def measured(stream: Stream, exchanges: Exchanges) -> Measured:
        listed = in_order(exchanges)
        return Measured(*stream, listed, smooth(bridged(listed).exchanges, settings))

    return each_made(streams, measured, failed)


@contextmanager
def writing_table(stream: BinaryIO) -> Iterator[AddRows]:
    """`offsets.csv`: every row of every track that is added; absent is empty, never 0."""
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(OFFSET_COLUMNS)

    def add(name: Stream, rows: Sequence[Row]) -> None:
        for row in rows:
            writer.writerow([*name, *("" if value is None else value for value in row[2:])])

    yield add
    text.detach()
