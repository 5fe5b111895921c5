"""Who may ask for what: host names, origins, the token, the form of a POST; as middleware."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response

from tidesync.dashboard.host_names import address_of, host_of
from tidesync.dashboard.views import Problem, ProblemView

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from tidesync.dashboard.host_names import HostNames

COOKIE = "tidesync_dashboard"
MOST_BODY_BYTES = 64 * 1024
WEBSOCKET = "WEBSOCKET"
_SAFE = frozenset({"GET", "HEAD"})
_PUBLIC = frozenset(
    {
        "/",
        "/health",
        "/register_service",
        "/cockpit_extras.json",
        "/api/login",
        "/favicon.ico",
        "/docs",
        "/openapi.json",
    }
)
"""Served without the token: none of it shows anything of the fleet."""
_PUBLIC_BELOW = "/page/"
COCKPIT_PATH = "/cockpit"
"""The WebSocket for Cockpit, which only sends."""
_DESKTOP = "file://"
"""The origin of a desktop application's own pages, such as Cockpit's; a browser gives `null` for files."""
_APPLICATION = "app://"
_PREFLIGHT = {
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": "authorization, content-type",
    "access-control-allow-private-network": "true",
    "access-control-max-age": "600",
}


class Refusal(NamedTuple):
    """Why a request is not answered."""

    status: int
    error: Problem
    detail: str


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What decides about a request; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    token: str | None = None
    """From a WebSocket's address: a page cannot give it headers."""


class AccessPolicy:
    """Decides about each request, pure. Without a token every client may ask: then it is loopback alone.

    A foreign page in the operator's browser can reach even loopback. It cannot send JSON without a preflight
    request (which is never granted), cannot use a host name of its own (DNS rebinding), and is known by its
    Origin.

    Pages of a desktop application (`file://`, `null`, `app://…`) cannot be distinguished from others that
    claim to be one. They may ask where there is a token, with it in a header: no page sends that by chance.
    """

    def __init__(self, token: str | None, hosts: HostNames) -> None:
        self._token = token
        self._hosts = hosts

    def refuse(self, request: RequestInfo) -> Refusal | None:
        """Why not, or None."""
        host = request.headers.get("host", "")
        if not self._hosts.header_is_known(host):
            return Refusal(
                403, "forbidden", f"{host[:100]!r} is no name or address of this computer; see --allowed-host"
            )
        if request.method == WEBSOCKET:
            return self._refuse_socket(request)
        if self.is_preflight(request):
            return None
        if request.method not in _SAFE and (refusal := self._refuse_change(request.headers)):
            return refusal
        if self._public(request.path) or self._shows_token(request.headers):
            return None
        return Refusal(
            401, "unauthorized", "the dashboard's token is needed: Authorization: Bearer …, or log in"
        )

    def desktop_origin(self, headers: Mapping[str, str]) -> str | None:
        """The origin of a desktop application's page that may read our answers; None for any other."""
        origin = headers.get("origin")
        desktop = origin is not None and (origin in {_DESKTOP, "null"} or origin.startswith(_APPLICATION))
        return origin if desktop and self._token is not None else None

    def is_preflight(self, request: RequestInfo) -> bool:
        """Whether a browser asks if such a page may send what it wants to send."""
        asks = request.method == "OPTIONS" and "access-control-request-method" in request.headers
        return asks and self.desktop_origin(request.headers) is not None

    def admits(self, token: str) -> bool:
        """Whether this is the token."""
        return self._token is not None and hmac.compare_digest(token.encode(), self._token.encode())

    def cookie(self) -> str | None:
        """What a browser keeps instead of the token; it is valid as long as the token is."""
        return self._derived(b"tidesync dashboard")

    def reading_token(self) -> str | None:
        """What opens Cockpit's WebSocket and nothing else: Cockpit keeps it in its settings."""
        return self._derived(b"tidesync cockpit")

    def _refuse_socket(self, request: RequestInfo) -> Refusal | None:
        """A page opens a WebSocket without a preflight request, so without a token only near pages may.

        Near are pages of a name of this computer, of an address that is not the internet's, and, for the
        WebSocket that only sends, of a desktop application. With the token in the address any page may.
        """
        cockpit = request.path == COCKPIT_PATH
        if cockpit and self._shows_reading_token(request.token):
            return None
        origin = request.headers.get("origin")
        desktop = cockpit and origin == _DESKTOP
        if origin is not None and not desktop and not self._near(host_of(origin)):
            return Refusal(403, "forbidden", f"a page of {origin[:100]!r} may not listen; see --allowed-host")
        if self._token is None or self._shows_token(request.headers):
            return None
        return Refusal(401, "unauthorized", "the token of /api/cockpit is needed: ?token=…")

    def _refuse_change(self, headers: Mapping[str, str]) -> Refusal | None:
        origin, host = headers.get("origin"), host_of(f"//{headers.get('host', '')}")
        if self.desktop_origin(headers) is not None:
            origin = None  # the token decides, in its header
        if origin is not None and not (self._near(host_of(origin)) or host_of(origin) == host):
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

    def _derived(self, purpose: bytes) -> str | None:
        if self._token is None:
            return None
        return hmac.new(self._token.encode(), purpose, hashlib.sha256).hexdigest()

    def _public(self, path: str) -> bool:
        return self._token is None or path in _PUBLIC or path.startswith(_PUBLIC_BELOW)

    def _shows_reading_token(self, given: str | None) -> bool:
        return _same(given, self.reading_token())

    def _shows_token(self, headers: Mapping[str, str]) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.admits(given.strip()):
            return True
        if self.desktop_origin(headers) is not None:
            return False
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return _same(morsel.value if morsel else None, self.cookie())

    def _near(self, host: str | None) -> bool:
        """Whether a page of `host` is of this network: it has no address or name of the internet."""
        if host is None:
            return False
        address = address_of(host)
        if address is not None:
            return not address.is_global
        return self._hosts.is_known(host) or host.endswith(".local")


