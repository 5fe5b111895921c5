"""Vehicles as devices of Home Assistant: retained messages by which it discovers them (opt-in).

"Device discovery payload" in https://www.home-assistant.io/integrations/mqtt/, of Home Assistant 2024.11 and
later; 2025.4 ignores a `qos` that is not in each component. A null in a result is rendered as `None`, which
it shows as unknown; a result that is not renewed expires, and so does an old retained one.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, get_args

from broker.interface import Outgoing
from runtime.version import VERSION
from schemas import topics
from schemas.doubtful import UNDOUBTED
from schemas.messages import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from topside_agent.settings import TopsideSettings

LEAST_EXPIRY_S = 15
"""Three times what may pass between the results of many vehicles (`measuring/pace.py`)."""

_MS = {"device_class": "duration", "unit_of_measurement": "ms", "state_class": "measurement"}
_SENSORS: dict[str, dict[str, Any]] = {
    "state": {"name": "State", "device_class": "enum", "options": list(get_args(State))},
    "offset_ms": {"name": "Offset", **_MS, "suggested_display_precision": 3},
    "max_error_ms": {"name": "Max error", **_MS, "suggested_display_precision": 3},
    "drift_ppm": {
        "name": "Drift",
        "unit_of_measurement": "ppm",
        "state_class": "measurement",
        "suggested_display_precision": 2,
        "icon": "mdi:slope-uphill",
    },
    "steps": {
        "name": "Steps",
        "state_class": "total_increasing",
        "entity_category": "diagnostic",
        "icon": "mdi:stairs",
    },
    "measured_at": {"name": "Last measured", "device_class": "timestamp", "entity_category": "diagnostic"},
}
"""By key of the retained result."""
_NUMBERS = ("offset_ms", "max_error_ms", "drift_ppm")
"""Unknown while two vehicles or two topsides have one name, as on every other surface."""


class HomeAssistant:
    """Announces each vehicle once a connection, and withdraws it when it is forgotten."""

    def __init__(self, settings: TopsideSettings, send: Callable[[Outgoing], bool]) -> None:
        self._settings = settings
        self._send = send
        self._announced: set[str] = set()

    def connected(self, vehicles: Iterable[str]) -> None:
        """Announce all: the broker may have restarted without its retained messages."""
        self._announced.clear()
        for vehicle in vehicles:
            self.announce(vehicle)

    def announce(self, vehicle: str) -> None:
        """Have Home Assistant show `vehicle`, if that is enabled."""
        due = self._settings.homeassistant_discovery and vehicle not in self._announced
        if due and self._send(discovery(vehicle, self._settings)):
            self._announced.add(vehicle)

    def released(self, vehicle: str) -> None:
        """Another topside of the group measures `vehicle`, and has announced it."""
        self._announced.discard(vehicle)

    def forget(self, vehicle: str) -> None:
        """Have Home Assistant drop `vehicle`."""
        self._announced.discard(vehicle)
        if self._settings.homeassistant_discovery:
            topic = discovery_topic(self._settings.homeassistant_prefix, vehicle)
            self._send(Outgoing(topic, b"", 1, retain=True))


def discovery_topic(prefix: str, vehicle: str) -> str:
    """Where Home Assistant looks for `vehicle`."""
    return f"{prefix}/device/{_identifier(vehicle)}/config"


def discovery(vehicle: str, settings: TopsideSettings) -> Outgoing:
    """The device with its sensors, all of which read the retained result."""
    root, identifier = settings.topic_root, _identifier(vehicle)
    document = {
        "device": {
            "identifiers": [identifier],
            "name": f"{vehicle} clock",
            "manufacturer": "Tidesync",
            "model": f"Clock of {vehicle}, less that of {settings.topside}",
        },
        "origin": {"name": "tidesync", "sw_version": VERSION},
        "availability": [
            {"topic": topics.build(root, topics.STATUS, vehicle=vehicle)},
            {"topic": topics.build(root, topics.TOPSIDE_STATUS, topside=settings.topside)},
        ],
        "availability_mode": "all",
        "state_topic": topics.build(root, topics.OFFSET, vehicle=vehicle, topside=settings.topside),
        "components": {
            key: {
                "platform": "sensor",
                "qos": 1,
                "unique_id": f"{identifier}_{key}",
                "value_template": _template(key),
                "expire_after": max(LEAST_EXPIRY_S, math.ceil(5 * settings.publish_interval_s)),
                **sensor,
            }
            for key, sensor in _SENSORS.items()
        },
    }
    topic = discovery_topic(settings.homeassistant_prefix, vehicle)
    return Outgoing(topic, json.dumps(document).encode(), 1, retain=True)


def _template(key: str) -> str:
    """The key's value; of a number while two have one name, as of a null, None."""
    value = f"value_json.{key}"
    if key in _NUMBERS:
        words = ", ".join(f"'{word}'" for word in UNDOUBTED)
        value += f" if value_json.error in [none, {words}] else none"
    return f"{{{{ {value} }}}}"


def _identifier(vehicle: str) -> str:
    return f"tidesync_{vehicle}"
