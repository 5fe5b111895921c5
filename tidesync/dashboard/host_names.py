"""The host names and addresses that the dashboard answers to.

A page of the internet can have a name of its own lead to this computer (DNS rebinding), and anyone on the
network can answer for a name in `.local`: the browser then takes that page for one of the dashboard's own.
So `Host` must be loopback, this computer's own address or name, or one that was configured.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_HOST_HEADER = re.compile(r"(?:\[[0-9A-Fa-f:.]+(?:%[\w.%~-]+)?\]|[\w.-]+)(?::\d{1,5})?", re.ASCII)


class HostNames:
    """Answers whether a name is one of this computer's; `is_own` says it of an address."""

    def __init__(
        self,
        configured: Iterable[str] = (),
        own_name: str | None = None,
        is_own: Callable[[Address], bool] | None = None,
    ) -> None:
        own = (own_name or socket.gethostname()).lower().rstrip(".")
        label = own.partition(".")[0]
        configured = {name.lower() for name in configured}
        self._addresses = {address for name in configured if (address := address_of(name))}
        self._names = configured | {"localhost", own, label, f"{label}.local"}
        self._is_own = is_own or is_own_address

    def header_is_known(self, header: str) -> bool:
        """Whether a request's `Host` names this computer; a port is no part of the name."""
        return bool(_HOST_HEADER.fullmatch(header)) and self.is_known(host_of(f"//{header}"))

    def is_known(self, host: str | None) -> bool:
        """Whether `host`, without a port, is a name or an address of this computer, or configured."""
        if host is None:
            return False
        address = address_of(host)
        if address is None:
            return host in self._names
        return address.is_loopback or address in self._addresses or self._is_own(address)


def host_of(url: str) -> str | None:
    """The host of a URL in lower case, without the dot that may end it; None where there is none."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return None
    return (host or "").removesuffix(".") or None


def address_of(host: str) -> Address | None:
    """The address that `host` spells; one of IPv4 within IPv6 is that of IPv4."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_own_address(address: Address) -> bool:
    """Whether an interface of this computer has `address`: a socket can be bound to no other one."""
    if address.is_unspecified or address.is_multicast:
        return False
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - IPv4
    scopes = [number for number, _ in socket.if_nameindex()] if address.is_link_local else [0]
    with contextlib.suppress(OSError), socket.socket(family) as probe:
        for scope in scopes:
            with contextlib.suppress(OSError):
                probe.bind((str(address), 0) if family == socket.AF_INET else (str(address), 0, 0, scope))
                return True
    return False
