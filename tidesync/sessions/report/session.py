"""A recorded session as the report reads it: metadata, events, and smoothed tracks one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from tidesync.sessions.correction.histories import Histories, read_histories
from tidesync.sessions.correction.session import Options
from tidesync.sessions.document import Document, NotMetadataError, block_of
from tidesync.sessions.errors import NotASessionError
from tidesync.sessions.folder import CLOCK, EXCHANGES, METADATA, TIME_SYNC, SessionFolder, each_measured
from tidesync.sessions.isolation import StreamFaults
from tidesync.sessions.processes import concurrent_in, instance_of
from tidesync.sessions.streams import Streams

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from schemas.events import EventLine
    from tidesync.sessions.folder import Measured
    from tidesync.sessions.journal import Stream
    from tidesync.sessions.processes import Process
    from topside_agent.estimator import Exchanges

_AS_FOUND = Options()


class Subject(NamedTuple):
    """What one section is about: what a topside measured of a vehicle, and which process of several."""

    stream: Stream
    namesakes: Sequence[Process] = ()
    """The processes of its name that were active at the same time, the one that is meant first."""


@dataclass(frozen=True, slots=True)
class RecordedSession:
    """What a report is made from; `unmeasured` are vehicles of the session without an exchange."""

    folder: SessionFolder
    options: Options
    mission: str | None
    block: dict[str, Any]
    """`timeSync.tidesync` of the metadata; empty where there is none."""
    entries: dict[str, dict[str, Any]]
    """The sensors' entries in `timeSync`, as the consumer reads them."""
    streams: Streams = field(default_factory=Streams)
    subjects: list[Subject] = field(default_factory=list)
    """Of a vehicle's topsides the one in the metadata comes first."""
    events: list[EventLine] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """What could not be read or made, in words: more may come with each of `each_measured`."""

    @property
    def name(self) -> str:
        """The session's name."""
        return self.folder.path.resolve().name

    def each_measured(self) -> Iterator[Measured]:
        """What was measured of one subject after the other; one without a track is one of the faults."""
        for subject in self.subjects:
            failed = StreamFaults()
            for _, one in each_measured({subject.stream: self._exchanges(subject)}, failed):
                yield replace(one, namesakes=subject.namesakes)
                del one
            self.faults.extend(f"{complaint}." for complaint in failed.complaints())

    def _exchanges(self, subject: Subject) -> Exchanges:
        exchanges = self.streams[subject.stream]
        if not subject.namesakes:
            return exchanges
        own = subject.namesakes[0].instance_id
        return exchanges.at(exchanges.labelled(lambda labels: instance_of(labels) == own))

    def histories(self, stream: Stream) -> Histories:
        """The clock histories of a vehicle and the topside that measured it; none where that is a fault."""
        try:
            return read_histories(self.folder, *stream)
        except OSError as error:
            fault = f"{TIME_SYNC}/{CLOCK} cannot be read ({error.strerror}): no clock history is used."
            if fault not in self.faults:
                self.faults.append(fault)
            return Histories()

    def unmeasured(self, measured: Collection[str]) -> list[str]:
        """The session's vehicles that are not among the `measured`."""
        sensors = self.block.get("sensors")
        wanted = set(map(str, sensors.values())) if isinstance(sensors, dict) else set()
        return sorted((wanted | set(_topsides(self.block))).difference(measured))


def load(path: Path, options: Options = _AS_FOUND) -> RecordedSession:
    """Read the session in `path`, its tables as `options` state.

    NotASessionError where there is none, OSError where it cannot be read.
    """
    folder = SessionFolder(path)
    journal, faults = folder.read_streams(), list[str]()
    if journal is None and not folder.metadata_path.exists():
        raise NotASessionError(
            f"{path} is no session's folder: neither {METADATA} nor {TIME_SYNC}/{EXCHANGES} is there"
        )
    document = _document(folder, faults)
    block, mission = block_of(document), document.get("mission")
    if journal and journal.counts.malformed:
        faults.append(f"{journal.counts.complaint}, left out.")
    streams = journal.streams if journal else Streams()
    return RecordedSession(
        folder,
        options,
        mission=mission if isinstance(mission, str) else None,
        block=block,
        entries=_entries(document),
        streams=streams,
        subjects=_subjects(streams, _topsides(block)),
        events=folder.read_events(),
        faults=faults,
    )


def _subjects(streams: Streams, topsides: dict[str, str]) -> list[Subject]:
    """One for each vehicle and topside, of namesakes one for each."""
    ordered = sorted(streams, key=lambda stream: (stream[0], topsides.get(stream[0]) != stream[1], stream[1]))
    return [
        Subject(stream, namesakes)
        for stream in ordered
        for namesakes in _namesakes(concurrent_in(streams, stream))
    ]


def _namesakes(processes: Sequence[Process]) -> list[Sequence[Process]]:
    """The processes, each of them once as the first; nothing but () where there are none."""
    if not processes:
        return [()]
    return [(one, *(other for other in processes if other != one)) for one in processes]


def _document(folder: SessionFolder, faults: list[str]) -> Document:
    try:
        document = folder.read_metadata()
    except NotMetadataError as error:
        faults.append(f"{METADATA} cannot be read ({error}).")
        return {}
    if document is None:
        faults.append(f"{METADATA} is missing: which sensor belongs to which vehicle is not known.")
    return document or {}


def _topsides(block: dict[str, Any]) -> dict[str, str]:
    vehicles = block.get("vehicles")
    if not isinstance(vehicles, dict):
        return {}
    return {name: str(one.get("topside")) for name, one in vehicles.items() if isinstance(one, dict)}


def _entries(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = document.get("timeSync")
    sensors: Iterable[tuple[str, Any]] = found.items() if isinstance(found, dict) else ()
    return {name: entry for name, entry in sensors if isinstance(entry, dict) and "offsetMs" in entry}
