"""Brokers with the ways of RabbitMQ and NATS: no retained message for a wildcard, an end for some topics."""

import json
from contextlib import ExitStack

import pytest

from broker.connection import Connection
from broker.interface import Outgoing
from broker.settings import ConnectionSettings
from runtime.clock import SystemClock
from tests.command_line import tidesync
from tests.deadline import until
from tests.network.boats import Boat
from tests.network.odd_brokers import OddBroker
from tests.network.test_connection import Quiet
from tests.network.test_doctor import examined


@pytest.fixture
def odd(mosquitto):
    made = []

    def make(**ways):
        made.append(OddBroker(mosquitto.port, **ways))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def test_a_vehicle_that_was_there_first_is_found_and_the_doctor_names_the_broker(odd):
    broker = odd(retained_to_wildcards=False)
    with ExitStack() as stack:
        boat = Boat(broker.url, stack)
        boat.vehicle("rov1")
        until(lambda: boat.checker().connection.up, 15, "a second client")
        late = boat.topside()
        until(lambda: "locked" in states(late), 20, "the vehicle found")
        findings = examined("--broker", broker.url)
        shown = tidesync("status", "--broker", broker.url)
    assert "rov1" in shown.stdout
    assert "sends nothing retained to subscriptions with wildcards" in shown.stderr
    assert findings["retained messages"]["found"] == "not sent to subscriptions with wildcards"
    assert findings["retained messages"]["verdict"] == "warn"


def states(topside):
    results = [snapshot.result for snapshot in topside.counts().vehicles]
    return [result.state for result in results if result]


def test_a_session_of_any_name_is_recorded_where_a_dot_or_a_space_ends_the_connection(odd, tmp_path):
    broker = odd(ends_at=(".", " "))
    with ExitStack() as stack:
        Boat(broker.url, stack).recorder(tmp_path)
        options = ("--broker", broker.url, "--json")
        begin = ("start", "--mission", "reef 42.1", "--name", "dive 2.1", "--timeout", "60")
        started = tidesync("session", *begin, *options)
        assert json.loads(started.stdout)["state"] == "recording", started.stderr
        listed = json.loads(tidesync("session", "list", *options).stdout)
        assert [entry["session"] for entry in listed["sessions"]] == ["dive 2.1"]
        stopped = tidesync("session", "stop", "dive 2.1", *options)
        assert json.loads(stopped.stdout)["state"] == "stopped", stopped.stderr
    assert (tmp_path / "reef 42.1" / "session_dive 2.1" / "sync_metadata.json").exists()


def test_a_broker_that_ends_the_connection_at_a_command_is_blamed_and_not_the_recorder(odd):
    broker = odd(ends_at=("/command",))
    asked = tidesync(
        *("session", "start", "--mission", "m", "--name", "a.b", "--timeout", "8", "--broker", broker.url)
    )
    assert asked.returncode == 1
    assert "connection lost again and again" in asked.stderr
    assert "to tidesync/v1/session/a=2Eb/command" in asked.stderr
    assert "tidesync record" not in asked.stderr


def test_what_a_broker_ends_the_connection_at_is_named_while_it_does_and_no_longer(odd):
    broker, owner, at = odd(ends_at=["forbidden"]), Quiet(), iter(["forbidden"])
    connection = Connection(ConnectionSettings(broker=broker.url), owner, SystemClock(), name="test")
    owner.connection = connection
    owner.connected = lambda: connection.publish(Outgoing(next(at, "other"), b"1", 1))
    connection.start()
    try:
        until(lambda: "to forbidden, other?" in (connection.last_problem or ""), 10, "the topic")
        broker.ends_at.clear()
        until(lambda: connection.up and connection.last_problem is None, 20, "a connection that lasts")
    finally:
        connection.stop()


def test_the_doctor_names_a_broker_that_ends_the_connection_at_a_subscription(odd):
    broker = odd(ends_at=("/offset/",))
    finding = examined("--broker", broker.url, expected=1)["connection"]
    assert finding["verdict"] == "FAIL"
    assert "asks to subscribe to tidesync/v1/vehicle/+/status" in finding["found"]
