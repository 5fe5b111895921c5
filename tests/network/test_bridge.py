"""The vessel's bridge to shore: results, states and events arrive; pings and commands do not travel."""

import re
import secrets
from contextlib import ExitStack
from pathlib import Path

import pytest

from broker.connection import Connection
from broker.interface import Outgoing
from broker.settings import ConnectionSettings
from runtime.clock import SystemClock
from schemas.messages import BurstCommand, OffsetResult, StartCommand
from tests.deadline import until
from tests.network.boats import Boat
from tests.network.brokers import MOSQUITTO, RunningBroker

BRIDGE = Path(__file__).parents[2] / "deploy" / "bridge" / "mosquitto-bridge.conf"


class Listener:
    """Hears everything on one broker, by topic."""

    def __init__(self, url):
        self.heard = {}
        self.connection = Connection(ConnectionSettings(broker=url), self, SystemClock(), name="listener")
        self.connection.start()

    def connected(self):
        self.connection.subscribe([("#", 1)])

    def disconnected(self, reason): ...

    def received(self, message):
        self.heard.setdefault(message.topic, []).append(message)

    def tick(self, _now):
        return 0.2

    def publish(self, topic, payload):
        self.connection.post(lambda: self.connection.publish(Outgoing(topic, payload)))

    def kinds(self):
        """What stands where the kind stands in `tidesync/v1/vehicle/NAME/KIND`, with the first level."""
        levels = [topic.split("/") for topic in list(self.heard) if topic.startswith("tidesync/v1/")]
        return {f"{names[2]} {names[4]}" for names in levels}


def bridge_to(shore):
    """The configuration that we ship, with the lines marked HERE set for a shore broker on loopback."""
    text = BRIDGE.read_text()
    text = re.sub(r"^address .*$", f"address 127.0.0.1:{shore.port}", text, flags=re.MULTILINE)
    return re.sub(r"^(remote_username|remote_password|bridge_cafile) .*$", "", text, flags=re.MULTILINE)


@pytest.fixture
def folders(tmp_path):
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    made = {name: tmp_path / name for name in ("shore", "vessel")}
    for folder in made.values():
        folder.mkdir()
    return made


@pytest.fixture
def shore(folders):
    running = RunningBroker("mosquitto", folders["shore"])
    running.start()
    yield running
    running.stop()


@pytest.fixture
def with_shore_topside(request):
    """Whether a topside on shore may ping."""
    return getattr(request, "param", False)


@pytest.fixture
def vessel(folders, shore, with_shore_topside):
    text = bridge_to(shore)
    if with_shore_topside:
        text = re.sub(r"^#(topic .*/p[io]ng/shore )", r"\1", text, flags=re.MULTILINE)
    running = RunningBroker("mosquitto", folders["vessel"], "allow_anonymous true\n" + text)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def listeners(shore, vessel):
    both = Listener(shore.url), Listener(vessel.url)
    for listener in both:
        assert listener.connection.wait_until_subscribed(60)
    yield both
    for listener in both:
        listener.connection.stop()


@pytest.fixture
def sailing(vessel, tmp_path):
    with ExitStack() as stack:
        boat = Boat(vessel.url, stack)
        boat.recorder(tmp_path / "root")
        boat.vehicle("rov1", offset_ns=5_000_000_000)
        boat.topside()
        yield boat


def offsets(listener):
    messages = listener.heard.get("tidesync/v1/vehicle/rov1/offset/topside", [])
    return [OffsetResult.decode(message.payload) for message in messages]


def start():
    return StartCommand(request_id=secrets.token_hex(4), mission="m", sensors={"inWater": "rov1"}).encode()


@pytest.mark.usefixtures("sailing")
def test_results_and_states_arrive_on_shore_and_pings_do_not(listeners):
    shore, vessel = listeners
    vessel.publish("tidesync/v1/session/s1/command", start())
    wanted = {"vehicle offset", "vehicle status", "vehicle info", "topside status", "session state"}
    until(lambda: wanted <= shore.kinds(), 20, "results, states and infos on shore")
    until(lambda: {"vehicle ping", "vehicle pong", "session command"} <= vessel.kinds(), 10, "pings on board")
    until(lambda: any(result.state == "locked" for result in offsets(shore)), 10, "locked, seen from shore")
    last = offsets(shore)[-1]
    assert abs(last.offset_ms - 5000) <= last.max_error_ms + 1
    assert shore.kinds() <= {*wanted, "vehicle event"}
    until(lambda: shore.heard.get("tidesync-bridge/state"), 5, "the bridge's own state")


@pytest.mark.usefixtures("sailing")
def test_nothing_that_is_said_on_shore_comes_on_board(listeners):
    shore, vessel = listeners
    until(lambda: offsets(shore), 20, "a result on shore")
    burst = BurstCommand(request_id="burst", vehicle="rov1").encode()
    shore.publish("tidesync/v1/topside/topside/command", burst)
    shore.publish("tidesync/v1/session/s2/command", start())
    shore.publish("tidesync/v1/vehicle/rov1/ping/topside", b"{}")
    shore.publish("tidesync/v1/vehicle/rov1/offset/forged", b"{}")
    shore.publish("tidesync/v1/vehicle/rov1/status", b"offline")
    until(lambda: "tidesync/v1/vehicle/rov1/offset/forged" in shore.heard, 10, "they are said on shore")
    count = len(offsets(shore))
    until(lambda: len(offsets(shore)) >= count + 3, 20, "three more results")  # time enough to come back
    assert not {"session command", "topside command"} & vessel.kinds()
    assert "tidesync/v1/vehicle/rov1/offset/forged" not in vessel.heard
    assert {m.payload for m in vessel.heard["tidesync/v1/vehicle/rov1/status"]} == {b"online"}


@pytest.mark.usefixtures("sailing")
def test_a_shore_that_was_away_gets_the_results_when_it_is_back(shore, listeners):
    heard = listeners[0]
    until(lambda: offsets(heard), 20, "a result on shore")
    shore.kill()
    until(lambda: not heard.connection.up, 20, "no shore")
    before = len(offsets(listeners[1]))
    until(lambda: len(offsets(listeners[1])) > before, 20, "a result on board meanwhile")
    count = len(offsets(heard))
    shore.start()
    until(lambda: len(offsets(heard)) > count, 45, "results on shore again")


@pytest.mark.parametrize("with_shore_topside", [True], indirect=True)
@pytest.mark.usefixtures("sailing")
def test_a_topside_on_shore_measures_over_the_bridge(shore, listeners):
    heard = listeners[0]
    with ExitStack() as stack:
        Boat(shore.url, stack).topside(topside="shore")
        name = "tidesync/v1/vehicle/rov1/offset/shore"

        def measured():
            return [OffsetResult.decode(each.payload) for each in heard.heard.get(name, [])]

        until(lambda: any(each.state == "locked" for each in measured()), 30, "locked from shore")
        last = measured()[-1]
        assert abs(last.offset_ms - 5000) <= last.max_error_ms + 1
        assert {"tidesync/v1/vehicle/rov1/ping/shore"} == {
            topic for topic in listeners[1].heard if topic.endswith("/ping/shore")
        }
