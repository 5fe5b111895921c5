"""A session to correct: its tables, the vehicle whose clock stamped each, and that vehicle's timeline."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.metadata import CONSUMER_TOLERANCE_MS
from tidesync.figures import counted
from tidesync.sessions.bridged import bridged
from tidesync.sessions.correction.formats import (
    WITHOUT_CLOCK,
    is_of_cockpit,
    is_of_either_clock,
    is_output,
    needs_clock,
)
from tidesync.sessions.correction.from_track import timeline
from tidesync.sessions.correction.histories import Histories, timeline_with
from tidesync.sessions.correction.own_clock import TOPSIDE_CLOCK
from tidesync.sessions.correction.table import Job
from tidesync.sessions.correction.table_form import TableForm, unused
from tidesync.sessions.correction.tables import Left, tables_in
from tidesync.sessions.correction.timeline import Timeline
from tidesync.sessions.correction.unexplained import Reading
from tidesync.sessions.errors import NothingMeasuredError, UnknownVehicleError
from tidesync.sessions.folder import TIME_SYNC
from tidesync.sessions.processes import Choice
from topside_agent.estimator import EstimatorSettings

if TYPE_CHECKING:
    from schemas.exchange import Exchange
    from tidesync.sessions.correction.clock_limits import ClockLimits
    from tidesync.sessions.correction.session_metadata import Metadata
    from tidesync.sessions.folder import Measured
    from tidesync.sessions.journal import Stream
    from topside_agent.estimator import Exchanges

_log = logging.getLogger(__name__)

_NO_TABLE = "has no table in this session"
_COCKPITS = "of Cockpit's, by its computer's clock: --file with --topside-clock or --vehicle corrects it"


@dataclass(frozen=True, slots=True)
class Options:
    """What a command that corrects tables is asked for."""

    sensors: Mapping[str, str] = field(default_factory=dict)
    """Sensor to vehicle."""
    files: Sequence[Path] = ()
    """Tables that were asked for by name."""
    vehicle: str | None = None
    """Whose clock stamped `files`."""
    topside_clock: bool = False
    """Whether topside's own did."""
    form: TableForm = TableForm()  # noqa: RUF009 - frozen
    """How tables are written, as far as it is stated."""
    forms: Mapping[str, TableForm] = field(default_factory=dict)
    """The same for single tables, by their path within the session or their full path."""
    choice: Choice = Choice()  # noqa: RUF009 - frozen
    """Whose exchanges are taken."""
    message_stamps: bool = False
    """Whether stamps within messages are corrected too."""
    max_error_ms: float = CONSUMER_TOLERANCE_MS
    slew_limit_ppm: float | None = None
    rate_limit_ppm: float = EstimatorSettings().rate_limit_ppm


@dataclass(frozen=True, slots=True)
class Plan:
    """Tables to correct."""

    jobs: Sequence[Job]
    skipped: Mapping[str, str]
    """Sensors that are not corrected, each with the reason."""
    left: Sequence[Left] = ()
    """What is left as it is in the session, and why."""
    unreadable: Sequence[str] = ()
    """Folders of sensors that cannot be read, a sentence each."""
    unused: Sequence[str] = ()
    """Which settings of single tables apply to none; a sentence each."""


