"""`--sensor inWater=rov1`, as several commands take it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.names import vehicle_name
from tidesync.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence


def sensor_vehicles(pairs: Sequence[str]) -> dict[str, str]:
    """Which vehicle's clock stamps each sensor; SettingsError names the pair that cannot be taken."""
    sensors: dict[str, str] = {}
    for pair in pairs:
        sensor, equals, vehicle = pair.partition("=")
        if not (sensor and equals and vehicle):
            raise SettingsError(f"--sensor: expected SENSOR=VEHICLE, as inWater=rov1 (received {pair!r})")
        if sensor in sensors:
            raise SettingsError(f"--sensor: {sensor} is given twice (received {pair!r})")
        sensors[sensor] = vehicle_name(vehicle)
    return sensors
