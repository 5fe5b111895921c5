"""The dashboard's HTTP interface, with messages put in by hand: what is answered, refused, and promised."""

import asyncio
import json
import re

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient
from openapi_spec_validator import validate

from runtime.api_page import page
from runtime.clock import SystemClock
from runtime.web_server import WithHead
from schemas.messages import StartCommand, StopCommand
from tests.unit.dashboards import LONG_AGO, incoming, info, result, session, status
from tidesync.dashboard import stream
from tidesync.dashboard.api import served
from tidesync.dashboard.app import make_app
from tidesync.dashboard.assets import FOLDER
from tidesync.dashboard.settings import DashboardSettings
from tidesync.dashboard.stream import EventStream, Feed
from tidesync.dashboard.subscriber import Answer, Subscriber
from tidesync.sessions.client import SessionRequest

TOKEN = "a token long enough"
EVIL = "<script>alert(1)</script>"


class FixedClock(SystemClock):
    """RAW is always the instant at which the messages arrive."""

    def raw_ns(self):
        return LONG_AGO


class Bench:
    """An app on a subscriber without a broker."""

    def __init__(self, token=None, routers=(), **settings):
        made = DashboardSettings(**settings)
        self.subscriber = Subscriber(made, FixedClock())
        self.app = make_app(self.subscriber, made, token, routers)
        self.client = TestClient(self.app, base_url="http://localhost:8780")

    def hear(self, *messages):
        for message in messages:
            self.subscriber.received(message)

    def get(self, path, **options):
        return self.client.get(path, **options)

    def post(self, path, body, **options):
        return self.client.post(path, json=body, **options)


@pytest.fixture
def bench():
    return Bench()


def test_vehicles_are_listed_by_name_with_their_age(bench):
    bench.hear(incoming(result("rov2")), incoming(result("rov1")), status("online", vehicle="rov3"))
    document = bench.get("/api/vehicles").json()
    assert [row["vehicle"] for row in document["vehicles"]] == ["rov1", "rov2", "rov3"]
    assert [row["state"] for row in document["vehicles"]] == ["locked", "locked", None]
    assert document["vehicles"][0]["offset_ms"] == -150.3
    assert document["vehicles"][2]["offset_ms"] is None
    assert document["broker"]["connected"] is False
    assert "localhost:1883" in document["broker"]["address"]


@pytest.mark.parametrize("origin", ["file://", "null", "app://cockpit"])
def test_a_desktop_application_reads_every_answer_where_there_is_a_token(origin):
    bench = Bench(TOKEN)
    asks = {"origin": origin, "access-control-request-method": "POST"}
    granted = bench.client.options("/api/sessions", headers=asks)
    assert (granted.status_code, granted.headers["access-control-allow-origin"]) == (204, origin)
    assert "authorization" in granted.headers["access-control-allow-headers"]
    for bearer, status_code in (({}, 401), ({"authorization": f"Bearer {TOKEN}"}, 200)):
        answer = bench.get("/api/vehicles", headers={"origin": origin} | bearer)
        assert answer.status_code == status_code
        assert answer.headers["access-control-allow-origin"] == origin
    assert (
        "access-control-allow-origin" not in bench.get("/health", headers={"origin": "https://a.b"}).headers
    )
    assert "access-control-allow-origin" not in Bench().get("/health", headers={"origin": origin}).headers


def test_every_path_answers_head_as_get_and_names_its_methods(bench):
    client = TestClient(WithHead(bench.app), base_url="http://localhost:8780")
    for path in ("/", "/health", "/api/vehicles", "/docs", "/api/events", "/metrics"):
        answer = client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
    refused = bench.client.put("/api/sessions", json={})
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, POST")


def test_the_page_has_a_description_and_a_heading(bench):
    assert '<meta name="description" content="How far' in bench.get("/").text
    assert 'element("h1", { class: "verdict" })' in bench.get("/page/fleet.js").text


def test_a_body_that_is_no_text_is_a_value_that_cannot_be_taken(bench):
    json_kind = {"content-type": "application/json"}
    answer = bench.client.post("/api/sessions", content=b"\xff\xfe{", headers=json_kind)
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid")


def test_the_interface_is_a_page_that_needs_no_internet_and_no_token():
    document = Bench(TOKEN).get("/openapi.json").json()
    text = Bench(TOKEN).get("/docs").text
    for path in document["paths"]:
        assert f"<code>GET {path}<" in text or f"<code>POST {path}<" in text
    assert "<h1>Tidesync dashboard: HTTP interface</h1>" in text
    assert not re.search(r"<script|<link|https?://|src=", text)
    assert "&lt;" not in page({"info": {"title": "a", "version": "1"}, "paths": {}})
    assert "<x>" not in page({"info": {"title": "<x>", "version": "<x>", "description": "<x>"}, "paths": {}})


