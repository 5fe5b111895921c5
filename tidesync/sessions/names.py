"""Names of a session, pure: its own, and which vehicle's clock stamps each of its sensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.names import vehicle_name
from tidesync.errors import SettingsError, named

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

_MOST_NAMES = 5


def session_names_at(now: datetime) -> list[str]:
    """The default name of a session, its time in UTC, and others to use when it is taken."""
    name = f"{now:%Y-%m-%dT%H-%M-%SZ}"
    return [name, *(f"{name}-{number}" for number in range(2, _MOST_NAMES + 1))]


def sensor_vehicles(pairs: Sequence[str]) -> dict[str, str]:
    """Which vehicle's clock stamps each sensor, from `inWater=rov1`; SettingsError names a bad pair."""
    sensors: dict[str, str] = {}
    for pair in pairs:
        sensor, equals, vehicle = pair.partition("=")
        if not (sensor and equals and vehicle):
            raise SettingsError(f"--sensor: expected SENSOR=VEHICLE, as inWater=rov1, received {pair!r}")
        if sensor in sensors:
            raise SettingsError(f"--sensor: {sensor} is given twice, received {pair!r}")
        sensors[sensor] = named("--sensor", vehicle_name, vehicle)
    return sensors


def unknown_vehicles(sensors: Mapping[str, str], known: Collection[str]) -> list[str]:
    """A sentence for each vehicle that the broker does not know: mistyped, or not switched on yet."""
    names = ", ".join(sorted(known)) or "none"
    return [
        f"{sensor}={vehicle}: no vehicle {vehicle} is known at the broker yet (known: {names})"
        for sensor, vehicle in sensors.items()
        if vehicle not in known
    ]
