"""What is recorded, kept in `time_sync/recording.json` so that a restarted recorder resumes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from schemas.base import Message
from schemas.compat import Self
from schemas.exchange import Identifier
from schemas.instants import UtcInstant
from schemas.messages import SensorName, StartCommand, Version
from schemas.metadata import RESERVED_SENSORS
from schemas.names import Session, Topside, Vehicle
from tidesync.sessions.errors import RefusedError

if TYPE_CHECKING:
    from datetime import datetime


class Recording(Message):
    """What was asked for, and how far it is. The file exists as long as the session is recorded."""

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
    """The topside whose result is in `timeSync`, by vehicle."""

    @classmethod
    def from_command(cls, session: str, command: StartCommand, recorder: str, now: datetime) -> Self:
        """What `command` asks for; RefusedError when a sensor has the name of a key of `timeSync`."""
        for sensor in command.sensors:
            if sensor in RESERVED_SENSORS:
                raise RefusedError(f"{sensor!r} cannot name a sensor: it is a key of timeSync")
        return cls(
            session=session,
            mission=command.mission,
            recorder=recorder,
            sensors=command.sensors,
            started_at=now,
            request_id=command.request_id,
        )

    @property
    def path(self) -> str:
        """The session's folder, relative to the recorder's root."""
        return f"{self.mission}/session_{self.session}"

    @property
    def described(self) -> dict[str, Any]:
        """What the session's state repeats of it, by the names of `SessionState`."""
        return {
            "session": self.session,
            "path": self.path,
            "mission": self.mission,
            "sensors": dict(self.sensors),
            "recorder": self.recorder,
            "started_at": self.started_at,
        }

    @property
    def vehicles(self) -> tuple[str, ...]:
        """The vehicles asked for, each once; none means all."""
        return tuple(dict.fromkeys(self.sensors.values()))

    def includes(self, vehicle: str) -> bool:
        """Whether this session records `vehicle`."""
        return not self.sensors or vehicle in self.sensors.values()

    def check_same(self, command: StartCommand) -> None:
        """A repeated start changes nothing; RefusedError if it asks for something else."""
        if self.stop_request_id:
            raise RefusedError(f"session {self.session} is being stopped; start it again afterwards")
        if command.mission != self.mission:
            raise RefusedError(f"session {self.session} is being recorded in mission {self.mission!r}")
        if command.sensors != self.sensors:
            raise RefusedError(
                f"session {self.session} is being recorded with sensors {self.sensors}, not {command.sensors}"
            )