def plan(
    session: Path,
    metadata: Metadata,
    options: Options,
    measured: Sequence[str],
    *,
    whole: bool = False,
    nested: bool = False,
) -> Plan:
    """The plan for the folder `session`, in which the vehicles `measured` have tracks.

    With `whole` every sensor that can be has a clock: `surface` topside's own, and `inWater` that of the only
    measured vehicle, where neither metadata nor options name another one. `nested`: see `tables_in`.
    """
    vehicles = {**(_usual_clocks(measured) if whole else {}), **metadata.sensors, **options.sensors}
    named = {path.resolve() for path in options.files}
    sensors = {*metadata.sensors, *options.sensors}
    found = tables_in(session, sensors, metadata.directories, named, nested=nested)
    jobs, left, unstated = {}, [*found.left], Counter[Path]()
    for sensor, paths in found.tables.items():
        for path in paths if sensor in vehicles else ():
            if vehicles[sensor] != TOPSIDE_CLOCK and is_of_cockpit(path):
                left += [] if path.resolve() in named else [Left(path, "cockpit", _COCKPITS)]
            else:
                job = _job(path, vehicles[sensor], options, (session, metadata), sensor)
                if needs_clock(path) and job.clock is None and path.resolve() not in named:
                    unstated[path.with_name(f"*{path.suffix}")] += 1
                else:
                    jobs[path.resolve()] = job
    left += [
        Left(kind, "no_clock", f"{counted(n, 'file')}: {WITHOUT_CLOCK}", n) for kind, n in unstated.items()
    ]
    for path in options.files:
        if is_output(path):
            raise UnknownVehicleError(f"--file {path}: it is an output of a correction, not an input")
        if path.exists() and not path.is_file():
            raise UnknownVehicleError(f"--file {path}: expected a regular file, which is read several times")
        if path.resolve().parent.name == TIME_SYNC:
            raise UnknownVehicleError(f"--file {path}: it is of Tidesync's own records, not a sensor's")
        if path.resolve() not in jobs:
            vehicle = _vehicle(path, vehicles, options, measured)
            jobs[path.resolve()] = _job(path, vehicle, options, (session, metadata))
    skipped = {sensor: _why_not(sensor) for sensor in found.tables if sensor not in vehicles}
    unowned = [(path, why) for sensor, why in skipped.items() for path in found.tables[sensor]]
    left += [Left(path, "no_vehicle", why) for path, why in unowned if path.resolve() not in jobs]
    without = [sensor for sensor in options.sensors if sensor not in found.tables]
    known = [*options.files, *(path for paths in found.tables.values() for path in paths)]
    without_table = [*unused(options.forms, {name for path in known for name in _names(path, session)})]
    skipped |= dict.fromkeys(without, _NO_TABLE)
    return Plan(list(jobs.values()), skipped, left, found.unreadable, without_table)


def _usual_clocks(measured: Sequence[str]) -> dict[str, str]:
    only = set(measured)
    return {"surface": TOPSIDE_CLOCK} | ({"inWater": only.pop()} if len(only) == 1 else {})


def _job(
    path: Path, vehicle: str, options: Options, of: tuple[Path, Metadata], sensor: str | None = None
) -> Job:
    """The job of a table `of` a session, with what is stated for it or else for all.

    An instrument's clock that is stated for all is that of instruments' files, and of what was named.
    """
    session, metadata = of
    stated = (options.forms[name] for name in _names(path, session) if name in options.forms)
    form = next(stated, None) or options.form
    meant = form is not options.form or needs_clock(path)
    if not meant and path.resolve() not in {each.resolve() for each in options.files}:
        form = replace(form, clock=None)
    zone = metadata.zones.get(sensor or "", metadata.zone)
    how = form.column, form.unit, form.stamps, zone, sensor, form.layout
    vehicle = TOPSIDE_CLOCK if form.clock is not None and form.clock.is_topside else vehicle
    return Job(path, vehicle, *how, options.message_stamps, form.clock, form.sample_clock_ppm)


def _names(path: Path, session: Path) -> list[str]:
    """What settings may call a table: its path within the session, and the path as it was given."""
    inside = path.resolve().is_relative_to(session.resolve())
    within = [path.resolve().relative_to(session.resolve()).as_posix()] if inside else []
    return [*within, path.as_posix()]


