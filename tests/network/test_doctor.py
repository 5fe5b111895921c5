"""`tidesync doctor` with each fault made for real."""

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pi_agent.agent import PiAgent
from pi_agent.settings import PiSettings
from runtime.clock import SystemClock
from schemas.compat import UTC
from tests.command_line import tidesync
from tests.deadline import until
from tests.network.brokers import MOSQUITTO, RunningBroker
from tests.network.refused_stamps import WITHOUT_STAMPS
from tests.network.running import mosquitto_in, running
from tests.network.secured import SecuredBroker
from tests.ports import free_port
from topside_agent.agent import TopsideAgent
from topside_agent.settings import TopsideSettings

S = 1_000_000_000


def examined(*arguments, expected=0, **more):
    """Every finding by its check; the exit code must be as expected."""
    result = tidesync("doctor", *arguments, "--json", **more)
    assert result.returncode == expected, (result.stdout, result.stderr)
    document = json.loads(result.stdout)
    assert document["ok"] is (expected == 0)
    return {finding["check"]: finding for finding in document["findings"]}


def until_ok(checks, *arguments):
    """The findings of a run in which all these `checks` are ok: a busy machine may hold one of them up."""
    seen = []

    def found():
        seen.append(examined(*arguments))
        return all(seen[-1][check]["verdict"] == "ok" for check in checks) and seen[-1]

    return until(found, what=lambda: f"{checks} ok, were {[seen[-1][check] for check in checks]}")


def test_on_a_healthy_boat_nothing_fails(mosquitto_boat, tmp_path):
    recorder = mosquitto_boat.checker()
    mosquitto_boat.topside()
    mosquitto_boat.vehicle("rov1", offset_ns=-3 * S)
    recorder.until_state("rov1", "locked")
    checks = ["broker", "credentials", "connection", "our TCP_NODELAY", "broker's TCP_NODELAY"]
    checks += ["vehicle rov1", "agent of rov1", "topsides", "clocks at the surface", "sign of the offset"]
    checks += ["arrival stamps"] * (sys.platform == "linux")
    findings = until_ok(checks, "--broker", mosquitto_boat.url, "--root", str(tmp_path))
    assert "mosquitto" in findings["broker's version"]["found"]
    assert mosquitto_boat.url in findings["sign of the offset"]["found"]


def test_for_people_each_line_says_what_and_what_to_do(mosquitto):
    result = tidesync("doctor", "--broker", mosquitto.url, COLUMNS="110")
    assert result.returncode == 0
    assert "\x1b" not in result.stdout  # a pipe is no terminal
    assert "  warn     topsides" in result.stdout
    assert "→ start `tidesync topside` on the surface computer" in result.stdout
    assert result.stderr == ""


def test_a_broker_that_is_off_fails_and_the_sign_is_checked_all_the_same():
    findings = examined("--broker", f"mqtt://127.0.0.1:{free_port('127.0.0.1')}", expected=1)
    assert findings["broker"]["verdict"] == "FAIL"
    assert "connection refused" in findings["broker"]["found"]
    assert findings["sign of the offset"]["verdict"] == "ok"


def test_a_wrong_password_fails_and_is_not_printed(mosquitto_with_accounts):
    arguments = ("--broker", mosquitto_with_accounts, "--username", "rov1")
    findings = examined(*arguments, expected=1, TIDESYNC_PASSWORD="sea-slug")
    assert (findings["broker"]["verdict"], findings["credentials"]["verdict"]) == ("ok", "FAIL")
    assert "not authorized" in findings["credentials"]["found"]
    assert [check for check, found in findings.items() if found["verdict"] == "FAIL"] == ["credentials"]
    assert "does not let us in" in findings["vehicles"]["found"]
    assert "does not let us in" in findings["sign of the offset"]["found"]
    assert "sea-slug" not in json.dumps(findings)


def test_something_else_on_the_brokers_port_fails():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        findings = examined("--broker", f"mqtt://127.0.0.1:{port}", expected=1)
    assert findings["broker"]["verdict"] == "FAIL"
    assert findings[f"port {port} (broker)"]["verdict"] == "FAIL"


class NagleBroker(RunningBroker):
    """mosquitto as it is by default."""

    def _command(self):
        command = super()._command()
        config = self.folder / "mosquitto.conf"
        config.write_text(config.read_text().replace("set_tcp_nodelay true", "set_tcp_nodelay false"))
        return command


@pytest.fixture
def nagle_broker(tmp_path):
    with running(mosquitto_in(tmp_path, kind=NagleBroker)) as broker:
        yield broker


def retain(broker, topic, payload):
    port = str(broker.port)
    subprocess.run(["mosquitto_pub", "-p", port, "-r", "-t", topic, "-m", payload], check=True, timeout=60)


@pytest.mark.skipif(sys.platform != "linux", reason="the delay looked for is Linux's")
def test_a_broker_that_holds_packets_back_is_found_by_its_forty_milliseconds(nagle_broker):
    retain(nagle_broker, "tidesync/v1/vehicle/rov1/status", "offline")

    def warned():
        found = examined("--broker", nagle_broker.url)["broker's TCP_NODELAY"]
        return found["verdict"] == "warn" and found

    finding = until(warned, what="the warning")
    assert "set_tcp_nodelay true" in finding["advice"]


def test_a_vehicle_that_speaks_another_version_fails(mosquitto):
    retain(mosquitto, "tidesync/v1/vehicle/rov1/info", '{"schema_version": 2}')
    finding = examined("--broker", mosquitto.url, expected=1)["messages"]
    assert "vehicle/rov1/info" in finding["found"]
    assert "schema_version" in finding["found"]


