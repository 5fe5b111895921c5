"""Several brokers to choose from: of other schemes and accounts, dead, silent, killed one after the other."""

import json
from contextlib import ExitStack

import pytest

from broker.client import make as make_client_module
from broker.client.plain import PlainClient
from broker.connection import Connection
from broker.settings import ConnectionSettings
from runtime.clock import SystemClock
from tests.command_line import tidesync
from tests.deadline import until
from tests.network.boats import Boat
from tests.network.running import mosquitto_in, running
from tests.network.test_connection import Quiet, StallingServer
from tests.network.test_doctor import examined
from tests.ports import free_port

NOBODY = "mqtt://127.0.0.1:1"


@pytest.fixture
def connect():
    made = []

    def make(urls, **settings):
        owner = Quiet("t/#")
        connection = Connection(
            ConnectionSettings(broker=",".join(urls), **settings), owner, SystemClock(), name="test"
        )
        owner.connection = connection
        made.append(connection)
        connection.start()
        return connection

    yield make
    for connection in made:
        connection.stop()


@pytest.fixture
def two(tmp_path):
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    with running(mosquitto_in(folders[0])) as first, running(mosquitto_in(folders[1])) as second:
        yield first, second


@pytest.mark.parametrize("kind", ["stamping", "plain"])
def test_a_connection_goes_from_one_scheme_to_another_and_back(kind, tmp_path, connect, monkeypatch):
    if kind == "plain":
        monkeypatch.setattr(make_client_module, "client_class", lambda: PlainClient)
    port = free_port("127.0.0.1")
    access = f"allow_anonymous true\nlistener {port} 127.0.0.1\nprotocol websockets\n"
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    with running(mosquitto_in(folders[0])) as plain, running(mosquitto_in(folders[1], access)) as web:
        urls = {plain: plain.url, web: f"ws://127.0.0.1:{port}/mqtt"}
        connection = connect([NOBODY, urls[plain], "mqtts://127.0.0.1:1", urls[web]])
        for gone, used in ((plain, web), (web, plain), (plain, web)):
            gone.kill()
            until(lambda used=used: str(connection.address) == urls[used] and connection.up, 60, urls[used])
            assert connection.wait_until_subscribed(60)
            gone.start()


def test_a_broker_that_accepts_and_says_nothing_holds_the_next_one_up_for_seconds_only(mosquitto, connect):
    silent = StallingServer()
    try:
        connection = connect([f"mqtt://127.0.0.1:{silent.port}", mosquitto.url])
        assert connection.wait_until_up(60)
        assert str(connection.address) == mosquitto.url
    finally:
        silent.stop()


def test_commands_agents_and_the_doctor_use_the_broker_that_is_there_and_say_which(mosquitto):
    urls = f"{NOBODY},{mosquitto.url}"
    with ExitStack() as stack:
        boat = Boat(urls, stack)
        pi, topside = boat.vehicle("rov1"), boat.topside()
        until(lambda: [each.result for each in topside.counts().vehicles if each.result], 60, "a result")
        assert pi.health().broker == topside.counts().agent.broker == mosquitto.url
        shown = tidesync("status", "--broker", urls)
        assert f"Broker: {mosquitto.url}" in shown.stdout, shown.stderr
        assert json.loads(tidesync("status", "--json", "--broker", urls).stdout)["broker"] == mosquitto.url
        finding = examined("--broker", urls)
    assert finding["broker"]["found"].startswith(mosquitto.url)
    assert (finding["another broker"]["verdict"], NOBODY in finding["another broker"]["found"]) == (
        "warn",
        True,
    )


def test_what_is_measured_goes_on_at_the_other_broker_when_one_is_killed(two):
    with ExitStack() as stack:
        boat = Boat(",".join(each.url for each in two), stack)
        for broker in two:  # agents and topside meet at whichever is there
            broker.kill()
        two[1].start()
        pi, topside = boat.vehicle("rov1"), boat.topside()

        def locked_at(broker):
            states = [each.result and each.result.state for each in topside.counts().vehicles]
            here = {pi.health().broker, topside.counts().agent.broker} == {broker.url}
            return here and states == ["locked"] and pi.health().broker_connected

        until(lambda: locked_at(two[1]), 60, "rov1 locked")
        two[1].kill()
        two[0].start()
        until(lambda: locked_at(two[0]), 60, "rov1 locked at the other")
