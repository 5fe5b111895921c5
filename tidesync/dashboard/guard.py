"""The door: every request passes the gate, and every answer leaves with its security headers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

from tidesync.dashboard.access import WEBSOCKET, AccessPolicy, Refusal, RequestInfo
from tidesync.dashboard.views import ProblemView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send


def problem(status: int, view: ProblemView, headers: dict[str, str] | None = None) -> JSONResponse:
    """A problem as it is answered."""
    return JSONResponse(view.model_dump(), status, headers)


class Guard:
    """ASGI middleware around everything that the dashboard serves, routers of others included."""

    def __init__(self, app: ASGIApp, gate: AccessPolicy, frame_ancestors: Sequence[str] = ()) -> None:
        self._app = app
        self._gate = gate
        self._headers = _security_headers(frame_ancestors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or have it answered."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._gate.refuse(_asker(scope))
        if refusal is None:
            await self._app(scope, receive, dressed)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal.error})
        else:
            await _refused(refusal)(scope, receive, dressed)


def _asker(scope: Scope) -> RequestInfo:
    headers = {name: value for name, value in Headers(scope=scope).items()}  # noqa: C416 - the last one counts
    token = _taken_token(scope) if scope["type"] == WEBSOCKET.lower() else None
    return RequestInfo(scope.get("method", WEBSOCKET), scope["path"], headers, token)


def _taken_token(scope: Scope) -> str | None:
    """The token in the address, which is taken out of it so that no log shows it."""
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=10)
    scope["query_string"] = urlencode([pair for pair in pairs if pair[0] != "token"]).encode()
    return next((value for name, value in pairs if name == "token"), None)


def _refused(refusal: Refusal) -> JSONResponse:
    headers = {"www-authenticate": "Bearer"} if refusal.status == 401 else None  # noqa: PLR2004
    return problem(refusal.status, ProblemView(error=refusal.error, detail=refusal.detail), headers)


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
