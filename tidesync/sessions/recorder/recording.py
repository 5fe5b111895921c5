"""`time_sync/recording.json`: that a session is being recorded, so that a restarted recorder goes on."""

from __future__ import annotations

from pydantic import Field

from schemas.base import Message
from schemas.exchange import Identifier
from schemas.instants import UtcInstant
from schemas.messages import SensorName, Version
from schemas.names import Session, Topside, Vehicle


class Recording(Message):
    """What was asked for, and how far it is. The file stands as long as the session is recorded."""

    schema_version: Version = 1
    session: Session
    mission: Session
    recorder: str
    sensors: dict[SensorName, Vehicle]
    """Empty: every vehicle."""
    started_at: UtcInstant
    request_id: Identifier
    """Of the last command that was answered."""
    stop_request_id: Identifier | None = None
    """Of the command to stop, which is answered when everything is written."""
    topsides: dict[Vehicle, Topside] = Field(default_factory=dict)
    """Whose result stands in `timeSync`."""

    @property
    def path(self) -> str:
        """The session's folder, relative to the recorder's root."""
        return f"{self.mission}/session_{self.session}"

    @property
    def vehicles(self) -> tuple[str, ...]:
        """The vehicles asked for, each once; none means all."""
        return tuple(dict.fromkeys(self.sensors.values()))

    def wants(self, vehicle: str) -> bool:
        """Whether this session records `vehicle`."""
        return not self.sensors or vehicle in self.sensors.values()
