"""A fleet on a cluster of brokers with our configuration, accounts and TLS, of which a node is killed.

RabbitMQ with TEST_EFFORT=long only: its nodes take half a minute to start. To see it:
`make soak-cluster ARGS="--broker rabbitmq"`, which kills and restarts each of them.
"""

from dataclasses import replace

import pytest

from bench.soak_cluster.nats import NATS, NatsCluster
from bench.soak_cluster.rabbitmq import RABBITMQ, RabbitCluster
from bench.soak_cluster.run import Plan, Soak
from broker.connection import Connection
from broker.interface import Outgoing
from broker.settings import ConnectionSettings
from broker.subscriptions import REFUSED
from runtime.clock import SystemClock
from tests.deadline import until
from tests.effort import tries
from tests.network.test_connection import Quiet
from tests.ports import free_port

needs_nats = pytest.mark.skipif(NATS is None, reason="nats-server is not installed")
A_KILL = Plan(kills=1, restarts=0, only_topsides=True, heal_s=200.0)
pytestmark = pytest.mark.timeout(480)
KINDS = [
    pytest.param(NatsCluster, True, marks=needs_nats, id="nats"),
    pytest.param(
        RabbitCluster,
        False,
        marks=pytest.mark.skipif(RABBITMQ is None, reason="rabbitmq-server is not installed"),
        id="rabbitmq",
    ),
][: tries(1)]
"""Each with whether pings have a connection of their own."""


ROOT = "tidesync/v1/"
OF_NATS = ("$MQTT/msgs/#", "$MQTT/sess/#", "$MQTT/rmsgs/#", "$SYS/#", "$JS/#")
"""Where NATS keeps everybody's messages and sessions."""
GRANTED = {
    "viewer": {"vehicle/+/offset/+", "vehicle/+/status", "topside/+/status", "session/+/state"},
    "rov1": {
        "vehicle/rov1/ping/+",
        "vehicle/rov1/udp_request/+",
        "vehicle/rov1/command",
        "topside/+/status",
    },
}
EVERY = set().union(*GRANTED.values()) | {
    "#",
    *(f"vehicle/{vehicle}/{rest}" for vehicle in ("+", "rov2") for rest in ("ping/+", "udp_answer/laptop")),
    *(f"vehicle/{vehicle}/udp_answer/+" for vehicle in ("+", "rov1")),
    "session/+/command",
}


class Member:
    """One account's connection, the answers to its subscriptions, and what it hears."""

    def __init__(self, cluster, name, first):
        self.heard, self.answers = [], {}
        owner = Quiet()
        self.connection = Connection(
            ConnectionSettings(**cluster.account(name, first)), owner, SystemClock(), name=name
        )
        filters = [(name, 1) for name in (*OF_NATS, *(ROOT + rest for rest in sorted(EVERY)))]
        owner.connected = lambda: self.connection.subscribe(filters, self.answers.update)
        owner.received = lambda message: self.heard.append(message.topic)
        self.connection.start()

    def granted(self):
        until(lambda: len(self.answers) == len(OF_NATS) + len(EVERY), what="the answers")
        return {name.removeprefix(ROOT) for name, code in self.answers.items() if code != REFUSED}

    def publish(self, rest):
        message = Outgoing(ROOT + rest, b"online", 1, retain=True)
        self.connection.post(lambda: self.connection.publish(message))


@needs_nats
def test_a_nats_account_reads_and_writes_what_is_its_own_at_every_node_and_nothing_else(tmp_path):
    cluster = NatsCluster(tmp_path / "cluster", free_port)
    cluster.add("vehicle", "rov1")
    cluster.add("dashboard", "viewer")
    cluster.start()
    members = {name: Member(cluster, name, at) for at, name in enumerate(GRANTED)}
    try:
        assert {name: member.granted() for name, member in members.items()} == GRANTED
        members["rov1"].publish("vehicle/rov2/status")
        members["rov1"].publish("vehicle/rov1/status")
        until(lambda: ROOT + "vehicle/rov1/status" in members["viewer"].heard, what="its own status")
        assert ROOT + "vehicle/rov2/status" not in members["viewer"].heard
    finally:
        for member in members.values():
            member.connection.stop()
        cluster.stop()


@pytest.mark.parametrize(("kind", "of_their_own"), KINDS)
def test_the_kill_of_topsides_node_costs_no_wrong_result_and_no_exchange(kind, of_their_own, tmp_path):
    """Vehicles are found, in whatever order they and topside came."""
    planned = replace(A_KILL, ping_connection=of_their_own)
    soak = Soak(planned, kind(tmp_path / "cluster", free_port), print)
    assert soak.run().failures == []
    assert [(outage.fault.kind, "topside" in outage.fault.there) for outage in soak.outages] == [
        ("kill", True)
    ] * 2
