"""The dashboard's interface for programs on a real broker: sessions recorded, bursts made, failures named."""

import json
import socket
import time
from contextlib import ExitStack
from datetime import datetime

import httpx
import pytest

from runtime.clock import SystemClock
from runtime.errors import ListenError
from schemas.compat import UTC
from tests.deadline import BUSY, until
from tests.network.recording import assert_offset, until_written
from tests.ports import free_port
from tidesync.dashboard import commands
from tidesync.dashboard.agent import DashboardAgent
from tidesync.dashboard.settings import DashboardSettings
from tidesync.dashboard.stream import MOST_CLIENTS
from tidesync.sessions.names import session_names_at

PATIENT = {"timeout_s": 60}
"""A busy recorder may not answer in the usual time."""


@pytest.fixture
def serve():
    """Starts a dashboard on a broker; gives the agent and a client of its interface."""
    with ExitStack() as stack:

        def begin(url, **settings):
            agent = DashboardAgent(DashboardSettings(broker=url, port=0, **settings), SystemClock())
            agent.start()
            stack.callback(agent.stop)
            client = stack.enter_context(httpx.Client(base_url=agent.url, timeout=60, trust_env=False))
            return agent, client

        yield begin


@pytest.fixture
def connected(serve, mosquitto_boat):
    agent, client = serve(mosquitto_boat.url)
    until(lambda: agent.subscriber.up, 10, "the broker")
    return client


def row(client, vehicle):
    rows = client.get("api/vehicles").json()["vehicles"]
    return next((row for row in rows if row["vehicle"] == vehicle), None)


def locked(client, vehicle):
    found = row(client, vehicle)
    return found and found["state"] == "locked" and found


def test_a_program_starts_and_stops_a_session_and_finds_it_on_disk(boat, serve, tmp_path):
    _, client = serve(boat.url)
    boat.recorder(tmp_path)
    boat.topside()
    boat.vehicle("rov1", offset_ns=-3_000_000_000)
    until(lambda: locked(client, "rov1"), 15, "rov1 locked")
    begun = client.post("api/sessions", json=PATIENT | {"mission": "reef-42", "sensors": {"inWater": "rov1"}})
    assert begun.status_code == 201, begun.text
    session = begun.json()
    assert session["state"] == "recording"
    assert begun.headers["location"] == f"sessions/{session['session']}"
    until(lambda: row(client, "rov1")["recording"] == [session["session"]], 5, "the row says so")
    until(lambda: client.get(f"api/sessions/{session['session']}").json()["exchanges"] > 4, 10, "exchanges")
    ended = client.post(f"api/sessions/{session['session']}/stop", json={})
    assert (ended.status_code, ended.json()["state"]) == (200, "stopped"), ended.text
    until_written(tmp_path / session["path"])
    metadata = json.loads((tmp_path / session["path"] / "sync_metadata.json").read_text())
    assert_offset(metadata["timeSync"]["inWater"], -3000)
    until(lambda: row(client, "rov1")["recording"] == [], 5, "the row says so")


@pytest.mark.parametrize(
    ("mission", "session"), [("Récif", "日本 1"), ("São Tomé & Co", "a%b+c#1"), ("Reef 42", "Récif à 3 m")]
)
def test_names_as_people_type_them_are_the_folders_and_lead_to_the_session(
    connected, mosquitto_boat, tmp_path, mission, session
):
    mosquitto_boat.recorder(tmp_path)
    wanted = PATIENT | {"mission": mission, "session": session}
    begun = connected.post("api/sessions", json=wanted)
    assert begun.status_code == 201, begun.text
    assert begun.json()["session"] == session
    found = connected.get(f"api/{begun.headers['location']}")
    assert (found.status_code, found.json()["mission"]) == (200, mission)
    ended = connected.post(f"api/{begun.headers['location']}/stop", json=PATIENT)
    assert (ended.status_code, ended.json()["state"]) == (200, "stopped"), ended.text
    assert connected.get(f"api/{begun.headers['location']}").json()["state"] == "stopped"
    assert (tmp_path / mission / f"session_{session}" / "sync_metadata.json").is_file()


