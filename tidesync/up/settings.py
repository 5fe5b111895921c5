"""What `tidesync up` was asked for, and what it keeps of that in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from broker.settings import BrokerUrl
from schemas.base import expectation
from schemas.compat import Self
from schemas.names import Topside
from tidesync.errors import SettingsError
from tidesync.up.place import surface_folder


class Choices(BaseModel):
    """What may be chosen; what was not is as before, at the first start the default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    broker: BrokerUrl | None = Field(
        None, description="Use this broker, which runs already, instead of starting mosquitto"
    )
    embedded: bool = Field(
        default=False, description="Run the embedded broker: this computer's programs alone reach it"
    )
    tls: bool = Field(default=False, description="Encrypt: make certificates, and listen with TLS alone")
    broker_port: int | None = Field(
        None, ge=1, le=65535, description="TCP port for vehicles  [default: 1883, with TLS 8883]"
    )
    local_port: int = Field(1884, ge=1, le=65535, description="TCP port for this computer's own programs")
    dashboard_port: int = Field(8780, ge=1, le=65535, description="TCP port of the dashboard")
    root: Path = Field(
        default_factory=lambda: Path.home() / "dives", description="Folder that holds the missions' folders"
    )
    topside: Topside | None = Field(
        None, description="This surface station's name in topics  [default: this computer's name]"
    )

    @property
    def vehicles_port(self) -> int:
        """Where vehicles connect."""
        return self.broker_port or (8883 if self.tls else 1883)

    @property
    def own_broker(self) -> bool:
        """Whether mosquitto is run."""
        return self.broker is None and not self.embedded

    @property
    def local_url(self) -> str:
        """The broker for this computer's own programs."""
        return self.broker or f"mqtt://127.0.0.1:{self.local_port}"

    @classmethod
    def decode(cls, path: Path, text: str) -> Self:
        """Those kept in a file, else SettingsError."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            where = "".join(f"{part}: " for part in fault["loc"])
            received = repr(fault["input"])[:80]
            raise SettingsError(
                f"{path}: {where}{expectation(fault['msg'])}, received {received}; delete it to choose again"
            ) from error

    def encode(self) -> str:
        """As the file keeps them."""
        return json.dumps(self.model_dump(mode="json"), indent=2) + "\n"

    def changed(self, chosen: dict[str, Any]) -> Self:
        """With what was chosen now; of the ways to have a broker one takes the other's place."""
        if chosen.get("broker"):
            chosen = {"embedded": False} | chosen
        elif chosen.get("embedded"):
            chosen = {"broker": None} | chosen
        return type(self).model_validate(self.model_dump() | chosen)


class UpSettings(Choices):
    """The choices, and the folder that keeps them."""

    home: Path = Field(
        default_factory=surface_folder,
        description="Folder with accounts, broker and choices  [default: in the user's data folder]",
    )

    @field_validator("home", "root", mode="before")
    @classmethod
    def _is_given(cls, path: object) -> object:
        """An empty path would be the working folder; the end of a line would begin a setting of mosquitto."""
        if not str(path) or not str(path).isprintable():
            raise ValueError("expected the path of a folder, without control characters")
        return path

    @field_validator("home", "root")
    @classmethod
    def _is_absolute(cls, path: Path) -> Path:
        """It is kept, and the next start may be from another folder."""
        return path.absolute()

    @property
    def chosen(self) -> dict[str, Any]:
        """What was given now."""
        return {name: getattr(self, name) for name in self.model_fields_set if name != "home"}
