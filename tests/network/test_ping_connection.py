"""Pings on a connection of their own: they go on while a broker stores, and without it as before."""

from contextlib import ExitStack

import pytest

from pi_agent.agent import PiAgent
from pi_agent.settings import PiSettings
from runtime.clock import SystemClock
from tests.deadline import until
from tests.intruder import ROOT, Intruder, TopicReader
from tests.network.boats import Boat
from tests.network.odd_brokers import OddBroker
from tests.network.running import need_mosquitto
from tests.network.secured import SecuredBroker
from tests.network.test_refusals import without_broker


def exchanges(topside):
    return sum(each.exchanges for each in topside.counts().vehicles)


def locked(topside):
    return [each.result and each.result.state for each in topside.counts().vehicles] == ["locked"]


def separate(*agents):
    """Whether pings go over their own connection."""
    return all(each._connection.carrier is each._connection.pings for each in agents)


def end(connection):
    connection.post(lambda: connection._client.socket() and connection._client.socket().close())


@pytest.fixture
def stalling(mosquitto):
    made = OddBroker(mosquitto.port)
    yield made
    made.recover()
    made.stop()


def test_pings_go_on_while_the_broker_reads_nothing_of_a_client_that_publishes(stalling):
    with ExitStack() as stack:
        boat = Boat(stalling.url, stack, ping_connection=True)
        pi, topside = boat.vehicle("rov1"), boat.topside(no_udp=True)
        checker = Boat(stalling.url, stack).checker()
        until(lambda: locked(topside) and separate(pi, topside), 30, "a lock")
        stalling.stall()
        heard, done = len(checker.heard), exchanges(topside)
        until(lambda: exchanges(topside) > done + 10, 30, "exchanges without a word of the broker's")
        stalling.recover()
        until(lambda: len(checker.heard) > heard + 2, 60, "results again")
        until(lambda: locked(topside), 60, "the lock")


def test_where_nobody_is_let_in_a_spare_connection_to_another_broker_carries_the_pings(mosquitto):
    nodes = [OddBroker(mosquitto.port) for _ in range(3)]
    with ExitStack() as stack:
        for node in nodes:
            stack.callback(node.stop)
        boat = Boat(",".join(node.url for node in nodes), stack, ping_connection=True)
        agents = boat.vehicle("rov1"), boat.topside(no_udp=True)
        spares = [each._connection.spare for each in agents]
        until(lambda: separate(*agents) and all(each.up for each in spares), 30, "all connections")
        assert all(each._connection.pings.address != each._connection.spare.address for each in agents)
        until(lambda: locked(agents[1]), 30, "a lock")
        for node in nodes:
            node.closed = True
        for each in agents:
            end(each._connection.pings)
            end(each._connection.main)
        until(
            lambda: all(each._connection.carrier is each._connection.spare for each in agents),
            30,
            "the spare",
        )
        done = exchanges(agents[1])
        until(lambda: exchanges(agents[1]) > done + 10, 30, "exchanges over the spare connections")
        until(
            lambda: not any(each._connection.pings.up or each._connection.main.up for each in agents),
            what="the end of the others",
        )
        done = exchanges(agents[1])
        until(lambda: exchanges(agents[1]) > done + 10, 30, "exchanges over the spare connections alone")
        for node in nodes:
            node.closed = False
        until(lambda: separate(*agents) and all(each._connection.up for each in agents), 60, "all as before")
        done = exchanges(agents[1])
        until(lambda: exchanges(agents[1]) > done + 10, 30, "exchanges")
        until(lambda: all(each.up for each in spares), what="the spare connections")


def test_with_one_connection_they_stop_meanwhile(stalling):
    with ExitStack() as stack:
        boat = Boat(stalling.url, stack)
        boat.vehicle("rov1")
        topside = boat.topside(no_udp=True)
        until(lambda: locked(topside), 30, "a lock")
        stalling.stall()
        until(lambda: not locked(topside), 60, "a result that says so")


@pytest.fixture
def secured(tmp_path):
    need_mosquitto()
    made = SecuredBroker(tmp_path)
    made.add("vehicle", "rov1")
    made.add("vehicle", "rov2")
    made.add("topside", "laptop")
    yield made
    made.stop()


def both(secured, stack):
    pi = Boat(secured.url, stack, ping_connection=True, **without_broker(secured.account("rov1"))).vehicle(
        "rov1"
    )
    settings = without_broker(secured.account("laptop"))
    return pi, Boat(secured.url, stack, ping_connection=True, **settings).topside(
        topside="laptop", no_udp=True
    )


