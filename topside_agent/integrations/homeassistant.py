"""Vehicles as devices of Home Assistant: retained messages by which it discovers them (opt-in).

"Device discovery payload" in https://www.home-assistant.io/integrations/mqtt/, of Home Assistant 2024.11 and
later; 2025.4 ignores a `qos` that is not in each component. A null in a result is rendered as `None`, which
it shows as unknown; a result that is not renewed expires, and so does an old retained one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

from broker.interface import Outgoing
from runtime.version import VERSION
from schemas import topics
from schemas.choice import chosen, fresh_for_s
from schemas.doubtful import UNDOUBTED
from schemas.messages import OffsetResult, State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from topside_agent.settings import TopsideSettings

LEAST_EXPIRY_S = 15
"""Three times what may pass between the results of many vehicles (`measuring/pace.py`)."""

_MOST_TOPSIDES = 64
"""Of a vehicle: the results of later ones are not considered."""
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


Listen = Callable[[list[tuple[str, int]]], object]
"""Subscribes to filters, each with its QoS."""


class HomeAssistant:
    """Announces each vehicle that is measured here, and withdraws it when it is forgotten.

    A device shows the results of one topside: of those that measure the vehicle the one that `schemas.choice`
    chooses, as every reader does. Topsides that announce the same vehicle choose the same one by it.
    """

    def __init__(
        self, settings: TopsideSettings, send: Callable[[Outgoing], bool], listen: Listen | None = None
    ) -> None:
        """`listen`, where other topsides may measure the same vehicles: it has their results heard too."""
        self._settings = settings
        self._send = send
        self._listen = listen if settings.homeassistant_discovery else None
        self._announced: dict[str, str] = {}
        """Whose results each vehicle's device shows."""
        self._heard: dict[str, dict[str, tuple[OffsetResult, int]]] = {}
        """Of the announced vehicles each topside's newest result, and when it came, on RAW."""
        self._fresh: dict[str, set[str]] = {}
        """Whose results were fresh when they were compared last."""

    def connected(self, vehicles: Iterable[str]) -> None:
        """Announce all: the broker may have restarted without its retained messages."""
        self._announced.clear()
        self._heard.clear()
        self._fresh.clear()
        announced = [vehicle for vehicle in vehicles if self._show(vehicle, self._settings.topside)]
        self._hear(announced)

    def announce(self, vehicle: str) -> None:
        """Have Home Assistant show `vehicle`, if that is enabled."""
        if vehicle not in self._announced and self._show(vehicle, self._settings.topside):
            self._hear([vehicle])

    def heard(self, result: OffsetResult, now_raw_ns: int) -> None:
        """A result that was heard live, of this topside or of another."""
        vehicle = result.vehicle
        if vehicle not in self._announced:
            return
        heard = self._heard.setdefault(vehicle, {})
        if result.topside in heard or len(heard) < _MOST_TOPSIDES:
            heard[result.topside] = result, now_raw_ns
            if len(heard) > 1:
                self._choose(vehicle, now_raw_ns)

    def tick(self, now_raw_ns: int) -> None:
        """A topside that has fallen silent is not shown for long."""
        for vehicle, heard in self._heard.items():
            if len(heard) > 1:
                self._choose(vehicle, now_raw_ns)

    def released(self, vehicle: str) -> None:
        """Another topside of the group measures `vehicle`, and has announced it."""
        for known in (self._announced, self._heard, self._fresh):
            known.pop(vehicle, None)

    def _show(self, vehicle: str, topside: str, interval_s: float | None = None) -> bool:
        if not self._settings.homeassistant_discovery:
            return False
        if sent := self._send(discovery(vehicle, self._settings, topside, interval_s)):
            self._announced[vehicle] = topside
        return sent

    def _hear(self, vehicles: Iterable[str]) -> None:
        root = self._settings.topic_root
        filters = [(topics.subscription(root, topics.OFFSET, vehicle=vehicle), 0) for vehicle in vehicles]
        if self._listen and filters:
            self._listen(filters)

    def _choose(self, vehicle: str, now_raw_ns: int) -> None:
        fresh = [
            result
            for result, heard_ns in self._heard[vehicle].values()
            if now_raw_ns - heard_ns <= fresh_for_s(result) * 1e9
        ]
        found = chosen(fresh, in_use := self._announced[vehicle])
        before = self._fresh.get(vehicle, set())
        self._fresh[vehicle] = names = {result.topside for result in fresh}
        # Of two that were there from the start each may have chosen itself: what is shown may be the other's.
        if found and (found.topside != in_use or names < before):
            self._show(vehicle, found.topside, found.interval_s)

    def forget(self, vehicle: str) -> None:
        """Have Home Assistant drop `vehicle`."""
        self.released(vehicle)
        if self._settings.homeassistant_discovery:
            topic = discovery_topic(self._settings.homeassistant_prefix, vehicle)
            self._send(Outgoing(topic, b"", 1, retain=True))


def discovery_topic(prefix: str, vehicle: str) -> str:
    """Where Home Assistant looks for `vehicle`."""
    return f"{prefix}/device/{_identifier(vehicle)}/config"


def discovery(
    vehicle: str, settings: TopsideSettings, by: str | None = None, interval_s: float | None = None
) -> Outgoing:
    """The device with its sensors, all of which read the retained result `by` a topside; else by this one.

    `interval_s`: between that one's results, where it is known.
    """
    root, identifier, topside = settings.topic_root, _identifier(vehicle), by or settings.topside
    interval_s = interval_s or settings.publish_interval_s
    document = {
        "device": {
            "identifiers": [identifier],
            "name": f"{vehicle} clock",
            "manufacturer": "Tidesync",
            "model": f"Clock of {vehicle}, less that of {topside}",
        },
        "origin": {"name": "tidesync", "sw_version": VERSION},
        "availability": [
            {"topic": topics.build(root, topics.STATUS, vehicle=vehicle)},
            {"topic": topics.build(root, topics.TOPSIDE_STATUS, topside=topside)},
        ],
        "availability_mode": "all",
        "state_topic": topics.build(root, topics.OFFSET, vehicle=vehicle, topside=topside),
        "components": {
            key: {
                "platform": "sensor",
                "qos": 1,
                "unique_id": f"{identifier}_{key}",
                "value_template": _template(key),
                "expire_after": max(LEAST_EXPIRY_S, math.ceil(5 * interval_s)),
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
