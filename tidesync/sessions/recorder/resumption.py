"""Resumes a session from its folder, in a thread of its own: the index, and the lines that follow it."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from schemas.base import InvalidMessageError, Message
from schemas.messages import OffsetResult
from schemas.metadata import OffsetRange
from schemas.names import InvalidNameError, topside_name
from tidesync.sessions.clock_pieces import ClockJournal, each_clock_line, is_clock_line
from tidesync.sessions.errors import TornIndexError
from tidesync.sessions.frames import parts_of
from tidesync.sessions.journal import LineCounts, each_exchange, is_event, is_exchange, journal_lines
from tidesync.sessions.recorder import files, index_file
from tidesync.sessions.recorder.session_log import SessionLog
from tidesync.sessions.recorder.snapshot import read_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from runtime.clock import Reading
    from schemas.clock_history import ClockLine
    from schemas.events import EventLine
    from schemas.exchange import Exchange
    from tidesync.sessions.document import Document
    from tidesync.sessions.folder import SessionFolder
    from tidesync.sessions.recorder.recording import Recording
    from tidesync.sessions.recorder.sources import SourceState

_log = logging.getLogger(__name__)

_CHUNK = 1000
_Part = TypeVar("_Part", bound=Message)


@dataclass(slots=True)
class Resumed:
    """A log that knows all that the folder has."""

    log: SessionLog
    events: list[EventLine] = field(default_factory=list)
    """What an earlier process could not write any more."""
    unindexed: int = 0
    """Lines of `exchanges.jsonl` and `clock.jsonl` that follow the index."""


def resume(
    folder: SessionFolder,
    recording: Recording,
    block: Document,
    now: Reading,
    before: list[SourceState] | None = None,
) -> Resumed:
    """Read the folder; `block` is ours in its metadata. OSError if it cannot be read: then nothing is known.

    `before`: what had been counted in another folder; what this one lacks of it is missing.

    Torn last lines are repaired first. The memory that it takes does not grow with the journals, but for four
    bytes an exchange, 65 a piece of a clock history, and each event's identity.
    """
    for path, is_whole in (
        (folder.exchanges_path, is_exchange),
        (folder.events_path, is_event),
        (folder.clock_path, is_clock_line),
    ):
        if path.exists():
            files.append(path, b"", is_whole)
        if (frames := parts_of(path)[1]).exists():
            files.append_frame(frames, b"", None)
    resumed = Resumed(SessionLog(recording, now))
    if before is not None:
        resumed.log.expect_again(before, now)
    resumed.log.restore((), folder.each_event(), now)
    starts = [0, 0, 0, 0] if before is not None else _restore_index(folder, resumed.log, now)
    _restore_exchanges(folder.exchanges_path, starts[:2], resumed, now)
    _restore_clock(folder.clock_path, starts[2:], resumed, now)
    _restore_results(resumed.log, block, now)
    resumed.log.watches.note_resumed()
    return resumed


def exchanges_of(block: Document) -> dict[str, int]:
    """How many exchanges of each vehicle the metadata says are recorded."""
    return {
        vehicle: count
        for vehicle, each in _vehicles(block).items()
        if isinstance(each, dict) and isinstance(count := each.get("exchanges"), int) and count >= 0
    }


def _restore_exchanges(path: Path, starts: Sequence[int], resumed: Resumed, now: Reading) -> None:
    counts = LineCounts()
    lines = _exchanges(path, starts, counts)
    while chunk := list(islice(lines, _CHUNK)):
        resumed.unindexed += len(chunk)
        resumed.events += resumed.log.restore(chunk, (), now)
    if counts.malformed:
        complaint = f"{counts.malformed} lines are no exchanges ({counts.faults[0]})"
        _log.warning("%s: %s; they stay as they are", path, complaint)


def _restore_index(folder: SessionFolder, log: SessionLog, now: Reading) -> list[int]:
    """The lengths of the journals that the index speaks for; 0 without one that can be used."""
    try:
        with index_file.reading(folder.index_path, folder.growing_paths) as index:
            log.restore_snapshot(*read_snapshot(index), now)
            return index.sizes
    except FileNotFoundError:
        pass
    except (OSError, TornIndexError) as error:
        _log.warning("%s: %s; the journals are read instead", folder.index_path, error)
    return [0 for _ in folder.growing_paths]


def _exchanges(path: Path, starts: Sequence[int], counts: LineCounts) -> Iterator[Exchange]:
    try:
        yield from each_exchange(journal_lines(path, starts), counts)
    except FileNotFoundError:
        return


def _restore_clock(path: Path, starts: Sequence[int], resumed: Resumed, now: Reading) -> None:
    journal = ClockJournal()
    resumed.log.clock.restore(_clock_lines(path, starts, journal), now.raw_ns)
    resumed.unindexed += journal.sound
    if journal.malformed:
        complaint = f"{journal.malformed} lines are no pieces ({journal.faults[0]})"
        _log.warning("%s: %s; they stay as they are", path, complaint)


def _clock_lines(path: Path, starts: Sequence[int], journal: ClockJournal) -> Iterator[ClockLine]:
    try:
        yield from each_clock_line(journal_lines(path, starts), journal)
    except FileNotFoundError:
        return


def _restore_results(log: SessionLog, block: Document, now: Reading) -> None:
    for each in _vehicles(block).values():
        result = _decoded(OffsetResult, each, "result")
        if result and log.recording.includes(result.vehicle):
            session = _decoded(OffsetRange, each, "offset_range")
            log.restore_result(result, _topsides(each), session, now)


def _topsides(block: Document) -> list[str]:
    """Whose results a vehicle's block has; none where one of them is no name."""
    names = block.get("topsides")
    try:
        return [topside_name(str(name)) for name in names] if isinstance(names, list) else []
    except InvalidNameError:
        return []


def _vehicles(block: Document) -> Document:
    vehicles = block.get("vehicles")
    return vehicles if isinstance(vehicles, dict) else {}


def _decoded(kind: type[_Part], block: object, key: str) -> _Part | None:
    found = block.get(key) if isinstance(block, dict) else None
    try:
        return kind.decode(json.dumps(found))
    except InvalidMessageError:
        return None
