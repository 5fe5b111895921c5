"""Stamps through real brokers: which kinds agents use, where they fall back; bounds hold the truth."""

import multiprocessing
import os
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import pytest

from broker.client import make as make_client_module
from broker.client.plain import PlainClient
from broker.client.stamping_socket import StampingSocket
from broker.connection import Connection
from broker.settings import ConnectionSettings
from runtime.clock import SimulatedClock, SystemClock
from schemas.messages import ExchangeBatch, Info
from tests.deadline import until
from tests.network.boats import Boat
from tests.network.brokers import RunningBroker
from tests.network.refused_stamps import WITHOUT_STAMPS
from tests.ports import free_port
from topside_agent.estimator.constraints import constraint_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernel stamps are Linux's")

S = 1_000_000_000


class Recorder:
    """Keeps infos and exchanges."""

    def __init__(self, url, **settings):
        self.infos = []
        self.exchanges = []
        self.connection = Connection(
            ConnectionSettings(broker=url, **settings), self, SystemClock(), name="recorder"
        )

    def start(self):
        self.connection.start()
        assert self.connection.wait_until_subscribed(60)

    def stop(self):
        self.connection.stop()

    def connected(self):
        self.connection.subscribe(
            [("tidesync/v1/vehicle/+/info", 1), ("tidesync/v1/vehicle/+/exchange/+", 1)]
        )

    def disconnected(self, _reason):
        pass

    def tick(self, _now):
        return 1.0

    def received(self, message):
        if message.topic.endswith("/info"):
            self.infos.append(Info.decode(message.payload))
        else:
            self.exchanges += ExchangeBatch.decode(message.payload).exchanges


def kinds(exchanges):
    return {(exchange.receive_stamp, exchange.transmit_stamp) for exchange in exchanges}


def measured(boat, count=24, clock=None, **settings):
    """A recorder that has heard `count` exchanges of rov1, over the broker if nothing else is set."""
    recorder = boat.start(Recorder(boat.url, **boat.connection))
    boat.vehicle("rov1", clock or SystemClock())
    boat.topside(**{"rate": 20, "no_udp": True} | settings)
    until(lambda: len(recorder.exchanges) >= count, 180, f"{count} exchanges")
    return recorder


def assert_kernel_stamps(recorder):
    """On a busy machine messages queue, and their stamps are inexact for a while."""
    until(lambda: ("kernel", "write") in kinds([*recorder.exchanges]), what="exact stamps")
    assert kinds([*recorder.exchanges]) <= {("kernel", "write"), ("kernel_inexact", "write")}


def test_agents_stamp_arrivals_in_the_kernel_and_departures_at_the_write(boat):
    recorder = measured(boat)
    assert_kernel_stamps(recorder)
    assert recorder.infos[-1].receive_stamp == "kernel"


def test_topsides_origin_is_the_write_and_its_destination_the_arrival(mosquitto_boat):
    """One clock: what lies between topside's stamps and the vehicle's is the broker's work alone."""
    recorder = measured(mosquitto_boat, clock=SystemClock())
    assert all(exchange.receive_ns >= exchange.origin_ns for exchange in recorder.exchanges)
    assert all(exchange.destination_ns >= exchange.transmit_ns for exchange in recorder.exchanges)


def test_with_a_paho_that_has_no_place_for_the_hooks_all_is_stamped_in_user_space(
    mosquitto_boat, monkeypatch
):
    monkeypatch.setattr(make_client_module, "client_class", lambda: PlainClient)
    recorder = measured(mosquitto_boat)
    assert kinds(recorder.exchanges) == {("user", "user")}
    assert recorder.infos[-1].receive_stamp == "user"


def test_refused_kernel_stamps_are_said_in_one_line_and_in_info(mosquitto_boat, monkeypatch, caplog):
    monkeypatch.setattr(StampingSocket, "_ask_for_stamps", lambda _: "the system refuses them: no")
    with caplog.at_level("INFO"):
        recorder = measured(mosquitto_boat)
    assert kinds(recorder.exchanges) == {("user", "write")}
    assert recorder.infos[-1].receive_stamp == "user"
    logged = [record.getMessage() for record in caplog.records if "user space" in record.getMessage()]
    assert len(logged) == 3  # one for each connection
    assert logged[0] == "arrivals are stamped in user space: the system refuses them: no"