def test_rubbish_is_dropped_and_the_rest_still_shown(bench):
    good = incoming(result("rov1"))
    bench.hear(good)
    for payload in (b"", b"{", b"\xff", b"null", b"[" * 10_000, b'{"vehicle": "rov1"}', b"x" * 2_000_000):
        if payload:
            bench.hear(good.__class__(good.topic, payload, False, good.received))
    for topic in (
        "tidesync/v1/vehicle/<script>/status",
        "tidesync/v1",
        "x",
        "tidesync/v1/vehicle/../offset/a",
    ):
        bench.hear(good.__class__(topic, b"online", False, good.received))
    assert [row["vehicle"] for row in bench.get("/api/vehicles").json()["vehicles"]] == ["rov1"]


def test_a_cleared_result_is_gone(bench):
    message = incoming(result("rov1"))
    bench.hear(message, message.__class__(message.topic, b"", True, message.received))
    assert bench.get("/api/vehicles").json()["vehicles"] == []


def test_sessions_are_listed_newest_first_and_one_by_name(bench):
    bench.hear(incoming(session("2026-05-01")), incoming(session("2026-05-02", "stopped")))
    assert [one["session"] for one in bench.get("/api/sessions").json()["sessions"]] == [
        "2026-05-02",
        "2026-05-01",
    ]
    assert bench.get("/api/sessions/2026-05-01").json()["state"] == "recording"
    missing = bench.get("/api/sessions/other")
    assert (missing.status_code, missing.json()["error"]) == (404, "not_found")


def asked(bench, command):
    """The future of an answer to `command` about dive-1."""
    bench.subscriber._begin(answer := Answer(), SessionRequest("tidesync", "dive-1", command))
    return answer


@pytest.mark.parametrize(
    ("command", "state"),
    [
        (StartCommand(request_id="mine", mission="reef", sensors={}), "recording"),
        (StopCommand(request_id="mine"), "stopped"),
    ],
)
def test_who_is_answered_finds_the_session_as_it_was_answered(bench, command, state):
    """The answer is given in the network thread: what it leads to must be known before."""
    answer = asked(bench, command)
    found = []
    answer.add_done_callback(lambda _: found.append(bench.subscriber.fleet.session("dive-1").state))
    bench.hear(incoming(session("dive-1", "recording"), retained=True))
    assert not answer.done()
    bench.hear(incoming(session("dive-1", state, request_id="mine")))
    assert answer.result(0) == found[0]
    assert found[0].state == state


def test_what_answers_on_another_sessions_topic_answers_nobody(bench):
    command = StopCommand(request_id="mine")
    answer = asked(bench, command)
    state = session("dive-1", "stopped", request_id="mine")
    foreign = incoming(state)._replace(topic="tidesync/v1/session/other/state")
    bench.hear(foreign)
    assert not answer.done()
    bench.hear(incoming(state))
    assert answer.done()


def test_the_history_is_in_columns_and_goes_on_where_it_ended(bench):
    bench.hear(incoming(result("rov1", offset_ms=1.0)))
    first = bench.get("/api/vehicles/rov1/history").json()
    assert (first["topside"], first["offset_ms"], first["state"]) == ("laptop", [1.0], ["locked"])
    nothing = {"offset_ms": None, "lower_ms": None, "upper_ms": None, "max_error_ms": None}
    bench.hear(incoming(result("rov1", state="unsynced", **nothing)))
    more = bench.get("/api/vehicles/rov1/history", params={"after": first["last"]}).json()
    assert (more["offset_ms"], more["state"]) == ([None], ["unsynced"])
    assert [one["text"] for one in more["incidents"]] == ["locked → unsynced"]
    assert more["instance"] == first["instance"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/vehicles/rov9/history",
        "/api/vehicles/rov1/history?topside=other",
        "/api/nothing",
        "/page/x.js",
        "/page/..%2fapi.py",
    ],
)
def test_what_is_not_there_is_404(bench, path):
    bench.hear(incoming(result("rov1")))
    assert bench.get(path).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/api/sessions", {}, "mission"),
        ("/api/sessions", {"mission": "../etc"}, "'../etc'"),
        ("/api/sessions", {"mission": EVIL}, "<script>"),
        ("/api/sessions", {"mission": "m", "sensors": {"inWater": "ROV 1"}}, "'ROV 1'"),
        ("/api/sessions", {"mission": "m", "sensors": {"1": "rov1"}}, "sensors"),
        ("/api/sessions", {"mission": "m", "sensor": {}}, "sensor"),
        ("/api/sessions", {"mission": "m", "timeout_s": 1e9}, "timeout_s"),
        ("/api/sessions", {"mission": "m", "session": ".."}, "'..'"),
        ("/api/sessions", {"mission": 5}, "5"),
        ("/api/sessions", [], "[]"),
        ("/api/sessions/..x../stop", {}, "..x.."),
        ("/api/vehicles/UPPER/measure", {}, "UPPER"),
        ("/api/vehicles/rov1/measure", {"topside": "a/b"}, "a/b"),
    ],
)
def test_a_wrong_value_is_named(bench, path, body, named):
    answer = bench.post(path, body)
    assert answer.status_code == 422
    assert answer.json()["error"] == "invalid"
    assert named in answer.json()["detail"]
    assert len(answer.content) < 1000


