"""Cockpit's WebSocket on a real broker with live vehicles, and the mirror for BlueOS's telemetry."""

import json
import time
from contextlib import ExitStack

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from broker.connection import Connection
from broker.settings import ConnectionSettings
from runtime.clock import SystemClock
from tests.deadline import BUSY, until, within
from tidesync.dashboard.agent import DashboardAgent
from tidesync.dashboard.cockpit import MOST_SOCKETS
from tidesync.dashboard.settings import DashboardSettings

TOKEN = "a token long enough"


class Cockpit:
    """Keeps the last value of every variable, as the data lake does, and when each line came."""

    def __init__(self, url, path="cockpit", origin="file://"):
        self.socket = connect(
            url.replace("http", "ws") + path, origin=origin, open_timeout=60, proxy=None, compression=None
        )
        self.data = {}
        self.lines = []

    def read(self, timeout_s=0.05):
        """Take what has come; whether anything has."""
        try:
            while True:
                line = self.socket.recv(timeout_s)
                name, _, value = line.partition("=")
                self.lines.append((time.monotonic(), name))
                self.data[name.removeprefix("tidesync-")] = value
        except TimeoutError:
            return self.data

    def until(self, condition, timeout_s, what):
        return until(lambda: condition(self.read()), timeout_s, what)

    def until_state(self, vehicle, state, *, within_s=None):
        def found():
            return self.read().get(f"{vehicle}-state") == state

        what = f"{vehicle} {state}"
        return until(found, what=what) if within_s is None else within(found, within_s, what)


@pytest.fixture
def serve():
    with ExitStack() as stack:

        def begin(url, **settings):
            agent = DashboardAgent(DashboardSettings(broker=url, port=0, **settings), SystemClock())
            agent.start()
            stack.callback(agent.stop)
            return agent

        yield begin


@pytest.fixture
def open_cockpit():
    with ExitStack() as stack:

        def begin(*arguments, **options):
            cockpit = Cockpit(*arguments, **options)
            stack.callback(cockpit.socket.close)
            return cockpit

        yield begin


def test_cockpit_sees_live_vehicles_and_the_broker_go_and_come_back(
    mosquitto, mosquitto_boat, serve, open_cockpit
):
    mosquitto_boat.topside()
    mosquitto_boat.vehicle("rov1", offset_ns=-3_000_000_000)
    mosquitto_boat.vehicle("rov2", offset_ns=70_000_000)
    cockpit = open_cockpit(serve(mosquitto.url).url)
    cockpit.until_state("rov1", "locked")
    cockpit.until_state("rov2", "locked")
    for name, offset_ms in (("rov1", -3000), ("rov2", 70)):
        offset, max_error = (float(cockpit.data[f"{name}-{key}"]) for key in ("offset-ms", "max-error-ms"))
        assert offset == pytest.approx(offset_ms, abs=max_error + 0.0002)  # both are rounded
    cockpit.until(lambda data: float(data["rov1-age-s"]) < 3, 10, "the age of a result that has just come")

    mosquitto.kill()
    within(lambda: cockpit.read()["broker-connected"] == "false", 3, "the broker away")
    for vehicle in ("rov1", "rov2"):
        cockpit.until_state(vehicle, "unknown", within_s=3)
    unknown = len(cockpit.lines)
    cockpit.until(lambda data: float(data["rov1-age-s"]) > 3, 10, "the age going on")
    assert len(cockpit.lines) > unknown
    assert not any(name.endswith("-ms") for _, name in cockpit.lines[unknown:])

    mosquitto.start()
    cockpit.until_state("rov1", "locked")
    assert cockpit.data["broker-connected"] == "true"


def test_a_topside_that_falls_silent_is_reported_within_four_seconds(mosquitto_boat, serve, open_cockpit):
    topside = mosquitto_boat.topside()
    mosquitto_boat.vehicle("rov1")
    cockpit = open_cockpit(serve(mosquitto_boat.url).url)
    cockpit.until_state("rov1", "locked")
    topside.stop()
    cockpit.until_state("rov1", "unknown", within_s=4)
    assert cockpit.data["broker-connected"] == "true"


def test_each_value_comes_about_once_a_second(mosquitto_boat, serve, open_cockpit):
    mosquitto_boat.topside()
    mosquitto_boat.vehicle("rov1")
    cockpit = open_cockpit(serve(mosquitto_boat.url).url)
    cockpit.until_state("rov1", "locked")

    def beats():
        return [at for at, name in cockpit.lines if name == "tidesync-heartbeat-unix-s"]

    before, began_unix_s = len(beats()), float(cockpit.data["heartbeat-unix-s"])
    cockpit.until(lambda _: len(beats()) >= before + 7, 10, "seven beats")
    began, *_, ended = beats()[before : before + 7]
    assert ended - began < 8 * BUSY
    assert float(cockpit.data["heartbeat-unix-s"]) - began_unix_s > 3


