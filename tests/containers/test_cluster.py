"""Profile cluster: three NATS nodes, of which one is killed; nothing is wrong, no exchange is lost."""

import pytest

from broker.settings import ConnectionSettings
from tests.containers.fleet import Fleet, FleetChecker
from tests.deadline import until
from tests.ports import free_port

NODES = ("nats1", "nats2", "nats3")
PARTS = ("rov1", "rov2", "topside", "recorder", "dashboard")


class ClusterFleet(Fleet):
    """The profile's own services; vehicles are called as they call themselves."""

    def __init__(self, folder):
        super().__init__(
            folder, profiles=["cluster"], services=[*NODES, *(f"cluster-{part}" for part in PARTS)]
        )
        self.node_ports = {node: free_port() for node in NODES}
        with (folder / "compose.env").open("a") as environment:
            environment.writelines(f"{node.upper()}_PORT={port}\n" for node, port in self.node_ports.items())
            environment.write(f"CLUSTER_DASHBOARD_PORT=127.0.0.1:{free_port()}\n")

    def container(self, service):
        return super().container(f"cluster-{service}" if service in PARTS else service)

    def operator(self, *arguments, timeout_s=200):
        command = ("run", "--rm", "-T", "--no-deps", "cluster-operator", *arguments)
        return self._compose(*command, timeout_s=timeout_s)

    def viewer(self, authority):
        """Who reads along at any node, by the dashboard's account."""
        urls = ",".join(f"mqtts://127.0.0.1:{port}" for port in self.node_ports.values())
        password = self.secrets()["dashboard/password"]
        settings = ConnectionSettings(
            broker=urls, username="dashboard", password=password, ca_file=authority, keepalive_s=5
        )
        return FleetChecker(settings, self)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = ClusterFleet(tmp_path_factory.mktemp("cluster"))
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
    with cluster.session("cluster") as session:
        until(lambda: len(session.exchanges()) > 20, 20, "some recorded exchanges")
        cluster.container("nats1").kill()
        viewer.until_locked(timeout_s=120)
        cluster.container("nats1").start()
        cluster.until_healthy("nats1", 60)
    session.assert_complete(viewer.published)
    viewer.assert_never_wrong()


def test_a_node_has_no_rights_to_spare_and_sees_no_password(cluster):
    for node in NODES:
        host = cluster.container(node).attrs["HostConfig"]
        assert host["ReadonlyRootfs"] is True
        assert host["CapDrop"] == ["ALL"]
        assert cluster.container(node).attrs["Config"]["User"] == "1883:1883"
        files = cluster.files(node, "/etc/nats").values()
        secrets = cluster.secrets().values()
        assert not [secret for secret in secrets if any(secret.encode() in content for content in files)]
