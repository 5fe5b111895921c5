"""`GET /api/sync/time` is what the consumer reads, in our app and in anybody's."""

import logging
import socket
import time

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from pi_agent.health import Health
from pi_agent.http import router, time_reply
from pi_agent.http_service import make_app
from pi_agent.http_thread import http_listener
from pi_agent.settings import PiSettings
from runtime.clock import SimulatedClock, SystemClock
from runtime.errors import ListenError
from runtime.web_server import WithHead
from schemas.compat import from_iso
from tests.host_clock import HostClock

S = 1_000_000_000
KEYS = {"pi_iso": str, "pi_unix_ms": int, "container_version": str, "schema_version": int}


class Source:
    """Says that all is well but the broker."""

    def health(self):
        return Health(
            vehicle="rov1",
            version="1.0.0",
            broker="mqtt://localhost:1883",
            broker_connected=False,
            broker_problem="connection refused",
            uptime_s=12.5,
            reconnects=0,
            pings_answered=0,
            messages_dropped={},
            last_ping_topside=None,
            last_ping_age_s=None,
            clock_changes={"step": 2, "suspend": 0},
            clock_synchronized=False,
            simulated=True,
        )


@pytest.fixture
def host():
    return HostClock()


@pytest.fixture
def client(host):  # noqa: ARG001 - made before the simulated clock
    return TestClient(make_app(SimulatedClock(SystemClock(), offset_ns=1000 * S), Source()))


def test_the_reply_has_exactly_the_consumers_keys_and_types(client):
    reply = client.get("/api/sync/time")
    assert reply.status_code == 200
    assert {key: type(value) for key, value in reply.json().items()} == KEYS
    assert reply.json()["schema_version"] == 1
    assert reply.headers["cache-control"] == "no-store"


def test_the_instant_is_iso_8601_with_microseconds_and_a_zero_offset(client):
    text = client.get("/api/sync/time").json()["pi_iso"]
    assert from_iso(text).isoformat(timespec="microseconds") == text
    assert text.endswith("+00:00")
    assert len(text) == len("2026-05-01T12:00:00.123456+00:00")


def test_whole_seconds_keep_their_six_decimals():
    assert time_reply(1_777_636_800 * S).pi_iso == "2026-05-01T12:00:00.000000+00:00"


@pytest.mark.parametrize("realtime_ns", [1_777_636_800_999_999_999, 1_777_636_800_000_000_000, 5])
def test_both_instants_are_one_reading_cut_to_their_units(realtime_ns):
    reply = time_reply(realtime_ns)
    assert reply.pi_unix_ms == realtime_ns // 1_000_000
    microseconds = round(from_iso(reply.pi_iso).timestamp() * 1e6)
    assert microseconds == realtime_ns // 1000


def test_our_app_serves_the_agents_clock(host, client):
    before_ns = time.time_ns()
    pi_unix_ms = client.get("/api/sync/time").json()["pi_unix_ms"]
    after_ns = time.time_ns()
    slack_ns = 1_000_000 + host.moved_ns()  # the simulation runs on RAW
    assert before_ns - slack_ns <= (pi_unix_ms - 1_000_000) * 1_000_000 <= after_ns + slack_ns


def test_a_foreign_app_takes_the_router_in_one_line_and_serves_the_system_clock():
    app = FastAPI()
    app.include_router(router)
    before_ms = time.time_ns() // 1_000_000
    reply = TestClient(app).get("/api/sync/time")
    assert before_ms <= reply.json()["pi_unix_ms"] <= time.time_ns() // 1_000_000
    assert {key: type(value) for key, value in reply.json().items()} == KEYS
    assert reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/health", "/api/sync/time"])
def test_a_page_of_any_origin_may_read_it(client, path):
    reply = client.get(path, headers={"Origin": "http://cockpit.example"})
    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] == "*"


def test_a_preflight_is_granted(client):
    asked = {"Origin": "http://cockpit.example", "Access-Control-Request-Method": "GET"}
    reply = client.options("/api/sync/time", headers=asked)
    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] == "*"


def test_another_method_learns_which_there_are(client):
    served = TestClient(WithHead(client.app))
    for path in ("/", "/api/sync/time", "/health", "/metrics", "/docs", "/openapi.json", "/register_service"):
        assert served.head(path).status_code == 200
        refused = served.put(path)
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


def test_the_front_page_leads_to_the_rest(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert 'href="api/sync/time"' in page.text
    assert 'href="health"' in page.text


def test_health_is_200_without_a_broker_and_says_so(client):
    reply = client.get("/health")
    assert reply.status_code == 200
    state = reply.json()
    assert (state["vehicle"], state["broker_connected"], state["last_ping_age_s"]) == ("rov1", False, None)
    assert (state["uptime_s"], state["broker_problem"]) == (12.5, "connection refused")


def test_prometheus_finds_the_same_beside_it(client):
    reply = client.get("/metrics")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "tidesync_broker_connected 0.0" in reply.text
    assert 'tidesync_clock_changes_total{kind="step",vehicle="rov1"} 2.0' in reply.text
    assert "tidesync_last_ping_age_seconds" not in reply.text
    assert 'href="metrics"' in client.get("/").text


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as holder:
        yield holder.getsockname()[1]


def settings(**given):
    return PiSettings.model_validate({"vehicle": "rov1", "http_host": "127.0.0.1", **given})


def test_a_port_that_was_asked_for_and_is_taken_is_an_error_that_names_it(taken_port):
    with pytest.raises(ListenError, match=rf"--http-port.* port {taken_port}, .*address already in use"):
        http_listener(settings(http_port=taken_port))


def test_the_default_port_taken_is_a_warning(taken_port, caplog):
    as_default = PiSettings.model_construct(
        {"vehicle"}, vehicle="rov1", http_host="127.0.0.1", http_port=taken_port
    )
    with caplog.at_level(logging.WARNING):
        assert http_listener(as_default) is None
    assert str(taken_port) in caplog.text
    assert "MQTT alone" in caplog.text


def test_without_fastapi_mqtt_does_alone_unless_a_port_was_asked_for(monkeypatch, caplog):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "fastapi" else name)
    assert http_listener(settings()) is None
    assert "fastapi not installed" in caplog.text
    with pytest.raises(ListenError, match="fastapi not installed"):
        http_listener(settings(http_port=9151))


def test_a_host_that_is_not_this_machine_is_an_error_that_names_it():
    with pytest.raises(ListenError, match=r"host 192\.0\.2\.1: cannot assign requested address"):
        http_listener(settings(http_host="192.0.2.1"))


def test_no_http_opens_nothing():
    assert http_listener(settings(no_http=True)) is None
