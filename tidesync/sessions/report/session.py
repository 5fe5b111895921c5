"""A recorded session as the report reads it: smoothed tracks, events, metadata."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tidesync.sessions.correction.histories import Histories, read_histories
from tidesync.sessions.correction.session import Options
from tidesync.sessions.document import Document, NotMetadataError, block_of
from tidesync.sessions.errors import NotASessionError
from tidesync.sessions.folder import (
    CLOCK,
    EXCHANGES,
    METADATA,
    TIME_SYNC,
    Measured,
    ReadStreams,
    SessionFolder,
    measure,
)
from tidesync.sessions.journal import LineCounts
from tidesync.sessions.processes import concurrent, instance_of
from tidesync.sessions.report.tables import TableStamps, stamps_of_tables
from tidesync.sessions.streams import Streams

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from schemas.events import EventLine
    from tidesync.sessions.journal import Stream
    from topside_agent.estimator import Exchanges

_AS_FOUND = Options()


@dataclass(frozen=True, slots=True)
class RecordedSession:
    """What a report is made from; `unmeasured` are vehicles of the session without an exchange."""

    name: str
    mission: str | None
    block: dict[str, Any]
    """`timeSync.tidesync` of the metadata; empty where there is none."""
    entries: dict[str, dict[str, Any]]
    """The sensors' entries in `timeSync`, as the consumer reads them."""
    measured: list[Measured] = field(default_factory=list)
    events: list[EventLine] = field(default_factory=list)
    unmeasured: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """What could not be read, in words."""
    tables: list[TableStamps] = field(default_factory=list)
    histories: dict[Stream, Histories] = field(default_factory=dict)
    """The clock histories of each vehicle and the topside that measured it."""


def load(path: Path, options: Options = _AS_FOUND) -> RecordedSession:
    """Read the session in `path`, its tables as `options` state.

    NotASessionError where there is none, OSError where it cannot be read.
    """
    folder = SessionFolder(path)
    read, faults = folder.read_streams(), list[str]()
    if read is None and not folder.metadata_path.exists():
        raise NotASessionError(
            f"{path} is no session's folder: neither {METADATA} nor {TIME_SYNC}/{EXCHANGES} is there"
        )
    document = _document(folder, faults)
    block = block_of(document)
    measured = _measured(read or ReadStreams(Streams(), LineCounts()), _topsides(block), faults)
    mission = document.get("mission")
    return RecordedSession(
        name=path.resolve().name,
        mission=mission if isinstance(mission, str) else None,
        block=block,
        entries=_entries(document),
        measured=measured,
        events=folder.read_events(),
        unmeasured=_unmeasured(block, {one.vehicle for one in measured}),
        faults=faults,
        tables=stamps_of_tables(folder, measured, options),
        histories=_histories(folder, measured, faults),
    )


def _histories(
    folder: SessionFolder, measured: Sequence[Measured], faults: list[str]
) -> dict[Stream, Histories]:
    streams = {(one.vehicle, one.topside) for one in measured}
    try:
        return {stream: read_histories(folder, *stream) for stream in streams}
    except OSError as error:
        faults.append(f"{TIME_SYNC}/{CLOCK} cannot be read ({error.strerror}): no clock history is used.")
        return {}


def _document(folder: SessionFolder, faults: list[str]) -> Document:
    try:
        document = folder.read_metadata()
    except NotMetadataError as error:
        faults.append(f"{METADATA} cannot be read ({error}).")
        return {}
    if document is None:
        faults.append(f"{METADATA} is missing: which sensor belongs to which vehicle is not known.")
    return document or {}


def _measured(read: ReadStreams, topsides: dict[str, str], faults: list[str]) -> list[Measured]:
    """One for each vehicle and topside; of a vehicle's topsides the one in the metadata comes first."""
    if read.counts.malformed:
        faults.append(f"{read.counts.complaint}, left out.")
    return sorted(
        [one for stream, exchanges in read.streams.items() for one in _of_stream(stream, exchanges, faults)],
        key=lambda one: (one.vehicle, topsides.get(one.vehicle) != one.topside, one.topside),
    )


def _of_stream(stream: Stream, exchanges: Exchanges, faults: list[str]) -> list[Measured]:
    """What one topside measured of a vehicle; of namesakes each apart, by its own clock."""
    processes = concurrent(exchanges)
    if not processes:
        return _tracks(stream, exchanges, faults)
    return [
        replace(one, namesakes=(process, *(other for other in processes if other != process)))
        for process in processes
        for one in _tracks(stream, _of_process(exchanges, process.instance_id), faults)
    ]


def _of_process(exchanges: Exchanges, instance_id: str) -> Exchanges:
    return exchanges.at(exchanges.labelled(lambda labels: instance_of(labels) == instance_id))


def _tracks(stream: Stream, exchanges: Exchanges, faults: list[str]) -> list[Measured]:
    """The stream's track; none where that fails, which is one of the faults."""
    measured = measure({stream: exchanges})
    faults += [f"{complaint}." for complaint in measured.complaints()]
    return list(measured.values())


def _topsides(block: dict[str, Any]) -> dict[str, str]:
    vehicles = block.get("vehicles")
    if not isinstance(vehicles, dict):
        return {}
    return {name: str(one.get("topside")) for name, one in vehicles.items() if isinstance(one, dict)}


def _entries(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = document.get("timeSync")
    sensors: Iterable[tuple[str, Any]] = found.items() if isinstance(found, dict) else ()
    return {name: entry for name, entry in sensors if isinstance(entry, dict) and "offsetMs" in entry}


def _unmeasured(block: dict[str, Any], measured: set[str]) -> list[str]:
    sensors = block.get("sensors")
    wanted = set(map(str, sensors.values())) if isinstance(sensors, dict) else set()
    return sorted((wanted | set(_topsides(block))) - measured)