class AccessMiddleware:
    """ASGI middleware around all that is served, other routers included; adds the security headers."""

    def __init__(self, app: ASGIApp, policy: AccessPolicy, frame_ancestors: Sequence[str] = ()) -> None:
        self._app = app
        self._policy = policy
        self._headers = _security_headers(frame_ancestors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return

        request = _request_info(scope)
        origin = self._policy.desktop_origin(request.headers)
        shared = {"access-control-allow-origin": origin, "vary": "origin"} if origin else {}

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (self._headers | shared).items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._policy.refuse(request)
        if refusal is None and self._policy.is_preflight(request):
            await Response(status_code=204, headers=_PREFLIGHT)(scope, receive, send_with_headers)
        elif refusal is None:
            await self._app(scope, receive, send_with_headers)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal.error})
        else:
            headers = {"www-authenticate": "Bearer"} if refusal.status == 401 else None  # noqa: PLR2004
            answer = problem(refusal.status, ProblemView(error=refusal.error, detail=refusal.detail), headers)
            await answer(scope, receive, send_with_headers)


def problem(status: int, view: ProblemView, headers: dict[str, str] | None = None) -> JSONResponse:
    """A problem as an answer."""
    return JSONResponse(view.model_dump(), status, headers)


def _request_info(scope: Scope) -> RequestInfo:
    headers = {name: value for name, value in Headers(scope=scope).items()}  # noqa: C416 - the last one counts
    token = _taken_token(scope) if scope["type"] == WEBSOCKET.lower() else None
    return RequestInfo(scope.get("method", WEBSOCKET), scope["path"], headers, token)


def _taken_token(scope: Scope) -> str | None:
    """The token in the address; it is removed there, so that no log shows it."""
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=10)
    scope["query_string"] = urlencode([pair for pair in pairs if pair[0] != "token"]).encode()
    return next((value for name, value in pairs if name == "token"), None)


def _security_headers(frame_ancestors: Sequence[str]) -> dict[str, str]:
    ancestors = " ".join(["'self'", *(one for one in frame_ancestors if one != "self")])
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        f"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
    )
    return {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-store",
    }


def _same(given: str | None, expected: str | None) -> bool:
    return bool(given and expected and hmac.compare_digest(given.encode(), expected.encode()))