def test_what_is_no_json_is_422(bench):
    answer = bench.client.post("/api/sessions", content=b"{", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid")


def test_commands_without_a_broker_are_503_and_say_which(bench):
    bench.hear(incoming(result("rov1")))
    for path, body in (
        ("/api/sessions", {"mission": "m"}),
        ("/api/sessions/s/stop", {}),
        ("/api/vehicles/rov1/measure", {}),
    ):
        answer = bench.post(path, body)
        assert (answer.status_code, answer.json()["error"]) == (503, "broker_unreachable")


@pytest.mark.parametrize(
    "settings", [{"read_only": True}, {"username": "viewer"}, {"read_only": True, "operator": True}]
)
def test_a_viewer_is_refused_commands_with_the_reason(settings):
    bench = Bench(**settings)
    assert bench.get("/api/about").json()["may_command"] is False
    answer = bench.post("/api/sessions", {"mission": "m"})
    assert (answer.status_code, answer.json()["error"]) == (403, "read_only")


def test_an_operators_account_may_command():
    bench = Bench(username="skipper", operator=True)
    assert bench.get("/api/about").json()["may_command"] is True


def test_with_a_token_one_logs_in_once():
    bench = Bench(token=TOKEN)
    assert bench.get("/api/vehicles").status_code == 401
    assert bench.get("/api/vehicles").headers["www-authenticate"] == "Bearer"
    wrong = bench.post("/api/login", {"token": "wrong"})
    assert (wrong.status_code, wrong.json()["error"]) == (401, "unauthorized")
    assert "wrong" not in wrong.text
    right = bench.post("/api/login", {"token": TOKEN})
    assert right.status_code == 204
    cookie = right.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path" not in cookie  # so it holds below a proxy's prefix too
    assert TOKEN not in cookie
    shown = {"cookie": cookie.partition(";")[0]}
    assert bench.get("/api/vehicles", headers=shown).status_code == 200
    assert bench.get("/api/vehicles", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_without_a_token_nobody_logs_in(bench):
    assert bench.post("/api/login", {"token": ""}).status_code == 422
    assert bench.post("/api/login", {"token": "x"}).status_code == 401


@pytest.mark.parametrize(
    "path", ["/", "/page/style.css", "/api/vehicles", "/api/nothing", "/openapi.json", "/page/plotly.min.js"]
)
def test_every_answer_carries_the_security_headers(bench, path):
    headers = bench.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'self'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers


def test_the_page_about_the_interface_may_style_itself_and_run_nothing(bench):
    policy = bench.get("/docs").headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; ")
    assert "script" not in policy


def test_refusals_carry_them_too(bench):
    headers = bench.get("/", headers={"host": "evil.example"}).headers
    assert "default-src 'none'" in headers["content-security-policy"]


def test_an_origin_that_may_frame_the_page_stands_in_the_policy():
    bench = Bench(frame_ancestor=("https://cockpit.local",))
    policy = bench.get("/").headers["content-security-policy"]
    assert policy.endswith("frame-ancestors 'self' https://cockpit.local")


def test_every_address_of_the_page_is_relative_and_its_own():
    for path in sorted(FOLDER.iterdir()):
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text.replace("mqtt://…", ""), path.name
        assert not re.search(r"""(src|href|fetch|import|url)\W{0,3}["'`(]/""", text), path.name
        assert not re.search(r"""["'`]/(api|page)/""", text), path.name
        assert "innerHTML" not in text, path.name


def test_plotlys_script_is_served_packed_and_plain(bench):
    packed = bench.get("/page/plotly.min.js", headers={"accept-encoding": "gzip"})
    plain = bench.get("/page/plotly.min.js", headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert plain.content.startswith(b"/**\n* plotly.js (basic - minified) v")


@pytest.mark.slow
def test_the_openapi_document_is_valid_and_says_how_each_thing_can_fail(bench):
    document = bench.get("/openapi.json").json()
    validate(document)
    start = document["paths"]["/api/sessions"]["post"]
    assert {"201", "401", "403", "409", "411", "413", "415", "422", "503", "504"} <= set(start["responses"])
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert {"401", "403", "422"} <= set(operation["responses"]), path
            assert operation["summary"], path
            assert operation["description"], path
            for status_code, response in operation["responses"].items():
                content = response.get("content", {})
                if status_code.startswith(("4", "5")):
                    schema = content["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/ProblemView"}, (path, method, status_code)


def test_the_health_needs_no_token():
    answer = Bench(token=TOKEN).get("/health")
    assert answer.json() == {"status": "ok", "broker_connected": False}


def test_a_router_of_another_part_is_served_under_the_same_policy():
    router = APIRouter()

    @router.get("/api/extra")
    async def extra():
        return {"known": len(served_now.subscriber.fleet.vehicles())}

    bench = Bench(token=TOKEN, routers=[router])
    served_now = bench.app.state.served
    assert served is not None
    bench.hear(incoming(result("rov1")))
    assert bench.get("/api/extra").status_code == 401
    assert bench.get("/api/extra", headers={"authorization": f"Bearer {TOKEN}"}).json() == {"known": 1}


# The stream


def news(feed):
    message = feed.next()
    if message is None:
        return None
    return json.loads(message)


@pytest.fixture
def feed(bench):
    return Feed(bench.subscriber, bench.app.state.served.about)


def test_a_new_page_gets_everything_then_only_what_changes(bench, feed):
    bench.hear(incoming(result("rov1")), incoming(result("rov2")), incoming(session()))
    first = news(feed)
    assert first["anew"] is True
    assert [row["vehicle"] for row in first["vehicles"]] == ["rov1", "rov2"]
    assert len(first["sessions"]) == 1
    assert first["about"]["fresh_s"] == 3.0
    assert news(feed) is None
    bench.hear(incoming(result("rov2")), incoming(result("rov2")), incoming(result("rov2")))
    second = news(feed)
    assert (second["anew"], [row["vehicle"] for row in second["vehicles"]]) == (False, ["rov2"])


def test_a_heartbeat_comes_each_second_with_nothing_new(feed, monkeypatch):
    news(feed)
    assert news(feed) is None
    monkeypatch.setattr(FixedClock, "raw_ns", lambda _self: LONG_AGO + 1_000_000_000)
    beat = news(feed)
    assert (beat["vehicles"], beat["sessions"], beat["anew"]) == ([], [], False)
    assert beat["now_s"] == 101.0


def test_a_page_gets_everything_again_when_something_was_forgotten(bench, feed):
    bench.hear(incoming(result("rov1")), incoming(result("rov2")))
    news(feed)
    message = incoming(result("rov1"))
    bench.hear(message.__class__(message.topic, b"", True, message.received))
    again = news(feed)
    assert (again["anew"], [row["vehicle"] for row in again["vehicles"]]) == (True, ["rov2"])


class Counted:
    streams = 0


def test_a_line_break_in_a_peers_words_does_not_break_the_stream(bench, feed):
    bench.hear(incoming(info(version="1\n\ndata: {}\r\n\u2028" + EVIL)))
    taken, complete = [], asyncio.Event()

    async def send(message):
        taken.append(message.get("body", b""))
        if len(taken) == 3:
            complete.set()

    async def receive():
        await complete.wait()
        return {"type": "http.disconnect"}

    asyncio.run(EventStream(feed, Counted())({"type": "http", "method": "GET"}, receive, send))
    assert taken[1] == b"retry: 1000\n\n"
    assert taken[2].count(b"\n") == 2
    assert taken[2].endswith(b"\n\n")
    vehicles = json.loads(taken[2].removeprefix(b"data: "))["vehicles"]
    assert vehicles[0]["version"].endswith(EVIL)


def test_a_page_that_takes_nothing_is_disconnected(feed, monkeypatch):
    monkeypatch.setattr(stream, "_SEND_TIMEOUT_S", 0.05)
    counted, sent = Counted(), []

    async def send(message):
        sent.append(message["type"])
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()  # its window is shut

    async def receive():
        await asyncio.Event().wait()

    async def page():
        stream = EventStream(feed, counted)({"type": "http", "method": "GET"}, receive, send)
        await asyncio.wait_for(stream, 60)

    asyncio.run(page())
    assert sent == ["http.response.start", "http.response.body"]
    assert counted.streams == 0


def test_a_slow_page_gets_the_newest_and_nothing_is_queued_for_it(bench, feed):
    news(feed)
    for number in range(1000):
        bench.hear(incoming(result("rov1", offset_ms=float(number))))
    newest = news(feed)
    assert [row["offset_ms"] for row in newest["vehicles"]] == [999.0]
    assert news(feed) is None