def test_a_request_that_is_repeated_is_done_once(connected, mosquitto_boat, tmp_path):
    mosquitto_boat.recorder(tmp_path)
    asked = PATIENT | {"mission": "m", "session": "dive-1", "request_id": "mine"}
    answers = [connected.post("api/sessions", json=asked) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert {answer.json()["path"] for answer in answers} == {"m/session_dive-1"}
    other = connected.post("api/sessions", json=asked | {"mission": "other", "request_id": "another"})
    assert (other.status_code, other.json()["error"]) == (409, "refused")
    assert "'m'" in other.json()["detail"]


def test_what_the_recorder_refuses_is_409_with_its_reason(connected, mosquitto_boat, tmp_path):
    mosquitto_boat.recorder(tmp_path)
    answer = connected.post("api/sessions", json=PATIENT | {"mission": "m", "sensors": {"markers": "rov1"}})
    assert (answer.status_code, answer.json()["error"]) == (409, "refused")
    assert "markers" in answer.json()["detail"]


def test_no_recorder_is_504_in_the_time_asked_for(connected):
    began = time.monotonic()
    answer = connected.post("api/sessions", json={"mission": "m", "timeout_s": 0.5})
    assert time.monotonic() - began < 5 * BUSY
    assert (answer.status_code, answer.json()["error"]) == (504, "no_answer")
    assert "tidesync record" in answer.json()["detail"]


def test_a_broker_that_is_away_is_503_and_named(serve):
    url = f"mqtt://127.0.0.1:{free_port('127.0.0.1')}"
    agent, client = serve(url)
    until(lambda: "refused" in (agent.subscriber.broker_view().problem or ""), 10, "the problem")
    answer = client.post("api/sessions", json={"mission": "m"})
    assert (answer.status_code, answer.json()["error"]) == (503, "broker_unreachable")
    assert url in answer.json()["detail"]
    assert client.get("health").json()["broker_connected"] is False


def test_a_broker_that_dies_meanwhile_is_503(connected, mosquitto):
    mosquitto.kill()
    until(lambda: client_lost(connected), 10, "the loss")
    answer = connected.post("api/sessions", json={"mission": "m", "timeout_s": 0.5})
    assert answer.status_code == 503


def client_lost(client):
    return not client.get("health").json()["broker_connected"]


def test_measure_now_makes_a_burst_of_exchanges(connected, mosquitto_boat):
    mosquitto_boat.topside(rate=0.5, burst=20)
    mosquitto_boat.vehicle("rov1")
    until(lambda: locked(connected, "rov1"), 15, "rov1 locked")
    before = row(connected, "rov1")["exchanges"]
    answer = connected.post("api/vehicles/rov1/measure", json={})
    assert (answer.status_code, answer.json()) == (202, {"vehicle": "rov1", "topsides": ["topside"]})
    until(lambda: row(connected, "rov1")["exchanges"] >= before + 18, 10, "twenty more exchanges")


def test_a_vehicle_that_nobody_measures_cannot_be_measured_now(connected, mosquitto_boat):
    unknown = connected.post("api/vehicles/rov9/measure", json={})
    assert (unknown.status_code, unknown.json()["error"]) == (404, "not_found")
    mosquitto_boat.vehicle("rov1")
    until(lambda: row(connected, "rov1"), 10, "rov1")
    alone = connected.post("api/vehicles/rov1/measure", json={})
    assert (alone.status_code, alone.json()["error"]) == (409, "refused")


def test_a_taken_port_is_said_before_anything_else(mosquitto):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        agent = DashboardAgent(DashboardSettings(broker=mosquitto.url, port=port), SystemClock())
        with pytest.raises(ListenError, match=str(port)):
            agent.start()


# Streams


def stream(agent, chunk=None):
    """A page's stream as a bare socket; with `chunk` its receive buffer is that small."""
    port = int(agent.url.rstrip("/").rpartition(":")[2])
    client = socket.socket()
    if chunk:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, chunk)
    client.connect(("127.0.0.1", port))
    client.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    client.settimeout(60)
    return client


def test_a_heartbeat_comes_every_second_to_a_page(serve, mosquitto):
    agent, _ = serve(mosquitto.url)
    with stream(agent) as client:
        data = b""
        began = time.monotonic()
        while data.count(b"data: ") < 4:
            data += client.recv(65536)
        assert time.monotonic() - began < 8 * BUSY
    assert b"x-accel-buffering: no" in data.lower()


def test_more_pages_than_can_be_served_are_refused_and_room_is_made_again(serve, mosquitto):
    agent, client = serve(mosquitto.url)
    pages = [stream(agent) for _ in range(MOST_CLIENTS)]
    for page in pages:
        page.recv(100)
    refused = client.get("api/events")
    assert (refused.status_code, refused.json()["error"]) == (503, "too_many")
    for page in pages:
        page.close()

    def admitted():
        with client.stream("GET", "api/events") as answer:
            return answer.status_code == 200

    until(admitted, 10, "room")


def test_stopping_does_not_wait_for_open_pages(serve, mosquitto):
    agent, _ = serve(mosquitto.url)
    with stream(agent) as page:
        page.recv(100)
        began = time.monotonic()
        agent.stop()
        assert time.monotonic() - began < 3 * BUSY
        assert agent.wait_until_finished(60)


def test_prometheus_learns_whether_the_dashboard_has_its_broker(connected):
    text = connected.get("metrics").text
    assert 'tidesync_build_info{role="dashboard",' in text
    assert "tidesync_broker_connected 1.0" in text


def test_a_session_that_nobody_named_gets_another_name_when_its_own_is_taken(
    connected, mosquitto_boat, tmp_path, monkeypatch
):
    mosquitto_boat.recorder(tmp_path)
    then = datetime(2026, 5, 1, 12, tzinfo=UTC)
    monkeypatch.setattr(commands, "session_names_at", lambda _: session_names_at(then))
    answers = [
        connected.post("api/sessions", json=PATIENT | {"mission": mission})
        for mission in ("one", "two", "three")
    ]
    names = ["2026-05-01T12-00-00Z", "2026-05-01T12-00-00Z-2", "2026-05-01T12-00-00Z-3"]
    assert [answer.json()["session"] for answer in answers] == names
    named = connected.post("api/sessions", json=PATIENT | {"mission": "two", "session": names[0]})
    assert (named.status_code, named.json()["error"]) == (409, "refused")


def test_a_vehicle_that_nobody_has_heard_of_is_warned_of_and_recorded(connected, mosquitto_boat, tmp_path):
    mosquitto_boat.recorder(tmp_path)
    mosquitto_boat.vehicle("rov1")
    until(lambda: row(connected, "rov1"), 10, "rov1")
    asked = PATIENT | {"mission": "m", "sensors": {"inWater": "rov1", "surface": "rov9"}}
    answer = connected.post("api/sessions", json=asked)
    assert answer.status_code == 201
    assert answer.json()["warnings"] == [
        "surface=rov9: no vehicle rov9 is known at the broker yet (known: rov1)"
    ]