def _vehicle(path: Path, vehicles: Mapping[str, str], options: Options, measured: Sequence[str]) -> str:
    """The vehicle of a table that is in none of the sensors' folders."""
    if options.topside_clock:
        return TOPSIDE_CLOCK
    if options.vehicle is not None:
        return options.vehicle
    if is_of_either_clock(path):
        where = "Cockpit" if is_of_cockpit(path) else "a ground station"
        raise UnknownVehicleError(
            f"--file {path}: say with --vehicle whose clock stamped it, or with --topside-clock that "
            f"{where} on topside's computer recorded it"
        )
    for choice in (sorted(set(vehicles.values()) - {TOPSIDE_CLOCK}), sorted(set(measured))):
        if len(choice) == 1:
            return choice[0]
    among = ", ".join(sorted(set(measured)))
    raise UnknownVehicleError(f"--file {path}: say with --vehicle whose clock stamped it: {among}")


def _why_not(sensor: str) -> str:
    if sensor == "surface":
        return "is taken to be stamped by topside; if a vehicle stamped it: --sensor surface=VEHICLE"
    return f"no vehicle is known for it: --sensor {sensor}=VEHICLE"


def measured_of(measured: Mapping[Stream, Measured], vehicle: str, metadata: Metadata) -> Measured:
    """A vehicle's track: by the topside in the metadata, else by the one with most exchanges.

    One on a vehicle's computer counts only where no other one measured it: its time is that vehicle's.
    """
    of_vehicle = sorted(topside for name, topside in measured if name == vehicle)
    if not of_vehicle:
        others = ", ".join(sorted({name for name, _ in measured}))
        raise NothingMeasuredError(
            f"vehicle {vehicle!r} was not measured in this session; these were: {others}"
        )
    topside = metadata.topsides.get(vehicle, "")
    if topside not in of_vehicle:
        ashore = [name for name in of_vehicle if not _is_aboard(measured, vehicle, name)]
        topside = max(ashore or of_vehicle, key=lambda name: len(measured[vehicle, name].track.rows))
    if len(of_vehicle) > 1:
        _log.info("%s was measured by %s; %s is taken", vehicle, ", ".join(of_vehicle), topside)
    return measured[vehicle, topside]


def _is_aboard(measured: Mapping[Stream, Measured], vehicle: str, topside: str) -> bool:
    """Whether that topside ran on the computer of one of the vehicles."""
    boots = {labels.boot_id for each in measured.values() for labels in each.exchanges.labels}
    return any(
        labels.topside_boot_id is not None and labels.topside_boot_id in boots
        for labels in measured[vehicle, topside].exchanges.labels
    )


def timeline_of(
    measured: Measured,
    limits: ClockLimits,
    histories: Histories = Histories(),  # noqa: B008 - frozen
    settings: EstimatorSettings = EstimatorSettings(),  # noqa: B008 - frozen
) -> Timeline:
    """The vehicle's timeline; NothingMeasuredError where every exchange is ambiguous or refused.

    With `histories` what the wall clocks did between exchanges is known, not inferred.
    """
    if histories:
        composed = timeline_with(histories, measured, limits, settings)
        if composed.segments:
            return composed
    exchanges = measured.exchanges
    topside = exchanges.at(exchanges.known("topside_realtime_minus_raw_ns")).by_destination(_topside_raw_ns)
    made = timeline(measured.track.rows, topside, limits, _readings(exchanges))
    if not made.segments:
        raise NothingMeasuredError("no exchange of this session can be relied on")
    return made


def _topside_raw_ns(exchange: Exchange) -> int:
    return exchange.destination_ns - (exchange.topside_realtime_minus_raw_ns or 0)


def _readings(exchanges: Exchanges) -> Mapping[int, Reading]:
    """What each exchange read of the wall clocks, by its destination."""
    known = bridged(exchanges)

    def reading(exchange: Exchange) -> Reading:
        return Reading(
            exchange.pi_realtime_minus_raw_ns,
            exchange.topside_realtime_minus_raw_ns or 0,
            exchange.resolution_ns,
            exchange.transmit_ns,
            moved=exchange.destination_ns in known.moved,
            pi_boot=exchange.boot_id,
            topside_boot=exchange.topside_boot_id,
        )

    read = known.exchanges.known("topside_realtime_minus_raw_ns")
    return known.exchanges.at(read).by_destination(reading)