def test_a_dashboard_that_ends_says_so_first(mosquitto_boat, serve, open_cockpit):
    mosquitto_boat.topside()
    mosquitto_boat.vehicle("rov1")
    agent = serve(mosquitto_boat.url)
    cockpit = open_cockpit(agent.url)
    cockpit.until_state("rov1", "locked")
    agent.stop()
    with pytest.raises(ConnectionClosed):
        cockpit.until(lambda _: False, 15, "the end")
    assert (cockpit.data["rov1-state"], cockpit.data["broker-connected"]) == ("unknown", "false")


def test_who_says_anything_is_let_go_and_nothing_comes_of_it(mosquitto, serve, open_cockpit):
    cockpit = open_cockpit(serve(mosquitto.url).url)
    cockpit.socket.send("tidesync-rov1-offset-ms=0")
    with pytest.raises(ConnectionClosed) as caught:
        cockpit.until(lambda _: False, 15, "the end")
    assert caught.value.rcvd.code == 1008


def test_more_clients_than_it_serves_are_asked_to_come_later_and_room_is_made_again(
    mosquitto, serve, open_cockpit
):
    agent = serve(mosquitto.url)
    there = [open_cockpit(agent.url) for _ in range(MOST_SOCKETS)]
    until(lambda: all(cockpit.read() for cockpit in there), 10, "all have heard")
    with pytest.raises(ConnectionClosed) as caught:
        open_cockpit(agent.url).until(lambda _: False, 15, "the end")
    assert caught.value.rcvd.code == 1013
    there[0].socket.close()
    until(lambda: agent._app.state.served.sockets < MOST_SOCKETS, 15, "room")
    open_cockpit(agent.url).until(lambda data: data, 15, "a line")


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_a_page_of_the_internet_does_not_get_in(mosquitto, serve, open_cockpit, origin):
    with pytest.raises(InvalidStatus) as caught:
        open_cockpit(serve(mosquitto.url).url, origin=origin)
    assert caught.value.response.status_code == 403


def test_with_a_token_the_address_must_carry_the_one_for_reading(mosquitto, serve, open_cockpit, caplog):
    caplog.set_level("INFO", logger="uvicorn")  # which other tests may have silenced
    caplog.set_level(
        "INFO"
    )  # at DEBUG websockets logs everything; `tidesync -v` keeps uvicorn's logger above that
    url = serve(mosquitto.url, token=TOKEN).url
    for path in ("cockpit", f"cockpit?token={TOKEN}"):
        with pytest.raises(InvalidStatus):
            open_cockpit(url, path)
    headers = {"authorization": f"Bearer {TOKEN}"}
    path = httpx.get(f"{url}api/cockpit", headers=headers, trust_env=False).json()["websocket"]
    open_cockpit(url, path, origin="https://cockpit.example").until(lambda data: data, 15, "a line")
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")]
    assert logged
    assert not any(secret in line for secret in (TOKEN, path.partition("=")[2]) for line in logged)


class Telegraf:
    """Reads what extensions publish."""

    def __init__(self, url):
        self.heard = []
        self.retained = []
        self.connection = Connection(ConnectionSettings(broker=url), self, SystemClock(), name="telegraf")

    def connected(self):
        self.connection.subscribe([("blueos/ext/+/json", 0)])

    def disconnected(self, reason):
        pass

    def received(self, message):
        self.heard.append((time.monotonic(), message.topic, json.loads(message.payload)))
        self.retained.append(message.retain)

    def tick(self, now):  # noqa: ARG002 - the connection's signature
        return 1.0


def made_unix_ms(values):
    """When the older of the two results in a message was made, or sooner."""
    return min(values[f"rov{n}_measured_unix_ms"] + 1e3 * values[f"rov{n}_age_s"] for n in (1, 2))


def test_the_mirror_tells_of_every_vehicle_at_most_once_a_second_and_keeps_nothing(mosquitto_boat):
    telegraf = Telegraf(mosquitto_boat.url)
    mosquitto_boat.start(telegraf.connection)
    mosquitto_boat.topside(blueos_mirror=True, topside="laptop")
    for name in ("rov1", "rov2"):
        mosquitto_boat.vehicle(name, offset_ns=-3_000_000_000)

    def both_locked():
        return telegraf.heard and all(telegraf.heard[-1][2].get(f"rov{n}_locked") for n in (1, 2))

    until(both_locked, 15, "both locked")
    before = len(telegraf.heard)
    until(lambda: len(telegraf.heard) >= before + 6, 10, "six messages")
    later = telegraf.heard[before : before + 6]
    assert {topic for _, topic, _ in later} == {"blueos/ext/tidesync-laptop/json"}
    assert later[-1][0] - later[0][0] < 6 * BUSY
    first_ms, last_ms = (made_unix_ms(values) for _, _, values in (later[0], later[-1]))
    assert last_ms - first_ms > 2500
    last = later[-1][2]
    assert last["rov2_offset_ms"] == pytest.approx(-3000, abs=last["rov2_max_error_ms"])
    late = Telegraf(mosquitto_boat.url)
    mosquitto_boat.start(late.connection)
    until(lambda: late.retained, 10, "the next message")
    assert not late.retained[0]
