"""A session folder: whose clock stamped which of its tables, and their correction one after the other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.metadata import CONSUMER_SENSORS
from tidesync.sessions.correction.csv_file import correct_csv
from tidesync.sessions.correction.limits import Limits
from tidesync.sessions.correction.output import is_output
from tidesync.sessions.correction.parquet_file import correct_parquet
from tidesync.sessions.correction.table import Job, Progress
from tidesync.sessions.correction.timeline import Timeline, timeline
from tidesync.sessions.document import NotMetadataError, block_of
from tidesync.sessions.errors import NothingMeasuredError, UnusableFileError
from tidesync.sessions.folder import SessionFolder

if TYPE_CHECKING:
    from tidesync.sessions.correction.outcome import Outcome
    from tidesync.sessions.folder import Measured
    from tidesync.sessions.journal import Stream

_log = logging.getLogger(__name__)

FOLDERS = {"inWater": "in-water", "surface": "surface"}
"""The consumer's folder of a sensor is this and `_<id>`; of others the sensor's own name."""
SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True, slots=True)
class Known:
    """What a session's metadata says."""

    sensors: Mapping[str, str] = field(default_factory=dict)
    """Sensor to vehicle."""
    topsides: Mapping[str, str] = field(default_factory=dict)
    """Vehicle to the topside whose result stands in `timeSync`."""
    directories: Mapping[str, str] = field(default_factory=dict)
    """Sensor to the name of its folder, where it is told."""


def known_of(session: Path) -> Known:
    """What `sync_metadata.json` says; nothing, and a warning, where it cannot be read."""
    folder = SessionFolder(session)
    try:
        document = folder.read_metadata() or {}
    except (OSError, NotMetadataError) as error:
        _log.warning("%s cannot be read, sensors have to be given: %s", folder.metadata_path, error)
        return Known()
    block = block_of(document)
    vehicles = _mapping(block.get("vehicles"))
    topsides = {name: _mapping(entry).get("topside") for name, entry in vehicles.items()}
    sensors = _mapping(document.get("sensors"))
    directories = {name: _mapping(entry).get("directory") for name, entry in sensors.items()}
    return Known(_texts(_mapping(block.get("sensors"))), _texts(topsides), _texts(directories))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in values.items() if isinstance(value, str)}


def tables_of(session: Path, sensor: str, directories: Mapping[str, str]) -> list[Path]:
    """The tables in a sensor's folders, outputs of ours left out."""
    names = {Path(directories[sensor].replace("\\", "/")).name} if sensor in directories else set()
    prefix = f"{FOLDERS.get(sensor, sensor)}_"
    folders = [
        path
        for path in sorted(session.iterdir())
        if path.is_dir() and (path.name in names or path.name.startswith(prefix))
    ]
    return [path for folder in folders for path in sorted(folder.iterdir()) if _is_table(path)]


def _is_table(path: Path) -> bool:
    hidden = path.name.startswith(".")
    return path.suffix.lower() in SUFFIXES and path.is_file() and not hidden and not is_output(path)


def sensors_of(session: Path, known: Known) -> list[str]:
    """Every sensor that the session may have tables of."""
    named = {*CONSUMER_SENSORS, *known.sensors, *known.directories}
    return [sensor for sensor in sorted(named) if tables_of(session, sensor, known.directories)]


def measured_of(measured: Mapping[Stream, Measured], vehicle: str, known: Known) -> Measured:
    """A vehicle's track: of the topside that the metadata names, else of the one with most exchanges."""
    of_vehicle = {topside: each for (name, topside), each in measured.items() if name == vehicle}
    if not of_vehicle:
        others = ", ".join(sorted({name for name, _ in measured}))
        raise NothingMeasuredError(
            f"vehicle {vehicle!r} was not measured in this session; these were: {others}"
        )
    topside = known.topsides.get(vehicle, "")
    if topside not in of_vehicle:
        topside = max(sorted(of_vehicle), key=lambda name: len(of_vehicle[name].track.rows))
    if len(of_vehicle) > 1:
        _log.info("%s was measured by %s; %s is taken", vehicle, ", ".join(sorted(of_vehicle)), topside)
    return of_vehicle[topside]


def timeline_of(measured: Measured, limits: Limits) -> Timeline:
    """The vehicle's timeline; NothingMeasuredError where no exchange can be relied on."""
    made = timeline(measured.track.rows, measured.topside_raw_ns(), limits)
    if not made.spans:
        raise NothingMeasuredError("no exchange of this session can be relied on")
    return made


def correct(job: Job, made: Timeline, progress: Progress) -> Outcome:
    """Correct one table; UnusableFileError names what is wrong with it."""
    work: Callable[[Job, Timeline, Progress], Outcome]
    work = correct_parquet if job.path.suffix.lower() == ".parquet" else correct_csv
    try:
        return work(job, made, progress)
    except OSError as error:
        raise UnusableFileError(job.path, f"{error.strerror or error}; its output was not written") from error


def total_bytes(jobs: Iterable[Job], timelines: Mapping[str, Timeline]) -> int:
    """How many bytes all corrections will read."""
    return sum(_size(job.path) * (2 if timelines[job.vehicle].cuts else 1) for job in jobs)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
