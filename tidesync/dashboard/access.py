"""Who may ask for what, pure: host names, origins, the token, and what a POST must look like."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidesync.dashboard.views import Problem

COOKIE = "tidesync_dashboard"
MOST_BODY_BYTES = 64 * 1024
WEBSOCKET = "WEBSOCKET"
_SAFE = frozenset({"GET", "HEAD"})
_OPEN = frozenset({"/", "/health", "/register_service", "/cockpit_extras.json", "/api/login", "/favicon.ico"})
"""What anybody may have who reaches the port: nothing of it tells of the fleet."""
_OPEN_BELOW = "/page/"
TELLING = "/cockpit"
"""The WebSocket that only tells."""
_DESKTOP = "file://"
"""The origin of a desktop application's own pages, as Cockpit's; a browser calls that of files `null`."""


class Refusal(NamedTuple):
    """Why a request is not answered."""

    status: int
    error: Problem
    detail: str


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What of a request decides; header names are in small letters."""

    method: str
    path: str
    headers: Mapping[str, str]
    token: str | None = None
    """As a WebSocket's address carries it: a page cannot give it headers."""


class AccessPolicy:
    """Decides on each request. Without a token everybody who gets here may ask: then it is loopback alone.

    A foreign page in the operator's browser could reach even loopback. It cannot send JSON without asking us
    first (which we never grant), cannot name a host of its own (DNS rebinding), and is named by its Origin.
    """

    def __init__(
        self, token: str | None, allowed_hosts: frozenset[str] = frozenset(), own_name: str | None = None
    ) -> None:
        self._token = token
        own = (own_name or socket.gethostname()).lower()
        self._names = allowed_hosts | {"localhost", own, own.partition(".")[0]}

    def refuse(self, asker: RequestInfo) -> Refusal | None:
        """Why not, or None."""
        host = asker.headers.get("host", "")
        if not self._known(_host_of(f"//{host}")):
            return Refusal(
                403, "forbidden", f"{host[:100]!r} is no name of this computer; see --allowed-host"
            )
        if asker.method == WEBSOCKET:
            return self._refuse_socket(asker)
        if asker.method not in _SAFE and (refusal := self._refuse_change(asker)):
            return refusal
        if self._open(asker.path) or self._shows_token(asker.headers):
            return None
        return Refusal(
            401, "unauthorized", "the dashboard's token is needed: Authorization: Bearer …, or log in"
        )

    def _refuse_socket(self, asker: RequestInfo) -> Refusal | None:
        """A page opens a WebSocket without asking us first, so without a token only pages from near by may.

        They come from a name that we answer to, from an address that is not the internet's, or, where nothing
        but telling goes on, from a desktop application. The token in the address needs no such trust.
        """
        own = asker.path == TELLING
        if own and self._shows_reading_token(asker.token):
            return None
        origin = asker.headers.get("origin")
        if origin is not None and not (own and origin == _DESKTOP) and not self._near(_host_of(origin)):
            return Refusal(403, "forbidden", f"a page of {origin[:100]!r} may not listen; see --allowed-host")
        if self._token is None or self._shows_token(asker.headers):
            return None
        return Refusal(401, "unauthorized", "the token of /api/cockpit is needed: ?token=…")

    def admits(self, token: str) -> bool:
        """Whether this is the token."""
        return self._token is not None and hmac.compare_digest(token.encode(), self._token.encode())

    def cookie(self) -> str | None:
        """What stands for the token in a browser; it lasts as long as the token does."""
        return self._derived(b"tidesync dashboard")

    def reading_token(self) -> str | None:
        """What opens the WebSocket that tells and nothing else: Cockpit keeps it in its settings."""
        return self._derived(b"tidesync cockpit")

    def _derived(self, purpose: bytes) -> str | None:
        if self._token is None:
            return None
        return hmac.new(self._token.encode(), purpose, hashlib.sha256).hexdigest()

    def _shows_reading_token(self, given: str | None) -> bool:
        expected = self.reading_token()
        return bool(given and expected) and hmac.compare_digest(given.encode(), expected.encode())  # type: ignore[union-attr]

    def _refuse_change(self, asker: RequestInfo) -> Refusal | None:
        headers = asker.headers
        origin, host = headers.get("origin"), _host_of(f"//{headers.get('host', '')}")
        if origin is not None and not (self._near(_host_of(origin)) or _host_of(origin) == host):
            return Refusal(
                403, "forbidden", f"a page of {origin[:100]!r} may not command; see --allowed-host"
            )
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return Refusal(415, "not_json", "send JSON, with Content-Type: application/json")
        length = headers.get("content-length", "")
        if not length.isascii() or not length.isdigit():
            return Refusal(411, "length_required", "send a Content-Length")
        if int(length[:20]) > MOST_BODY_BYTES:
            return Refusal(413, "too_large", f"{length[:20]} bytes, more than {MOST_BODY_BYTES}")
        return None

    def _open(self, path: str) -> bool:
        return self._token is None or path in _OPEN or path.startswith(_OPEN_BELOW)

    def _shows_token(self, headers: Mapping[str, str]) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.admits(given.strip()):
            return True
        expected = self.cookie()
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return bool(morsel and expected) and hmac.compare_digest(morsel.value.encode(), expected.encode())  # type: ignore[union-attr]

    def _near(self, host: str | None) -> bool:
        if host is None:
            return False
        try:
            return not ipaddress.ip_address(host.partition("%")[0]).is_global
        except ValueError:
            return self._known(host)

    def _known(self, host: str | None) -> bool:
        """An address needs no DNS, and nobody outside can have a name in .local: neither can be rebound."""
        if host is None:
            return False
        try:
            ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return host in self._names or host.endswith(".local")
        return True


def _host_of(url: str) -> str | None:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return None
    return host.rstrip(".") if host else None
