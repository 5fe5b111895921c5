"""Direct exchanges where a cluster of NATS or of RabbitMQ carries the agreement, with accounts and TLS.

RabbitMQ with TEST_EFFORT=long only, as in `test_cluster.py`.
"""

from contextlib import ExitStack

import pytest

from broker.settings import ConnectionSettings
from tests.deadline import until
from tests.network.boats import Boat
from tests.network.direct_boats import Listener, newest
from tests.network.test_cluster import KINDS
from tests.ports import free_port

pytestmark = pytest.mark.timeout(480)
PATIENCE_S = 150.0
"""A cluster that has lost a node may let nobody in for a while."""
ACCOUNTS = {
    "rov1": "vehicle",
    "rov2": "vehicle",
    "laptop": "topside",
    "view": "dashboard",
    "thief": "operator",
}
OFFSET = {"offset_ns": -150_000_000, "drift_ppm": 12.0}


class Clustered:
    """A vehicle, a topside and a checker, each with its account; those who want keys that are not theirs."""

    def __init__(self, cluster, stack, *, ping_connection):
        self.cluster, self._ping_connection = cluster, ping_connection
        self.boat = Boat("", stack)
        self.checker = self._as("view", 1).checker()
        self.thieves = [self.listen(name, "udp_answer") for name in ("rov2", "thief")]

    def _as(self, account, first, **more):
        self.boat.connection = self.cluster.account(account, first) | more
        return self.boat

    def listen(self, account, kind):
        made = Listener(ConnectionSettings(**self.cluster.account(account, 1)), kind, "laptop")
        self.boat.start(made.connection)
        assert made.connection.wait_until_up(PATIENCE_S)
        return made

    def vehicle(self, clock=None):
        boat = self._as("rov1", 1, ping_connection=self._ping_connection)
        return boat.vehicle("rov1", clock, **({} if clock else OFFSET))

    def topside(self):
        return self._as("laptop", 0, ping_connection=self._ping_connection).topside(topside="laptop")

    def until_direct(self, what):
        until(
            lambda: newest(self.checker) == ("udp", "locked"),
            PATIENCE_S,
            lambda: f"{what}: locked directly, was {newest(self.checker)}",
        )


def is_refused(connection):
    """What is subscribed to; RabbitMQ ends the connection instead of an answer."""
    return connection.refusal or "access list" in (connection.last_problem or "")


@pytest.fixture
def clustered(request, tmp_path):
    kind, ping_connection = request.param
    cluster = kind(tmp_path / "cluster", free_port)
    for name, role in ACCOUNTS.items():
        cluster.add(role, name)
    with ExitStack() as stack:
        stack.callback(cluster.stop)
        cluster.start()
        yield Clustered(cluster, stack, ping_connection=ping_connection)


@pytest.mark.parametrize(
    "clustered",
    [pytest.param(each.values, marks=each.marks, id=each.id) for each in KINDS],
    indirect=True,
)
def test_it_is_agreed_goes_on_while_topsides_node_is_dead_and_is_agreed_again_over_another(clustered):
    agent, topside = clustered.vehicle(), clustered.topside()
    clustered.until_direct("at first")
    for each in clustered.thieves:
        until(lambda thief=each: is_refused(thief.connection), PATIENCE_S, "the refusal")
    clustered.cluster.nodes[0].kill()
    made = topside.counts().vehicles[0].paths["udp"]
    until(lambda: topside.counts().vehicles[0].paths["udp"] > made + 20, what="more direct exchanges")
    heard = len(clustered.checker.heard)
    until(lambda: len(clustered.checker.heard) > heard + 2, PATIENCE_S, "results over another node")
    clustered.until_direct("after the kill")
    agent.stop()
    answered = clustered.vehicle(clustered.boat.clocks["rov1"])
    until(lambda: answered.health().datagrams_answered > 10, PATIENCE_S, "a session of the new process")
    clustered.until_direct("with a new process of the vehicle")
    assert clustered.checker.wrong == []
    assert [message for each in clustered.thieves for message in each.heard] == []
