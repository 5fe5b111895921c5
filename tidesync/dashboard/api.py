"""The HTTP interface for the page and for programs: the fleet, the sessions, and commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic_core import to_json

from schemas.names import Session, Topside, Vehicle
from tidesync.dashboard.access import COOKIE, AccessPolicy
from tidesync.dashboard.commands import CommandService, NotDoneError
from tidesync.dashboard.presentation import history_view, session_view, vehicle_view
from tidesync.dashboard.stream import MOST_CLIENTS, DeltaFeed, EventStream, Feed, LastMessage
from tidesync.dashboard.subscriber import Subscriber
from tidesync.dashboard.views import (
    AboutView,
    FleetView,
    HealthView,
    HistoryView,
    Login,
    Measure,
    Measuring,
    ProblemView,
    SessionsView,
    SessionView,
    StartedView,
    StartSession,
    StopSession,
)

if TYPE_CHECKING:
    from tidesync.dashboard.products.jobs import ProductJobs

Responses = dict[int | str, dict[str, Any]]
_JSON_PROBLEMS: Responses = {
    403: {
        "model": ProblemView,
        "description": "This dashboard may not command, or the request is a foreign page's",
    },
    411: {"model": ProblemView, "description": "No Content-Length"},
    413: {"model": ProblemView, "description": "More than 64 KiB"},
    415: {"model": ProblemView, "description": "Not Content-Type: application/json"},
}
COMMAND_PROBLEMS: Responses = _JSON_PROBLEMS | {
    409: {"model": ProblemView, "description": "The recorder or topside refuses; `detail` is its reason"},
    503: {"model": ProblemView, "description": "No broker, or the recorder cannot write"},
}
_ANSWERED: Responses = COMMAND_PROBLEMS | {
    504: {"model": ProblemView, "description": "No recorder answered in time"}
}
NOT_FOUND: Responses = {404: {"model": ProblemView, "description": "Nothing is known by this name"}}
PROBLEMS: Responses = {
    401: {"model": ProblemView, "description": "The token is needed"},
    403: {"model": ProblemView, "description": "The host's name is not known here; see `--allowed-host`"},
    422: {"model": ProblemView, "description": "A value that cannot be taken; `detail` names it"},
}

router = APIRouter()


class Served:
    """What the routes work with; the app carries it as `app.state.served`."""

    def __init__(
        self,
        subscriber: Subscriber,
        commands: CommandService,
        policy: AccessPolicy,
        about: AboutView,
        products: ProductJobs | None = None,
    ) -> None:
        self.subscriber = subscriber
        self.commands = commands
        self.policy = policy
        self.about = about
        self.products = products
        self.last = LastMessage()
        self.streams = 0
        self.sockets = 0
        self.shown_connected: set[object] = set()
        """The sockets whose clients have heard last that the broker is there."""


async def served(request: Request) -> Served:
    """The dependency through which routes, those of added routers too, reach the fleet and its commands."""
    return cast("Served", request.app.state.served)


Here = Annotated[Served, Depends(served)]


@router.get("/health", tags=["dashboard"])
async def health(here: Here) -> HealthView:
    """Whether the dashboard serves, and whether it has its broker. Needs no token."""
    return HealthView(status="ok", broker_connected=here.subscriber.up)


@router.get("/api/about", tags=["dashboard"])
async def about(here: Here) -> AboutView:
    """What this dashboard is, and whether it takes commands."""
    return here.about


@router.post("/api/login", status_code=204, response_model=None, tags=["dashboard"], responses=_JSON_PROBLEMS)
async def login(body: Login, here: Here, response: Response) -> None:
    """Exchange the token for a cookie that only this page sends; programs use `Authorization: Bearer`."""
    cookie = here.policy.cookie()
    if not here.policy.admits(body.token) or cookie is None:
        raise NotDoneError(401, "unauthorized", "that is not the token")
    # Without a path of its own the cookie holds for /…/api, below whatever prefix a proxy serves us.
    response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", path=None)


@router.get("/api/vehicles", tags=["vehicles"], response_model=FleetView)
async def vehicles(here: Here) -> Response:
    """Every vehicle now, sorted by name."""
    subscriber = here.subscriber
    with subscriber.lock:
        rows, not_shown = subscriber.fleet.rows(subscriber.now()), subscriber.fleet.unshown
    fleet = FleetView(
        broker=subscriber.broker_view(),
        computer=subscriber.computer_view(),
        vehicles=tuple(map(vehicle_view, rows)),
        not_shown=not_shown,
    )
    return Response(to_json(fleet), media_type="application/json")  # once: it is checked and may be large


@router.get("/api/vehicles/{vehicle}/history", tags=["vehicles"], responses=NOT_FOUND)
async def history(
    vehicle: Vehicle,
    here: Here,
    topside: Annotated[
        Topside | None, Query(description="By this topside; else by the one whose results are in use")
    ] = None,
    after: Annotated[int, Query(ge=0, le=2**53, description="Only what is newer than this `last`")] = 0,
) -> HistoryView:
    """The last hours of a vehicle: each second of ten minutes, before that the worst of every ten seconds."""
    subscriber = here.subscriber
    with subscriber.lock:
        named = topside or subscriber.fleet.topside_in_use(vehicle) or ""
        kept = subscriber.fleet.history(vehicle, named)
        if kept is None:
            raise NotDoneError(
                404, "not_found", f"no result of {vehicle!r} by {named or 'any topside'} is known"
            )
        return history_view(
            kept, after, subscriber.now(), vehicle=vehicle, topside=named, instance=here.about.instance
        )


@router.post(
    "/api/vehicles/{vehicle}/measure",
    status_code=202,
    tags=["vehicles"],
    responses=COMMAND_PROBLEMS | NOT_FOUND,
)
async def measure(vehicle: Vehicle, body: Measure, here: Here) -> Measuring:
    """Measure a vehicle now, with a burst of exchanges."""
    return here.commands.measure(vehicle, body)


@router.get("/api/sessions", tags=["sessions"])
async def sessions(here: Here) -> SessionsView:
    """Every session that the broker knows of, the newest name first."""
    subscriber = here.subscriber
    with subscriber.lock:
        now, entries = subscriber.now(), list(subscriber.fleet.sessions())
    entries.sort(key=lambda entry: entry.state.session, reverse=True)
    views = tuple(session_view(entry.state, entry.age_s(now)) for entry in entries)
    return SessionsView(broker=subscriber.broker_view(), sessions=views)


@router.post("/api/sessions", status_code=201, tags=["sessions"], responses=_ANSWERED)
async def start_session(body: StartSession, here: Here, response: Response) -> StartedView:
    """Begin to record a session; answered when a recorder records it. The folder is `path` below its root."""
    view = await here.commands.start(body)
    response.headers["location"] = f"sessions/{quote(view.session, safe='')}"
    return view


@router.get("/api/sessions/{session}", tags=["sessions"], responses=NOT_FOUND)
async def session(session: Session, here: Here) -> SessionView:
    """One session."""
    subscriber = here.subscriber
    with subscriber.lock:
        now, entry = subscriber.now(), subscriber.fleet.session(session)
    if entry is None:
        raise NotDoneError(404, "not_found", f"no session {session!r} is known")
    return session_view(entry.state, entry.age_s(now))


@router.post("/api/sessions/{session}/stop", tags=["sessions"], responses=_ANSWERED)
async def stop_session(session: Session, body: StopSession, here: Here) -> SessionView:
    """End the recording of a session; answered when its files are written."""
    return await here.commands.stop(session, body)


@router.get(
    "/api/events",
    tags=["vehicles"],
    responses={200: {"content": {"text/event-stream": {}}}},
    response_class=Response,
)
async def events(
    here: Here,
    deltas: Annotated[
        bool, Query(description="Numbers alone where no more of a row has changed: for a large fleet")
    ] = False,
) -> Response:
    """Server-sent events: first everything, then what has changed, at most four times a second.

    Each message is JSON: `now_s` (the dashboard's monotonic clock), `anew` (discard what you have), `broker`,
    `computer`, `vehicles`, `not_shown` and `sessions` as in the lists. One is sent each second even if
    nothing changed.

    With `deltas` a row in `vehicles` is whole too, and `numbers` has what is new of other rows: arrays, whose
    places the first message names in `numbers_of` (`row` is `vehicle/topside`; `at_s`, when the result
    arrived, is on the clock of `now_s`; `last_seen_s` is an age at `at_s`). `removed` (as `row`) and
    `sessions_removed` (by name) are no more; rows of the same message may have such a name again. A message
    goes on from the one whose `version` is its `after`: open the stream again if the last one had another.
    `waiting`: so many rows follow.
    """
    if here.streams >= MOST_CLIENTS:
        raise NotDoneError(503, "too_many", f"{MOST_CLIENTS} pages are being served already")
    if deltas:
        return EventStream(DeltaFeed(here.subscriber, here.about, here.last), here)
    return EventStream(Feed(here.subscriber, here.about), here)