def test_kernel_stamps_that_never_come_are_noticed(mosquitto_boat, monkeypatch, caplog):
    for flag in (
        "_RX_SOFTWARE",
        "_SOFTWARE",
    ):  # promised, but never taken, nor reported if others have them taken
        monkeypatch.setattr(f"broker.client.stamping_socket.{flag}", 0)
    with caplog.at_level("INFO"):
        recorder = measured(mosquitto_boat)
    assert kinds(recorder.exchanges) == {("user", "write")}
    assert "arrivals are stamped in user space: the kernel's stamps do not come" in caplog.text


def test_under_a_seccomp_profile_that_refuses_the_option_the_agent_falls_back(mosquitto_boat):
    recorder = mosquitto_boat.start(Recorder(mosquitto_boat.url))
    process = subprocess.Popen(
        [
            sys.executable,
            *WITHOUT_STAMPS,
            "pi",
            "--vehicle",
            "rov1",
            "--no-http",
            "--broker",
            mosquitto_boat.url,
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        mosquitto_boat.topside(no_udp=True)
        until(lambda: len(recorder.exchanges) >= 8, 20, "exchanges")
    finally:
        process.terminate()
        _, logged = process.communicate(timeout=60)
    assert kinds(recorder.exchanges) == {("user", "write")}, logged
    assert recorder.infos[-1].receive_stamp == "user"
    assert logged.count("stamped in user space: the system refuses them") == 1


# TLS and WebSocket


@pytest.fixture
def carriers(tmp_path):
    """URLs of one mosquitto by carrier, and the certificate that verifies it."""
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    wanted = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    named = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        ["openssl", "req", "-x509", *wanted, *named, "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    ports = {scheme: free_port("127.0.0.1") for scheme in ("mqtts", "ws", "wss")}
    tls = f"certfile {certificate}\nkeyfile {key}\n"
    lines = ["allow_anonymous true\n"]
    for scheme, port in ports.items():
        web = "protocol websockets\n" if scheme.startswith("ws") else ""
        lines.append(f"listener {port}\n{web}{tls if scheme != 'ws' else ''}")
    running = RunningBroker("mosquitto", tmp_path, "".join(lines))
    running.start()
    for port in ports.values():
        until(lambda port=port: listens(port), 15, f"port {port}: the broker's log is in {tmp_path}")
    urls = {scheme: f"{scheme}://localhost:{port}" for scheme, port in ports.items()}
    yield urls | {"mqtt": running.url}, certificate
    running.stop()


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("scheme", ["mqtts", "ws", "wss"])
def test_stamps_are_carried_by(scheme, carriers):
    urls, certificate = carriers
    with ExitStack() as stack:
        boat = Boat(urls[scheme], stack, **({"ca_file": certificate} if scheme != "ws" else {}))
        clock = SimulatedClock(SystemClock(), offset_ns=3 * S, drift_ppm=40.0)
        recorder = measured(boat, clock=clock)
        assert_kernel_stamps(recorder)
        assert contradictions([*recorder.exchanges], clock) == []


# The truth


def contradictions(exchanges, clock):
    """Exchanges whose bounds do not hold what the simulated clock truly showed."""
    return [exchange for exchange in exchanges if not holds(constraint_of(exchange), clock)]


def holds(facts, clock):
    upper_true = clock.raw_at(facts.origin_ns) - facts.origin_ns
    lower_true = clock.raw_at(facts.destination_ns) - facts.destination_ns
    return facts.lower_ns <= lower_true and upper_true <= facts.upper_ns


def hog():
    while True:
        sum(range(10_000))


@contextmanager
def hogs(count):
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=hog, daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    try:
        yield
        assert all(process.is_alive() for process in processes)
    finally:
        for process in processes:
            process.kill()


@pytest.mark.parametrize("plain", [False, True])
def test_no_bound_ever_excludes_the_truth_on_a_loaded_machine(mosquitto_boat, monkeypatch, plain):
    if plain:
        monkeypatch.setattr(make_client_module, "client_class", lambda: PlainClient)
    clock = SimulatedClock(SystemClock(), offset_ns=-42 * S, drift_ppm=-80.0)
    with hogs(os.cpu_count() or 1):
        recorder = measured(mosquitto_boat, 150, clock, burst=50, no_udp=False)
        mosquitto_boat.vehicle("rov2", clock)  # two vehicles: messages queue behind each other
        until(
            lambda: {one.vehicle for one in [*recorder.exchanges]} == {"rov1", "rov2"},
            what="exchanges of both",
        )
        until(lambda: len(recorder.exchanges) >= 300, 180, "300 exchanges")
    assert contradictions([*recorder.exchanges], clock) == []
