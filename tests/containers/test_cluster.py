"""Profiles cluster and rabbitmq: one of three nodes is killed; nothing is wrong, no exchange is lost."""

from typing import NamedTuple

import pytest

from broker.settings import ConnectionSettings
from tests.containers.fleet import Fleet, FleetChecker
from tests.deadline import until
from tests.effort import tries
from tests.ports import free_port

PARTS = ("rov1", "rov2", "topside", "recorder", "dashboard")


class Kind(NamedTuple):
    """A profile, its nodes, and where they read their configuration."""

    profile: str
    node: str
    config: str

    @property
    def nodes(self):
        return [f"{self.node}{number}" for number in (1, 2, 3)]


KINDS = [Kind("cluster", "nats", "/etc/nats"), Kind("rabbitmq", "rabbit", "/etc/rabbitmq")][: tries(1)]
"""RabbitMQ with TEST_EFFORT=long only, as in tests/network."""


class ClusterFleet(Fleet):
    """A profile's own services; vehicles are called as they call themselves."""

    def __init__(self, folder, kind):
        self.kind = kind
        services = [*kind.nodes, *(f"{kind.profile}-{part}" for part in PARTS)]
        super().__init__(folder, profiles=[kind.profile], services=services)
        self.node_ports = {node: free_port() for node in kind.nodes}
        with (folder / "compose.env").open("a") as environment:
            environment.writelines(f"{node.upper()}_PORT={port}\n" for node, port in self.node_ports.items())
            environment.write(f"{kind.profile.upper()}_DASHBOARD_PORT=127.0.0.1:{free_port()}\n")

    def container(self, service):
        return super().container(f"{self.kind.profile}-{service}" if service in PARTS else service)

    def operator(self, *arguments, timeout_s=200):
        command = ("run", "--rm", "-T", "--no-deps", f"{self.kind.profile}-operator", *arguments)
        return self._compose(*command, timeout_s=timeout_s)

    def viewer(self, authority):
        """Who reads along at any node, by the dashboard's account."""
        urls = ",".join(f"mqtts://127.0.0.1:{port}" for port in self.node_ports.values())
        password = self.secrets()["dashboard/password"]
        settings = ConnectionSettings(
            broker=urls, username="dashboard", password=password, ca_file=authority, keepalive_s=5
        )
        return FleetChecker(settings, self)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.node)
def cluster(request, tmp_path_factory):
    made = ClusterFleet(tmp_path_factory.mktemp("cluster"), request.param)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def viewer(cluster, tmp_path):
    path = tmp_path / "ca.crt"
    path.write_text(cluster.run("accounts", "cat", "/ca/ca.crt").stdout)
    watching = cluster.viewer(path)
    watching.connection.start()
    yield watching
    watching.connection.stop()


def test_a_node_that_is_killed_and_started_costs_no_wrong_result_and_no_recorded_exchange(cluster, viewer):
    viewer.until_locked()
    node = cluster.kind.nodes[0]
    with cluster.session("cluster") as session:
        until(lambda: len(session.exchanges()) > 20, 20, "some recorded exchanges")
        cluster.container(node).kill()
        viewer.until_locked(timeout_s=120)
        cluster.container(node).start()
        cluster.until_healthy(node, 60)
    session.assert_complete(viewer.published)
    viewer.assert_never_wrong()


def test_a_node_has_no_rights_to_spare_and_sees_no_password(cluster):
    for node in cluster.kind.nodes:
        host = cluster.container(node).attrs["HostConfig"]
        assert host["ReadonlyRootfs"] is True
        assert host["CapDrop"] == ["ALL"]
        assert cluster.container(node).attrs["Config"]["User"] == "1883:1883"
        files = cluster.files(node, cluster.kind.config).values()
        secrets = cluster.secrets().values()
        assert not [secret for secret in secrets if any(secret.encode() in content for content in files)]
