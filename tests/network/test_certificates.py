"""TLS on a real mosquitto with our own certificates: what is right works, what is wrong is said."""

import logging
import shutil
import subprocess
from contextlib import ExitStack
from datetime import datetime, timedelta

import pytest

from broker.connection import Connection
from broker.errors import CertificateError
from broker.settings import ConnectionSettings
from broker.tls.authority import Authority, Host, Signed
from runtime.clock import SystemClock
from schemas.compat import UTC
from tests.command_line import tidesync
from tests.deadline import until
from tests.network.boats import Boat
from tests.network.brokers import MOSQUITTO
from tests.network.secured import EncryptedBroker

S = 1_000_000_000
ACCOUNTS = {"rov1": "vehicle", "laptop": "topside", "recorder": "recorder", "viewer": "dashboard"}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with certificates and all accounts, made once."""
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    broker = EncryptedBroker(tmp_path_factory.mktemp("prepared"))
    broker.certify("--name", "localhost", "--client", "rov1")
    for name, role in ACCOUNTS.items():
        broker.add(role, name)
    return broker.folder


@pytest.fixture
def encrypted(prepared, tmp_path):
    yield from running(prepared, tmp_path)


@pytest.fixture
def asking(prepared, tmp_path):
    """One that takes only programs with a certificate of its authority."""
    yield from running(prepared, tmp_path, asks_for_certificates=True)


def running(prepared, folder, **more):
    shutil.copytree(prepared, folder, dirs_exist_ok=True)
    broker = EncryptedBroker(folder, **more)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def connect():
    with ExitStack() as stack:

        def connected(settings):
            connection = Connection(ConnectionSettings(**settings), Nobody(), SystemClock(), name="t")
            connection.start()
            stack.callback(connection.stop)
            return connection

        yield connected


class Nobody:
    def connected(self):
        pass

    def disconnected(self, reason):
        pass

    def received(self, message):
        pass

    def tick(self, now):  # noqa: ARG002 - the connection's signature
        return 1.0


def install(broker, name, signed):
    """Put another certificate in place, and have the broker take it."""
    (broker.certs / f"{name}.crt").write_bytes(signed.certificate)
    (broker.certs / f"{name}.key").write_bytes(signed.key)
    broker.stop()
    broker.start()


def authority(broker):
    signed = Signed((broker.certs / "ca.crt").read_bytes(), (broker.certs / "ca.key").read_bytes())
    return Authority.load(signed)


def later(days):
    return datetime.now(UTC) + timedelta(days=days)


def status(broker, account, *more):
    """`tidesync status` as a user runs it: exit code, and all that it said on standard error."""
    done = tidesync("-q", "status", "--json", *broker.options(account), *more)
    return done.returncode, done.stderr


def assert_reported_once(output, *words):
    assert output.startswith("tidesync: ")
    assert output.count("\n") == 1
    assert "Traceback" not in output
    for word in words:
        assert word in output


def test_every_kind_of_program_works_over_tls_and_websocket(encrypted):
    with ExitStack() as stack:
        boat = Boat(encrypted.url, stack)
        boat.connection = encrypted.account("viewer", broker=encrypted.websocket_url)
        checker = boat.checker()
        boat.connection = encrypted.account("rov1", broker=encrypted.websocket_url)
        boat.vehicle("rov1", offset_ns=-3 * S)
        boat.connection = encrypted.account("laptop")
        boat.topside(topside="laptop")
        checker.until_state("rov1", "locked", 15)
        assert checker.wrong == []
    encrypted.add("operator", "operator")
    encrypted.reload()
    for url in (encrypted.url, encrypted.websocket_url):
        until(lambda url=url: status(encrypted, "operator", "--broker", url)[0] == 0, 10, f"status at {url}")


def test_the_systems_own_authorities_do_not_verify_a_boats_broker(encrypted):
    options = encrypted.options("viewer")[:-2]
    done = tidesync("-q", "status", *options)
    assert done.returncode == 2
    assert_reported_once(
        done.stderr, encrypted.url, "certificate not accepted", "no ca_file is given: name the CA"
    )


def test_a_foreign_authority_is_said(encrypted, tmp_path):
    (tmp_path / "other.crt").write_bytes(Authority.make(datetime.now(UTC)).signed.certificate)
    code, output = status(encrypted, "viewer", "--ca-file", tmp_path / "other.crt")
    assert code == 2
    assert_reported_once(output, "certificate not accepted", "is ca_file the right one?")


def test_an_expired_certificate_is_said_with_the_clock_that_says_so(encrypted):
    install(encrypted, "server", authority(encrypted).server(Host(("localhost",), ()), later(-1)))
    days = [f"{datetime.now(UTC):%Y-%m-%d}"]
    code, output = status(encrypted, "viewer")
    days.append(f"{datetime.now(UTC):%Y-%m-%d}")
    assert code == 2
    assert_reported_once(output, "has expired by this computer's clock")
    assert any(day in output for day in days)


def test_another_name_is_said(encrypted):
    install(encrypted, "server", foreign_host(encrypted))
    for url in (encrypted.url, encrypted.websocket_url):
        code, output = status(encrypted, "viewer", "--broker", url)
        assert code == 2
        assert_reported_once(output, "it is not issued for localhost")


def foreign_host(broker):
    class Elsewhere(Host):
        def general_names(self):
            return [name for name in super().general_names() if name.value == "boat.example"]

    return authority(broker).server(Elsewhere(("boat.example",), ()), later(90))


def test_a_wrong_certificate_is_tried_again_by_an_agent_until_it_is_right(encrypted, connect, tmp_path):
    ca_file = tmp_path / "ca.crt"
    ca_file.write_bytes(Authority.make(datetime.now(UTC)).signed.certificate)
    connection = connect(encrypted.account("rov1", ca_file=ca_file))
    until(lambda: isinstance(connection.problem, CertificateError), 10, "the problem")
    assert connection.failure is None
    ca_file.write_bytes((encrypted.certs / "ca.crt").read_bytes())
    assert connection.wait_until_up(60)
    assert connection.last_problem is None


@pytest.mark.parametrize(("days", "words"), [(12.5, "in 12 days"), (0.5, "within a day")])
def test_an_end_that_is_near_is_warned_of_at_connect(encrypted, connect, caplog, days, words):
    install(encrypted, "server", authority(encrypted).server(Host(("localhost",), ()), later(days)))
    with caplog.at_level(logging.WARNING):
        for url in (encrypted.url, encrypted.websocket_url):
            assert connect(encrypted.account("viewer", broker=url)).wait_until_up(60)
        until(lambda: caplog.text.count(f"certificate ends {words}") == 2, 5, "a warning each")


def test_an_end_that_is_far_is_not_warned_of(encrypted, connect, caplog):
    install(encrypted, "server", authority(encrypted).server(Host(("localhost",), ()), later(31)))
    with caplog.at_level(logging.WARNING):
        connection = connect(encrypted.account("viewer"))
        assert connection.wait_until_up(60)
        connection.stop()  # what is warned of at connect has been by then
    assert "certificate" not in caplog.text


def test_the_broker_takes_a_renewed_certificate_at_a_reload(encrypted):
    install(encrypted, "server", authority(encrypted).server(Host(("localhost",), ()), later(-1)))
    assert status(encrypted, "viewer")[0] == 2
    encrypted.certify("--renew")
    encrypted.reload()
    until(lambda: status(encrypted, "viewer")[0] == 0, 20, "the renewed certificate")


def test_a_broker_that_asks_for_certificates_takes_its_own(asking, connect):
    own = {"cert_file": asking.certs / "rov1.crt", "key_file": asking.certs / "rov1.key"}
    for url in (asking.url, asking.websocket_url):
        connection = connect(asking.account("rov1", broker=url, **own))
        assert connection.wait_until_up(60)
        connection.stop()


def test_no_certificate_where_one_is_asked_for_is_said(asking):
    for url in (asking.url, asking.websocket_url):
        code, output = status(asking, "viewer", "--broker", url)
        assert code == 2
        assert_reported_once(output, "asks for a certificate of ours", "cert_file")


@pytest.mark.parametrize(
    ("own", "days", "words"), [(True, -1, "it has expired"), (False, 90, "it is of another authority")]
)
def test_a_certificate_that_the_broker_refuses_is_said(asking, tmp_path, own, days, words):
    signer = authority(asking) if own else Authority.make(datetime.now(UTC))
    signed = signer.client("viewer", later(days))
    (tmp_path / "own.crt").write_bytes(signed.certificate)
    (tmp_path / "own.key").write_bytes(signed.key)
    given = ("--cert-file", tmp_path / "own.crt", "--key-file", tmp_path / "own.key")
    code, output = status(asking, "viewer", *given)
    assert code == 2
    assert_reported_once(output, "our certificate is not accepted", words)


def test_the_end_of_ones_own_certificate_is_warned_of(asking, connect, tmp_path, caplog):
    signed = authority(asking).client("rov1", later(3.5))
    (tmp_path / "own.crt").write_bytes(signed.certificate)
    (tmp_path / "own.key").write_bytes(signed.key)
    own = {"cert_file": tmp_path / "own.crt", "key_file": tmp_path / "own.key"}
    with caplog.at_level(logging.WARNING):
        assert connect(asking.account("rov1", **own)).wait_until_up(60)
        until(
            lambda: f"{tmp_path / 'own.crt'}: the certificate ends in 3 days" in caplog.text, 5, "a warning"
        )


def test_old_versions_of_tls_are_not_spoken(encrypted):
    asked = ["openssl", "s_client", "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0", "-connect"]
    done = subprocess.run(
        [*asked, f"localhost:{encrypted.port}"], input=b"", capture_output=True, timeout=60, check=False
    )
    assert done.returncode != 0
