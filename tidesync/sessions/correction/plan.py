"""What a correction will do: each table with the vehicle that stamped it, and what is left as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidesync.sessions.correction.output import is_output
from tidesync.sessions.correction.session import sensors_of, tables_of
from tidesync.sessions.correction.table import Job
from tidesync.sessions.errors import UnknownVehicleError

if TYPE_CHECKING:
    from pathlib import Path

    from tidesync.sessions.correction.session import Known


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user said."""

    sensors: Mapping[str, str]
    """Sensor to vehicle."""
    files: Sequence[Path]
    vehicle: str | None
    column: str
    unit: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Tables to correct, and sensors that are not, each with the reason."""

    jobs: Sequence[Job]
    skipped: Mapping[str, str]


def plan(session: Path, known: Known, asked: Asked, measured: Sequence[str]) -> Plan:
    """The plan for `session`, of which the vehicles `measured` have tracks."""
    vehicles = {**known.sensors, **asked.sensors}
    found = {sensor: tables_of(session, sensor, known.directories) for sensor in sensors_of(session, known)}
    jobs = {
        path.resolve(): Job(path, vehicles[sensor], asked.column, asked.unit)
        for sensor, paths in found.items()
        if sensor in vehicles
        for path in paths
    }
    for path in asked.files:
        if is_output(path):
            raise UnknownVehicleError(f"--csv {path}: it is an output of a correction, not an input")
        if path.resolve() not in jobs:
            jobs[path.resolve()] = Job(
                path, _owner(path, vehicles, asked, measured), asked.column, asked.unit
            )
    skipped = {sensor: _why_not(sensor) for sensor in found if sensor not in vehicles}
    skipped |= {sensor: "has no table in this session" for sensor in asked.sensors if sensor not in found}
    return Plan(list(jobs.values()), skipped)


def _owner(path: Path, vehicles: Mapping[str, str], asked: Asked, measured: Sequence[str]) -> str:
    """The vehicle of a table in none of the sensors' folders."""
    if asked.vehicle is not None:
        return asked.vehicle
    for choice in (sorted(set(vehicles.values())), sorted(set(measured))):
        if len(choice) == 1:
            return choice[0]
    among = ", ".join(sorted(set(measured)))
    raise UnknownVehicleError(f"--csv {path}: say with --vehicle whose clock stamped it: {among}")


def _why_not(sensor: str) -> str:
    if sensor == "surface":
        return "is taken to be stamped by topside; if a vehicle stamped it: --sensor surface=VEHICLE"
    return f"no vehicle is known for it: --sensor {sensor}=VEHICLE"
