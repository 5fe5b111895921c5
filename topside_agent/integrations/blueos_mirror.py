"""The newest results in one flat message a second, where BlueOS's extensions put their telemetry (opt-in).

The convention is that of the Site Stack extension (vshie/blueos-site-stack, README "Topic conventions"):
its Telegraf reads `blueos/ext/<slug>/json` into the measurement `blueos_ext_json`, where each key is a
field and null is left out. It stamps what arrives with its own clock, so nothing is retained: a result of
last week would be stored as a current one. Cockpit reads no MQTT.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from broker.interface import Outgoing
from schemas.doubtful import for_people
from schemas.topics import blueos_mirror

if TYPE_CHECKING:
    from runtime.clock import Reading
    from schemas.messages import OffsetResult

_KEYS = (
    "state",
    "offset_ms",
    "max_error_ms",
    "drift_ppm",
    "delay_min_ms",
    "steps",
    "age_s",
    "measured_unix_ms",
    "error",
)
_SECOND_NS = 1_000_000_000


class BlueosMirror:
    """Keeps each vehicle's newest result; a forgotten vehicle is left out of the message."""

    def __init__(self, topside: str, *, enabled: bool) -> None:
        self._topic = blueos_mirror(topside)
        self._enabled = enabled
        self._results: dict[str, OffsetResult] = {}
        self._second: int | None = None

    def due(self, result: OffsetResult, now: Reading) -> list[Outgoing]:
        """Take a result; the message, if this second had none yet."""
        if not self._enabled:
            return []
        self._results[result.vehicle] = result
        second = now.raw_ns // _SECOND_NS
        if second == self._second:
            return []
        self._second = second
        return [Outgoing(self._topic, json.dumps(self._flat(), separators=(",", ":")).encode(), 0)]

    def forget(self, vehicle: str) -> None:
        """Leave `vehicle` out from now on."""
        self._results.pop(vehicle, None)

    def _flat(self) -> dict[str, str | float | int | None]:
        flat: dict[str, str | float | int | None] = {}
        for vehicle, result in sorted(self._results.items()):
            shown = for_people(result).model_dump(mode="json", include=set(_KEYS))
            flat |= {f"{vehicle}_{key}": shown[key] for key in _KEYS}
            flat[f"{vehicle}_locked"] = int(result.state == "locked")
        return flat
