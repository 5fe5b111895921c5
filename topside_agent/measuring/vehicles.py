"""The vehicles that are measured, pure: those that the settings name, else all that are online."""

from __future__ import annotations

from typing import TYPE_CHECKING

from topside_agent.group.measurement import SharedMeasurement
from topside_agent.measuring.pace import Pace
from topside_agent.udp.measurement import DirectMeasurement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.messages import ErrorWord, Info
    from topside_agent.measuring.measurement import Measurement
    from topside_agent.measuring.namesakes import Namesakes
    from topside_agent.settings import TopsideSettings

MOST_VEHICLES = 10_000
"""Names come from the network; a flood of them must not fill the memory."""


class Vehicles:
    """One measurement for each vehicle."""

    def __init__(
        self, settings: TopsideSettings, namesakes: Namesakes, resolution_ns: int, boot_id: str | None = None
    ) -> None:
        """`resolution_ns` and `boot_id` are those of topside's clock."""
        self._settings = settings
        self._namesakes = namesakes
        self._boot_id = boot_id
        self._resolution_ns = resolution_ns
        self._measurements: dict[str, Measurement] = {}
        self.pace = Pace(settings)
        """Of them all."""
        self._make = SharedMeasurement if settings.group else DirectMeasurement
        self._unanswered_because: ErrorWord = "timeout"
        self._deaf: set[str] = set()
        """Vehicles to which the broker refuses their pings."""
        for vehicle in settings.vehicles:
            self._add(vehicle)

    def __getitem__(self, vehicle: str) -> Measurement:
        """The measurement of a vehicle that is measured."""
        return self._measurements[vehicle]

    def __iter__(self) -> Iterator[Measurement]:
        """Every measurement."""
        return iter(self._measurements.values())

    def __len__(self) -> int:
        """How many are measured."""
        return len(self._measurements)

    def get(self, vehicle: str | None) -> Measurement | None:
        """The measurement of `vehicle`, if it is measured."""
        return self._measurements.get(vehicle or "")

    def online(self, vehicle: str) -> Measurement | None:
        """The measurement of a vehicle that is online, begun now if it is wanted."""
        known = self._measurements.get(vehicle)
        full = len(self._measurements) >= MOST_VEHICLES
        return known if known or self._settings.vehicle or full else self._add(vehicle)

    def may_forget(self, vehicle: str | None, now_raw_ns: int) -> bool:
        """Whether `vehicle` is not named by the settings, and not measured or long silent."""
        measurement = self.get(vehicle)
        return vehicle not in self._settings.vehicles and (
            measurement is None or measurement.needs_handshake(now_raw_ns)
        )

    def forget(self, vehicle: str) -> None:
        """Measure `vehicle` no more, until it is online again."""
        self._measurements.pop(vehicle, None)
        self._deaf.discard(vehicle)

    def explain_silence(self, word: ErrorWord) -> None:
        """What results say from now on when a ping is not answered."""
        self._unanswered_because = word
        for vehicle, measurement in self._measurements.items():
            measurement.unanswered_because = self._explanation(vehicle)

    def described(self, vehicle: str, info: Info) -> Measurement | None:
        """The measurement of `vehicle`, if it is measured; the info tells whether it is refused its pings."""
        measurement = self.get(vehicle)
        if measurement:
            is_deaf = any("/ping/" in name for name in info.topics_refused)
            (self._deaf.add if is_deaf else self._deaf.discard)(vehicle)
            measurement.unanswered_because = self._explanation(vehicle)
        return measurement

    def _explanation(self, vehicle: str) -> ErrorWord:
        return "not_authorized" if vehicle in self._deaf else self._unanswered_because

    def _add(self, vehicle: str) -> Measurement:
        measurement = self._make(
            vehicle,
            self._settings,
            self._namesakes,
            resolution_ns=self._resolution_ns,
            boot_id=self._boot_id,
            pace=self.pace,
        )
        measurement.unanswered_because = self._unanswered_because
        self._measurements[vehicle] = measurement
        return measurement
