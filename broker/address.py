"""A broker's address: `mqtt://host:1883`, `mqtts://`, `ws://`, `wss://`, parsed and refused here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import unquote, urlsplit

Scheme = Literal["mqtt", "mqtts", "ws", "wss"]
_DEFAULT_PORTS: dict[Scheme, int] = {"mqtt": 1883, "mqtts": 8883, "ws": 9001, "wss": 9001}

MOST = 32
"""Brokers to choose from."""


class InvalidAddressError(ValueError):
    """A broker URL that cannot be used; the message never repeats a password."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a broker listens, and how to speak to it."""

    scheme: Scheme
    host: str
    port: int
    path: str = "/mqtt"
    username: str | None = None

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme in {"mqtts", "wss"}

    @property
    def websocket(self) -> bool:
        """Whether MQTT goes inside a WebSocket."""
        return self.scheme in {"ws", "wss"}

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path if self.websocket else ''}"


def parse_address(url: str) -> BrokerAddress:
    """The address in `url`, else InvalidAddressError saying what is wrong with it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidAddressError(f"{_shown(url)} is not a broker URL: {error}") from error
    scheme = _scheme(parts.scheme, url)
    if parts.password is not None:
        raise InvalidAddressError(
            "a broker URL may not carry a password: put it in TIDESYNC_PASSWORD or in a password_file"
        )
    if not parts.hostname:
        raise InvalidAddressError(f"{_shown(url)} is not a broker URL: it names no host")
    if port == 0:
        raise InvalidAddressError(f"{_shown(url)} is not a broker URL: port 0")
    if parts.query or parts.fragment or (scheme in {"mqtt", "mqtts"} and parts.path not in {"", "/"}):
        raise InvalidAddressError(f"{_shown(url)} is not a broker URL: nothing may follow the port")
    return BrokerAddress(
        scheme,
        parts.hostname,
        port or _DEFAULT_PORTS[scheme],
        parts.path or "/mqtt",
        unquote(parts.username) if parts.username else None,
    )


def parse_addresses(urls: str) -> tuple[BrokerAddress, ...]:
    """The addresses in a URL, or in several with commas between; else InvalidAddressError.

    One without a user name has that of the first with one.
    """
    found = [parse_address(url.strip()) for url in urls.split(",")]
    if len(found) > MOST:
        raise InvalidAddressError(f"at most {MOST} brokers can be named, received {len(found)}")
    first = next((address.username for address in found if address.username), None)
    return tuple(replace(address, username=address.username or first) for address in found)


def _scheme(scheme: str, url: str) -> Scheme:
    for known in _DEFAULT_PORTS:
        if scheme == known:
            return known
    raise InvalidAddressError(
        f"{_shown(url)} is not a broker URL: expected mqtt://, mqtts://, ws:// or wss://, then host:port"
    )


def _shown(url: str) -> str:
    before, at, after = url.rpartition("@")
    return repr("…@" + after if at and ":" in before else url)
