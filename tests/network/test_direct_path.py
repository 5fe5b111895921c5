"""Exchanges straight between topside and vehicle, agreed over MQTT: in use, lost, in use again."""

import socket
from contextlib import ExitStack

import pytest

from broker.connection import Connection
from broker.settings import ConnectionSettings
from pi_agent.agent import PiAgent
from pi_agent.settings import PiSettings
from runtime.clock import SystemClock
from runtime.errors import ListenError
from schemas.exchange import MQTT, UDP
from tests.deadline import until
from tests.network.running import running
from tests.network.secured import SecuredBroker
from tests.network.udp_proxy import UdpProxy
from topside_agent.group.agent import GroupAgent
from topside_agent.settings import TopsideSettings


class Behind:
    """The vehicle's UDP service, as it is reached through a proxy."""

    def __init__(self, service, port):
        self._service, self.port = service, port

    def __getattr__(self, name):
        return getattr(self._service, name)


def behind_a_proxy(boat, name="rov1"):
    """A vehicle whose datagrams go through a proxy: it says no other address and port."""
    agent = boat.vehicle(name, offset_ns=-150_000_000, drift_ppm=12.0)
    proxy = boat.start(UdpProxy(agent.direct.service.port))
    agent.direct.service = Behind(agent.direct.service, proxy.port)
    agent.direct._addresses = list  # the broker's, loopback, is where topside finds it
    return agent, proxy


def newest(checker):
    result = checker.last("rov1")
    return None if result is None else (result.path, result.state)


def until_path(checker, path):
    until(
        lambda: newest(checker) == (path, "locked"), what=lambda: f"locked over {path}, was {newest(checker)}"
    )


def test_it_is_used_lost_and_used_again_and_no_result_is_wrong(boat):
    agent, proxy = behind_a_proxy(boat)
    checker = boat.checker()
    boat.topside(udp=True)
    until_path(checker, "udp")
    assert checker.last("rov1").method == UDP.name
    proxy.closed = True
    until_path(checker, "mqtt")
    assert checker.last("rov1").method == MQTT.name
    proxy.closed = False
    until_path(checker, "udp")
    proxy.rebind()
    answered = agent.health().datagrams_answered
    until(lambda: agent.health().datagrams_answered > answered + 10, what="answers from another port")
    assert newest(checker)[0] == "udp"
    assert checker.wrong == []


def test_it_goes_on_while_the_broker_is_away(mosquitto, mosquitto_boat):
    checker = mosquitto_boat.checker()
    agent = mosquitto_boat.vehicle("rov1", offset_ns=-150_000_000)
    topside = mosquitto_boat.topside(udp=True)
    until_path(checker, "udp")
    mosquitto.stop()
    until(lambda: not topside.counts().agent.broker_connected, what="the end of the connection")
    before = topside.counts().vehicles[0].paths["udp"]
    until(lambda: topside.counts().vehicles[0].paths["udp"] > before + 4, what="direct exchanges")
    assert agent.health().datagrams_dropped == {}
    mosquitto.start()
    heard = len(checker.heard)
    until(lambda: len(checker.heard) > heard + 2, what="results over the broker")
    assert newest(checker) == ("udp", "locked")
    assert checker.wrong == []


def test_without_it_on_either_side_nothing_is_agreed(mosquitto_boat):
    checker = mosquitto_boat.checker()
    agent = mosquitto_boat.vehicle("rov1", offset_ns=-150_000_000)
    mosquitto_boat.topside(udp=True, no_udp=True)
    until_path(checker, "mqtt")
    assert agent.health().datagrams_answered == 0


class Listener:
    """Subscribes to every answer with a key, and keeps what comes."""

    def __init__(self, settings):
        self.heard = []
        self.connection = Connection(settings, self, SystemClock(), name="listener")

    def connected(self):
        self.connection.subscribe([("tidesync/v1/vehicle/+/udp_answer/#", 1)])

    def disconnected(self, reason):
        pass

    def received(self, message):
        self.heard.append(message)

    def tick(self, now):  # noqa: ARG002
        return 0.5


def test_with_accounts_it_is_agreed_and_nobody_else_reads_the_key(tmp_path):
    broker = SecuredBroker(tmp_path)
    for role, name in (
        ("vehicle", "rov1"),
        ("topside", "laptop"),
        ("dashboard", "view"),
        ("recorder", "rec"),
    ):
        broker.add(role, name)
    with running(broker), ExitStack() as stack:
        others = [Listener(ConnectionSettings(**broker.account(name))) for name in ("view", "rec")]
        for each in others:
            each.connection.start()
            stack.callback(each.connection.stop)
            assert each.connection.wait_until_up(60)
        vehicle = PiAgent(PiSettings(vehicle="rov1", no_http=True, **broker.account("rov1")), SystemClock())
        topside = GroupAgent(
            TopsideSettings(topside="laptop", udp=True, **broker.account("laptop")), SystemClock()
        )
        for agent in (vehicle, topside):
            agent.start()
            stack.callback(agent.stop)
        until(lambda: topside.direct.alive, what="a direct path")
        assert vehicle.direct.key_public is False
        assert [message for each in others for message in each.heard] == []


def test_a_port_that_was_set_and_is_taken_is_an_error_that_names_it():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("", 0))
        port = taken.getsockname()[1]
        agent = PiAgent(PiSettings(vehicle="rov1", no_http=True, udp_port=port), SystemClock())
        with pytest.raises(ListenError, match=f"--udp-port.*{port}"):
            agent.start()
