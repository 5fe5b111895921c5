"""The dashboard's settings, each with its unit and range."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, FilePath, SecretStr

from broker.settings import AgentSettings
from schemas.choice import FRESH_S
from tidesync.dashboard.host_names import address_of
from tidesync.errors import SettingsError

SHORTEST_TOKEN = 16
_ORIGIN = re.compile(r"\*|self|https?://[A-Za-z0-9.:\[\]*-]+|[a-z][a-z0-9+.-]*:(//[A-Za-z0-9.-]*)?", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,253}[A-Za-z0-9])?", re.ASCII)


def _origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise ValueError(f"expected an origin, as https://cockpit.local, or *, received {text!r}")
    return text


def _host_name(text: str) -> str:
    if not _HOST.fullmatch(text) and address_of(text) is None:
        raise ValueError(
            f"expected a host's name or address without a port, as boat.example, received {text!r}"
        )
    return text.lower()


class TokenNeededError(SettingsError):
    """Anyone who reaches the dashboard could read and command; the sentence never repeats the token."""


class DashboardSettings(AgentSettings):
    """Where to serve the page, to whom, and whether it may command."""

    keepalive_s: int = Field(
        2, ge=2, le=120, description="MQTT keepalive, s: a dead link is noticed in 1.5 times this"
    )
    host: str = Field(
        "127.0.0.1", min_length=1, max_length=255, description="Address to serve on; wider asks for a token"
    )
    port: int = Field(8780, ge=0, le=65535, description="TCP port to serve on; 0 takes a free one")
    token_file: FilePath | None = Field(
        None, description="File whose first line every client must show; or set TIDESYNC_TOKEN"
    )
    token: SecretStr | None = Field(None, description="The token; from the environment or a file only")
    operator: bool = Field(
        default=False,
        description="The account may command (add-operator): offer its buttons. A broker without accounts "
        "takes commands from anyone, so there they are offered anyway",
    )
    root: Path | None = Field(
        None,
        description="The recorder's root, where it is on this computer: reports and tables of stopped"
        " sessions are made and offered",
    )
    read_only: bool = Field(default=False, description="Offer no buttons and take no commands")
    fresh_s: float = Field(
        FRESH_S, ge=0.5, le=300, description="Seconds after which a result that is not renewed counts as old"
    )
    allowed_host: tuple[Annotated[str, AfterValidator(_host_name)], ...] = Field(
        (),
        description="Also answer to this host name or address (repeatable), as blueos.local; localhost and "
        "this computer's own name and addresses are known",
    )
    frame_ancestor: tuple[Annotated[str, AfterValidator(_origin)], ...] = Field(
        ("file:", "http://*.local:*", "http://192.168.2.2:*"),
        description="Origin that may show the page in a frame, without buttons (repeatable); * for any site, "
        "self for none but its own. The default is Cockpit on the desktop and on vehicles",
    )

    @property
    def may_command(self) -> bool:
        """Whether buttons and commands are offered."""
        return not self.read_only and (self.operator or self.account is None)

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the page."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def usable_token(self) -> str | None:
        """The token to ask for, read now; TokenNeededError if others could use the dashboard without one."""
        try:
            token = self._token_text()
        except (OSError, UnicodeDecodeError) as error:
            raise TokenNeededError(f"token_file {self.token_file}: {error}") from error
        if token is None and not self.loopback:
            raise TokenNeededError(
                f"on {self.host!r} others can reach the dashboard: give it a --token-file or TIDESYNC_TOKEN"
            )
        if token is not None and len(token) < SHORTEST_TOKEN:
            raise TokenNeededError(
                f"the token has {len(token)} characters; at least {SHORTEST_TOKEN} are needed"
            )
        return token

    def _token_text(self) -> str | None:
        if self.token is not None:
            return self.token.get_secret_value()
        if self.token_file is not None:
            return self.token_file.read_text(encoding="utf-8").partition("\n")[0].strip()
        return None