def test_a_taken_http_port_is_warned_of(mosquitto):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        port = server.getsockname()[1]
        finding = examined("--broker", mosquitto.url, "--http-port", str(port))[f"port {port} (HTTP)"]
    assert finding["verdict"] == "warn"
    assert "taken" in finding["found"]


def test_a_full_disk_fails(mosquitto, tmp_path):
    folder = tmp_path / "full"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=False)
    if mounted.returncode:
        pytest.skip("no tmpfs here")
    try:
        with (folder / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while ballast.write(b"\0" * 4096):
                pass
        finding = examined("--broker", mosquitto.url, "--root", str(folder), expected=1)["recorder's folder"]
    finally:
        subprocess.run(["umount", folder], check=True)
    assert finding["verdict"] == "FAIL"
    assert "No space left" in finding["found"]


@pytest.mark.skipif(sys.platform != "linux", reason="seccomp is Linux's")
def test_refused_kernel_stamps_are_said_with_the_reason(mosquitto):
    retain(mosquitto, "tidesync/v1/vehicle/rov1/status", "offline")
    finding = examined("--broker", mosquitto.url, program=WITHOUT_STAMPS)["arrival stamps"]
    assert finding["verdict"] == "warn"
    assert "the system refuses them: Operation not permitted" in finding["found"]
    assert "seccomp" in finding["advice"]


# TLS


def certificate(folder, days):
    """A self-signed certificate for localhost that ends in so many days; -1 has expired."""
    chain, key, secret = folder / "server.pem", folder / "server.key", ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    ends_at = datetime.now(UTC) + timedelta(days=days)
    builder = x509.CertificateBuilder(name, name, secret.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(ends_at - timedelta(days=500)).not_valid_after(ends_at)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    pem = serialization.Encoding.PEM
    chain.write_bytes(builder.sign(secret, hashes.SHA256()).public_bytes(pem))
    form = serialization.PrivateFormat.PKCS8
    key.write_bytes(secret.private_bytes(pem, form, serialization.NoEncryption()))
    return chain, key


@pytest.mark.parametrize(
    ("days", "verdict", "words"),
    [(400, "ok", "good until"), (5, "warn", "days from now"), (-1, "FAIL", "expired")],
)
def test_a_certificate_is_judged_by_its_end(tmp_path, days, verdict, words):
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    chain, key = certificate(tmp_path, days)
    port = free_port("127.0.0.1")
    tls = f"listener {port}\ncertfile {chain}\nkeyfile {key}\n"
    broker = RunningBroker("mosquitto", tmp_path, f"allow_anonymous true\n{tls}")
    broker.start()
    try:
        arguments = ("--broker", f"mqtts://localhost:{port}", "--ca-file", str(chain))
        findings = examined(*arguments, expected=int(verdict == "FAIL"))
    finally:
        broker.stop()
    assert findings["TLS certificate"]["verdict"] == verdict
    assert words in findings["TLS certificate"]["found"]
    assert findings["broker"]["verdict"] == ("FAIL" if verdict == "FAIL" else "ok")


# Rights


@pytest.fixture
def secured(tmp_path):
    """Our own configuration of mosquitto, and an account for each."""
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    broker = SecuredBroker(tmp_path)
    for role, name in (
        ("vehicle", "rov1"),
        ("topside", "laptop"),
        ("operator", "ops"),
        ("dashboard", "view"),
    ):
        broker.add(role, name, *(["--may-forget"] if role == "operator" else []))
    broker.start()
    yield broker
    broker.stop()


def test_accounts_that_read_are_enough_and_disturb_nobody(secured):
    with ExitStack() as stack:
        for agent in (
            TopsideAgent(TopsideSettings(topside="laptop", **secured.account("laptop")), SystemClock()),
            PiAgent(PiSettings(vehicle="rov1", no_http=True, **secured.account("rov1")), SystemClock()),
        ):
            agent.start()
            stack.callback(agent.stop)
        for account in ("ops", "view"):
            waited = tidesync("wait", "--vehicle", "rov1", *secured.options(account))
            assert waited.returncode == 0, waited.stderr
            checks = ["connection", "broker's TCP_NODELAY", "vehicle rov1", "agent of rov1", "topsides"]
            findings = until_ok([*checks, "sign of the offset"], *secured.options(account))
            sign = findings["sign of the offset"]["found"]
            assert "over a broker of our own: this account may not publish there" in sign
            assert findings["broker's version"]["verdict"] == "skipped"


def test_only_an_operator_that_may_forget_does(secured):
    about = TopsideSettings(topside="laptop", **secured.account("laptop"))
    agent = PiAgent(PiSettings(vehicle="rov1", no_http=True, **secured.account("rov1")), SystemClock())
    topside = TopsideAgent(about, SystemClock())
    agent.start()
    topside.start()
    assert tidesync("wait", "--vehicle", "rov1", *secured.options("view")).returncode == 0
    agent.stop()
    topside.stop()
    denied = tidesync("forget", "rov1", "--force", *secured.options("view"))
    assert denied.returncode == 1
    assert "add-operator NAME --may-forget" in denied.stderr
    done = tidesync("forget", "rov1", "--force", *secured.options("ops"))
    assert done.returncode == 0, done.stderr
    assert "cleared tidesync/v1/vehicle/rov1/offset/laptop" in done.stdout
    denied = tidesync("forget", "--topside", "laptop", *secured.options("view"))
    assert denied.returncode == 1
    assert "still there: tidesync/v1/topside/laptop/status" in denied.stderr
    done = tidesync("forget", "--topside", "laptop", *secured.options("ops"))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "cleared tidesync/v1/topside/laptop/status\n"
    assert tidesync("forget", *secured.options("ops")).returncode == 2
