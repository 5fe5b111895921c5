"""The settings of a connection to a broker, common to all agents and commands."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Annotated

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FilePath,
    PrivateAttr,
    SecretStr,
    model_validator,
)

from broker.address import BrokerAddress, parse_addresses
from broker.errors import PasswordFileError
from schemas.compat import Self
from schemas.names import PING_SUFFIX, Root

_log = logging.getLogger(__name__)


def _checked_url(url: str) -> str:
    parse_addresses(url)
    return url


BrokerUrl = Annotated[str, AfterValidator(_checked_url)]


class ConnectionSettings(BaseModel):
    """How to reach the broker and who to be there. Passwords come from a file or the environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    broker: BrokerUrl = Field(
        "mqtt://localhost:1883",
        description="The broker: mqtt://, mqtts://, ws:// or wss:// URL; with commas between, several to try:"
        " from any of them on, in order, the last good one first",
    )
    username: str | None = Field(None, min_length=1, max_length=128, description="Account at the broker")
    password: SecretStr | None = Field(None, description="Its password; from the environment or a file only")
    password_file: FilePath | None = Field(
        None,
        description="File whose first line is the password; where several brokers have accounts of their own,"
        " a line for each",
    )
    ca_file: FilePath | None = Field(None, description="CA certificate (PEM) to verify the broker with")
    cert_file: FilePath | None = Field(
        None, description="Own certificate (PEM), where the broker asks for one"
    )
    key_file: FilePath | None = Field(None, description="Its key (PEM, not encrypted)")
    topic_root: Root = Field("tidesync", description="First level(s) of every topic")
    keepalive_s: int = Field(
        5, ge=2, le=120, description="MQTT keepalive, s: a dead link is noticed in 1.5 times this"
    )

    _place: int = PrivateAttr(0)
    """Of the broker's URL among those of the list that it was taken from."""
    _suffix: str = PrivateAttr("")
    """Of the account."""

    @model_validator(mode="after")
    def _certificate_has_a_key(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            given, missing = ("cert_file", "key_file") if self.cert_file else ("key_file", "cert_file")
            raise ValueError(f"{given} {self.cert_file or self.key_file} is given without {missing}")
        return self

    @property
    def address(self) -> BrokerAddress:
        """The broker's URL, parsed; the first of several."""
        return parse_addresses(self.broker)[0]

    @property
    def alternatives(self) -> tuple[Self, ...]:
        """These settings with each of the broker's addresses alone, and the account there."""
        addresses = parse_addresses(self.broker)
        own = len(addresses) > 1 and self.username is None and len({each.username for each in addresses}) > 1
        return tuple(
            self._of_one(url.strip(), self.username or address.username, place if own else self._place)
            for place, (url, address) in enumerate(zip(self.broker.split(","), addresses, strict=True))
        )

    def _of_one(self, url: str, account: str | None, place: int) -> Self:
        one = self.model_copy(update={"broker": url, "username": account})
        one._place = place  # noqa: SLF001 - its own
        return one

    @property
    def has_several(self) -> bool:
        """Whether there are several brokers to choose from."""
        return "," in self.broker

    @property
    def brokers(self) -> str:
        """The addresses, for people."""
        return ", ".join(map(str, parse_addresses(self.broker)))

    @property
    def account(self) -> str | None:
        """The user name: the setting's, else the URL's."""
        name = self.username or self.address.username
        return None if name is None else name + self._suffix

    @property
    def for_pings(self) -> Self:
        """These settings with the account for pings alone, in place of each account."""
        found = self.model_copy()
        found._suffix = PING_SUFFIX  # noqa: SLF001 - its own
        return found

    def secret(self) -> str | None:
        """The password, read now; PasswordFileError when its file cannot be read."""
        if self.password is not None:
            return self.password.get_secret_value()
        if self.password_file is not None:
            return _line(self.password_file, self._place)
        return None


def _line(path: Path, place: int) -> str:
    """A password of the file: the line at `place`, or the first where there is but one."""
    try:
        lines = [line.rstrip("\r") for line in path.read_text(encoding="utf-8").split("\n")]
        if place and any(lines[1:]):
            return lines[place]
        return lines[0]
    except IndexError:
        reason = f"it has no line for the broker in place {place + 1}, as for others"
    except UnicodeDecodeError:  # its own message would repeat part of the secret
        reason = "it is not UTF-8 text"
    except OSError as error:
        reason = error.strerror or str(error)
    raise PasswordFileError(path, reason)


class AgentSettings(ConnectionSettings):
    """What every long-running agent has besides."""

    heartbeat_file: Path | None = Field(
        None, description="File stamped each second while the agent's loops come round; best below /run"
    )


class PingSettings(AgentSettings):
    """Of the agents at both ends of a ping."""

    ping_connection: bool = Field(
        default=False,
        description="Give pings a connection of their own, with account NAME@ping and the same password:"
        " for NATS, which reads nothing from a client while one of its messages is being stored",
    )


class ClockHistorySettings(BaseModel):
    """Where an agent keeps its clock's history across restarts."""

    clock_journal: Path | None = Field(
        None,
        description="File that keeps this clock's history across restarts, or none; else one in the user's "
        "state folder",
    )

    def clock_journal_path(self, role: str, name: str, *, simulated: bool) -> Path | None:
        """The file; None for `none`, and for a simulated clock unless a file was named."""
        if self.clock_journal is not None:
            return None if str(self.clock_journal) == "none" else self.clock_journal
        if simulated:
            return None
        given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]  # by systemd
        folder = Path(given) if given else platformdirs.user_state_path("tidesync")
        return folder / f"clock-{role}-{name}.jsonl"


class MetricsSettings(BaseModel):
    """Where Prometheus finds an agent that serves no HTTP otherwise."""

    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="TCP port of /metrics, for Prometheus; 0 takes a free one"
    )
    metrics_host: str = Field(
        "127.0.0.1", min_length=1, max_length=255, description="Address to serve /metrics on"
    )


class EmbeddedBrokerSettings(BaseModel):
    """Where the embedded broker listens: loopback only, see `broker.embedded`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="Loopback address to listen on")
    port: int = Field(1883, ge=0, le=65535, description="TCP port; 0 takes a free one")
    websocket_port: int | None = Field(None, ge=0, le=65535, description="WebSocket port; 0 takes a free one")


def warn_of_other_name(account: str | None, role: str, name: str) -> None:
    """Warn when `name` is not the account's: our accounts may not use it, another broker's may."""
    if account and account != name:
        _log.warning(
            "account %r but %s %r: accounts made by `tidesync broker` may use their own name only",
            account,
            role,
            name,
        )
