"""Exchanges straight between topside and vehicle, agreed over MQTT: in use, lost, in use again."""

import json
import socket
import time
from contextlib import ExitStack
from itertools import pairwise

import pytest

from broker.settings import ConnectionSettings
from pi_agent.agent import PiAgent
from pi_agent.settings import PiSettings
from runtime.clock import SystemClock
from runtime.errors import ListenError
from schemas.exchange import MQTT, UDP
from schemas.messages import ExchangeBatch
from tests.command_line import tidesync
from tests.deadline import BUSY, until
from tests.network.direct_boats import Listener, behind_a_proxy, move_behind, path_shown, until_path
from tests.network.running import running
from tests.network.secured import SecuredBroker
from topside_agent.group.agent import GroupAgent
from topside_agent.settings import TopsideSettings


def test_it_is_used_lost_and_used_again_and_no_result_is_wrong(boat):
    agent, proxy = behind_a_proxy(boat)
    checker, exchanges = boat.checker(), listen(boat, "exchange")
    topside = boat.topside()
    until_path(checker, "udp")
    direct = until(lambda: of(exchanges, UDP), what="published direct exchanges")
    assert (direct[0].origin_ns - of(exchanges)[0].destination_ns) / 1e9 < 5 * BUSY
    until(lambda: checker.last("rov1").method == UDP.name, what="a result of a direct exchange")
    until(lambda: path_shown(topside) == ["udp"], what="the path in the metrics")
    proxy.closed = True
    until_path(checker, "mqtt")
    until(lambda: checker.last("rov1").method == MQTT.name, what="a result of an exchange over MQTT")
    until(lambda: path_shown(topside) == ["mqtt"], what="the path in the metrics")
    assert longest_pause_s(exchanges) < 2 * BUSY
    opened_ns = time.time_ns()
    proxy.closed = False
    until_path(checker, "udp")
    later = until(lambda: [one for one in of(exchanges, UDP) if one.origin_ns > opened_ns], what="exchanges")
    assert (later[0].origin_ns - opened_ns) / 1e9 < 2 * BUSY
    proxy.rebind()
    answered = agent.health().datagrams_answered
    until(lambda: agent.health().datagrams_answered > answered + 10, what="answers from another port")
    until_path(checker, "udp")  # a machine that is busy for a second loses it for a while
    until(lambda: shown_by_status(boat) == "udp", what="status showing it")
    assert checker.wrong == []


def listen(boat, kind):
    listener = Listener(ConnectionSettings(broker=boat.url), kind)
    boat.start(listener.connection)
    assert listener.connection.wait_until_subscribed(60)
    return listener


def of(listener, *methods):
    """The published exchanges of these methods, or all, in order."""
    wanted = {method.name for method in methods}
    batches = [ExchangeBatch.decode(message.payload) for message in listener.heard]
    found = [each for batch in batches for each in batch.exchanges if not wanted or each.method in wanted]
    return sorted(found, key=lambda each: each.destination_ns)


def longest_pause_s(listener):
    """Between exchanges that came one after the other."""
    return max(after.destination_ns - before.destination_ns for before, after in pairwise(of(listener))) / 1e9


def shown_by_status(boat):
    done = tidesync("status", "--json", "--broker", boat.url)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["vehicles"][0]["path"]


@pytest.mark.parametrize("loss", [0.01, 0.1])
def test_lost_doubled_and_late_datagrams_make_no_result_wrong(mosquitto_boat, loss):
    agent, proxy = behind_a_proxy(mosquitto_boat, loss=loss, doubled=0.1, late=0.2)
    checker = mosquitto_boat.checker()
    mosquitto_boat.topside(rate=50.0)
    until_path(checker, "udp")
    until(
        lambda: min(proxy.counts["lost"] / 3, proxy.counts["doubled"] / 20, proxy.counts["late"] / 20) >= 1,
        what=lambda: f"enough of each, were {dict(proxy.counts)}",
    )
    heard = len(checker.heard)
    until(lambda: {result.path for result in checker.heard[heard:]} >= {"udp"}, what="direct results")
    assert set(agent.health().datagrams_dropped) == {"replay"}
    assert checker.wrong == []


def test_a_vehicle_that_is_reached_elsewhere_is_asked_for_its_address(mosquitto_boat):
    agent, proxy = behind_a_proxy(mosquitto_boat)
    checker = mosquitto_boat.checker()
    mosquitto_boat.topside()
    until_path(checker, "udp")
    elsewhere = move_behind(mosquitto_boat, agent)
    proxy.closed = True
    until(lambda: elsewhere.counts["passed"] > 20, what="datagrams to the new address")
    until_path(checker, "udp")
    assert checker.wrong == []


def test_it_goes_on_while_the_broker_is_away(mosquitto, mosquitto_boat):
    checker = mosquitto_boat.checker()
    agent = mosquitto_boat.vehicle("rov1", offset_ns=-150_000_000)
    topside = mosquitto_boat.topside()
    until_path(checker, "udp")
    mosquitto.stop()
    until(lambda: not topside.counts().agent.broker_connected, what="the end of the connection")
    before = topside.counts().vehicles[0].paths["udp"]
    until(lambda: topside.counts().vehicles[0].paths["udp"] > before + 4, what="direct exchanges")
    assert agent.health().datagrams_dropped == {}
    mosquitto.start()
    heard = len(checker.heard)
    until(lambda: len(checker.heard) > heard + 2, what="results over the broker")
    until_path(checker, "udp")
    assert checker.wrong == []


def test_without_it_on_either_side_nothing_is_agreed(mosquitto_boat):
    checker = mosquitto_boat.checker()
    agent = mosquitto_boat.vehicle("rov1", offset_ns=-150_000_000)
    mosquitto_boat.topside(no_udp=True)
    until_path(checker, "mqtt")
    assert agent.health().datagrams_answered == 0


def test_with_accounts_it_is_agreed_and_nobody_else_reads_the_key(tmp_path):
    broker = SecuredBroker(tmp_path)
    for role, name in (
        ("vehicle", "rov1"),
        ("vehicle", "rov2"),
        ("topside", "laptop"),
        ("topside", "tablet"),
        ("dashboard", "view"),
        ("recorder", "rec"),
    ):
        broker.add(role, name)
    with running(broker), ExitStack() as stack:
        others = [
            Listener(ConnectionSettings(**broker.account(name)), "udp_answer")
            for name in ("rov2", "tablet", "view", "rec")
        ]
        for each in others:
            each.connection.start()
            stack.callback(each.connection.stop)
            assert each.connection.wait_until_up(60)
        vehicle = PiAgent(PiSettings(vehicle="rov1", no_http=True, **broker.account("rov1")), SystemClock())
        topside = GroupAgent(TopsideSettings(topside="laptop", **broker.account("laptop")), SystemClock())
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
