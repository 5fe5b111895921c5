"""Profile tls: a vehicle over mqtts:// is measured like the others, and nobody is let in unverified."""

import pytest

from broker.settings import ConnectionSettings
from tests.containers.fleet import Fleet
from tests.deadline import until
from tidesync.client import Client


@pytest.fixture(scope="module")
def tls_fleet(tmp_path_factory):
    made = Fleet(tmp_path_factory.mktemp("tls"), profiles=["tls"], services=["broker", "topside", "rov3"])
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def authority(tls_fleet, tmp_path):
    """The authority's certificate, as a vehicle gets it."""
    path = tmp_path / "ca.crt"
    path.write_text(tls_fleet.run("accounts", "cat", "/ca/ca.crt").stdout)
    return path


def test_a_vehicle_over_tls_is_measured_right_to_its_own_clock(tls_fleet):
    with tls_fleet.checker() as checker:
        checker.until_locked(["rov3"])
        until(lambda: len(checker.results_of("rov3")) >= 5, 20, "five results of rov3")
        checker.assert_never_wrong()
    assert "on port 8883" in tls_fleet.logs("broker")


def test_the_brokers_certificate_is_verified(tls_fleet, authority):
    password = tls_fleet.add_account("dashboard", "looker")
    url = f"mqtts://127.0.0.1:{tls_fleet.tls_port}"
    known = ConnectionSettings(broker=url, username="looker", password=password, ca_file=authority)
    stranger = known.model_copy(update={"ca_file": None})
    assert connects(known)
    assert not connects(stranger)


def test_the_authoritys_key_is_out_of_the_brokers_sight(tls_fleet):
    assert set(tls_fleet.files("broker", "/mosquitto/config/certs")) == {"server.crt", "server.key", "ca.crt"}
    assert tls_fleet.files("broker", "/authority") == {}
    assert set(tls_fleet.files("rov3", "/run/authority")) == {"ca.crt"}


def test_a_command_without_the_profile_leaves_the_broker_its_tls(tls_fleet):
    broker = tls_fleet.container("broker").id
    tls_fleet.run("accounts", "make-certificates", "10.0.0.7")
    certificate = tls_fleet.files("broker", "/mosquitto/config/certs")
    status = ("run", "--rm", "-T", "operator", "status")
    until(lambda: "rov3" in tls_fleet.unprofiled(*status).stdout, what="rov3 in the status")
    assert tls_fleet.container("broker").id == broker
    assert tls_fleet.files("broker", "/mosquitto/config/certs") == certificate
    tls_fleet.unprofiled("restart", "broker")
    with tls_fleet.checker() as checker:
        checker.until_locked(["rov3"])


def connects(settings):
    """Whether it comes up; else its problem must be the certificate."""
    client = Client(settings, "test", [])
    client.connection.start()
    try:
        until(
            lambda: client.connection.up or client.connection.last_problem, what="a connection, or a problem"
        )
        assert client.connection.up or "certificate" in client.connection.last_problem
        return client.connection.up
    finally:
        client.connection.stop()
