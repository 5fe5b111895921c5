"""The settings of the vehicle's agent."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from pydantic import Field, FilePath, model_validator

from broker.settings import ClockHistorySettings, PingSettings
from schemas.join_file import MOST_BYTES, JoinFile, JoinFileError
from schemas.names import Vehicle


class PiSettings(ClockHistorySettings, PingSettings):
    """Which vehicle this is, how to reach the broker, and whether to serve HTTP beside MQTT."""

    join: FilePath | None = Field(
        None, description="File that `tidesync up --add-vehicle` made: name, account and broker at once"
    )
    vehicle: Vehicle = Field(description="This vehicle's name: small letters, digits, '_', '-'")
    http_host: str = Field(
        "0.0.0.0",  # noqa: S104 - topside asks over the tether; the clock is all that can be read
        min_length=1,
        max_length=255,
        description="Address to serve GET /api/sync/time on",
    )
    http_port: int = Field(
        9150,
        ge=1,
        le=65535,
        description="TCP port of GET /api/sync/time; taken: an error when set, else MQTT alone",
    )
    no_http: bool = Field(default=False, description="Do not serve HTTP")
    udp_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="UDP port on which topside measures it directly; 0 takes a free one",
    )
    no_udp: bool = Field(default=False, description="Be measured over the broker alone, not directly by UDP")
    hardware_stamps: bool = Field(
        default=False,
        description="Have the network hardware stamp topside's datagrams, where it can stamp every one;"
        " turning that on needs CAP_NET_ADMIN",
    )

    @model_validator(mode="before")
    @classmethod
    def _joined(cls, given: dict[str, Any]) -> dict[str, Any]:
        """With what the file of `join` says where nothing else was given."""
        path = given.get("join")
        return given if path is None else _of_file(path) | given

    @property
    def http_port_wanted(self) -> bool:
        """Whether somebody set the port: then it must be had; the default may be taken."""
        return "http_port" in self.model_fields_set


def _of_file(path: str | Path) -> dict[str, Any]:
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES:
            raise ValueError(f"--join {path}: expected a file of at most {MOST_BYTES} bytes")
        joined = JoinFile.decode(Path(path).read_text(encoding="utf-8-sig"))
    except JoinFileError as error:
        raise ValueError(f"--join {path}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"--join {path}: {getattr(error, 'strerror', None) or 'it is not text'}") from None
    values = joined.model_dump(include={"vehicle", "username", "password", "topic_root"}, exclude_none=True)
    authority = {"ca_file": path} if joined.ca else {}
    return values | authority | {"broker": ",".join(joined.brokers)}
