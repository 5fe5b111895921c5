"""The broker's address, as topside reaches it: a vehicle beside its broker may be reached there, too."""

from __future__ import annotations

import ipaddress
import socket
import threading


class BrokerHost:
    """Resolves the broker's name in a thread of its own: the system may take its time over it."""

    def __init__(self) -> None:
        self.addresses: tuple[str, ...] = ()
        """Those of the broker that was looked up last."""
        self._host: str | None = None

    def look_up(self, host: str) -> None:
        """Find the addresses of `host`; returns at once."""
        if host == self._host:
            return
        self._host = host
        if _is_address(host):
            self.addresses = (host,)
        else:
            threading.Thread(target=self._resolve, args=(host,), name="broker-address", daemon=True).start()

    def _resolve(self, host: str) -> None:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError):
            return
        self.addresses = tuple(dict.fromkeys(str(each[4][0]) for each in found))[:4]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