def test_accounts_have_one_for_pings_beside_them_with_the_same_password(secured):
    secured.start()
    with ExitStack() as stack:
        agents = both(secured, stack)
        until(lambda: separate(*agents), 30, "both connections")
        until(lambda: locked(agents[1]), 30, "a lock")
        until(lambda: all(each.status_text.startswith("connected to") for each in agents), what="all at ease")
        until(lambda: "'rov1@ping'" in secured.log(), what="the broker's log line")
        end(agents[1]._connection.main)
        done = exchanges(agents[1])
        until(lambda: exchanges(agents[1]) > done + 10, 30, "exchanges")


def test_a_spare_connection_that_is_the_same_client_to_the_broker_is_given_up(secured):
    """Two addresses of one mosquitto, which binds client ids to accounts."""
    secured.start()
    urls = {"broker": f"{secured.url},mqtt://localhost:{secured.port}"}
    with ExitStack() as stack:
        settings = {"ping_connection": True, **secured.account("rov1"), **urls}
        pi = PiAgent(PiSettings(vehicle="rov1", no_http=True, **settings), SystemClock())
        Boat.start(Boat(secured.url, stack), pi)
        assert pi._connection.spare.wait_until_finished(120)
        until(lambda: separate(pi) and pi._connection.pings.last_problem is None, 60, "one that lasts")


def test_without_that_account_pings_go_over_the_one_there_is_and_it_is_said(secured):
    for name in ("passwords", "acl"):
        path = secured.config / name
        path.write_text(path.read_text().replace("@ping", "@nobody"))
    secured.start()
    with ExitStack() as stack:
        agents = both(secured, stack)
        until(lambda: locked(agents[1]), 60, "a lock")
        assert not any(separate(each) for each in agents)
        until(lambda: "refuses account 'rov1@ping'" in agents[0].status_text, 30, agents[0].status_text)
        until(lambda: agents[0].health().broker_connected, what="the connection there is")
        done = exchanges(agents[1])
        until(lambda: exchanges(agents[1]) > done + 10, 30, "exchanges going on")
        until(lambda: locked(agents[1]), 30, "the lock")


def test_the_account_for_pings_may_do_nothing_else(secured):
    acl = secured.config / "acl"
    acl.write_text(acl.read_text() + TopicReader.ACL)
    passwords = secured.config / "passwords"
    line = next(line for line in passwords.read_text().splitlines() if line.startswith("rov2:"))
    passwords.write_text(passwords.read_text() + line.replace("rov2:", "checker:") + "\n")
    secured.start()
    checker = TopicReader(secured.url, "checker", secured.password("rov2"))
    checker.subscribe("#")
    for name in ("rov1", "laptop"):
        thief = Intruder(secured.url, f"{name}@ping", secured.password(name))
        assert thief.refusal is None
        topics = [
            *(f"vehicle/{vehicle}/{rest}" for vehicle in ("rov1", "rov2") for rest in OF_A_VEHICLE),
            *(f"topside/laptop/{rest}" for rest in ("status", "clock", "heartbeat", "command")),
            "session/s/command",
        ]
        for topic in topics:
            thief.publish(ROOT + topic)
        through = {topic.removeprefix(ROOT) for topic, _, _ in checker.since_the_last_mark()}
        pings = {"vehicle/rov1/ping/laptop", "vehicle/rov2/ping/laptop"}
        assert through & {*topics} == ({"vehicle/rov1/pong/laptop"} if name == "rov1" else pings)
        thief.subscribe(*(ROOT + topic for topic in topics), "#", "tidesync/v1/vehicle/+/#")
        for topic in topics:
            checker.publish(ROOT + topic)
        checker.since_the_last_mark()
        thief.subscribe("mark")
        heard = {topic.removeprefix(ROOT) for topic, payload, _ in thief.heard if payload == b"intruder"}
        pongs = {"vehicle/rov1/pong/laptop", "vehicle/rov2/pong/laptop"}
        assert heard == ({"vehicle/rov1/ping/laptop"} if name == "rov1" else pongs)
        thief.end()
    checker.end()


OF_A_VEHICLE = (
    "status",
    "info",
    "event",
    "clock",
    "command",
    *(f"{kind}/laptop" for kind in ("ping", "pong", "exchange", "offset")),
)
