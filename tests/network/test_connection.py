"""The connection: what it says when a broker cannot be had, and what it does when it can."""

import logging
import socket
import subprocess
import threading
import time
from contextlib import ExitStack, suppress
from importlib.resources import files

import pytest

from broker import connection as connection_module
from broker.client import make as make_client_module
from broker.client.plain import PlainClient
from broker.connection import Connection
from broker.embedded import EmbeddedBroker
from broker.errors import CertificateError, CredentialsError, PasswordFileError
from broker.interface import Outgoing
from broker.settings import ConnectionSettings, EmbeddedBrokerSettings
from runtime.clock import SystemClock
from tests.deadline import delay, until
from tests.network.brokers import MOSQUITTO
from tests.network.running import mosquitto_in, running
from tests.ports import free_port
from tidesync import client


class Quiet:
    """An owner that only listens."""

    def __init__(self, *filters):
        self.filters = filters
        self.messages = []
        self.lost = []

    def connected(self):
        if self.filters:
            self.connection.subscribe([(topic, 1) for topic in self.filters])

    def disconnected(self, reason):
        self.lost.append(reason)

    def received(self, message):
        self.messages.append(message)

    def tick(self, _now):
        return 1.0


@pytest.fixture
def connect():
    made = []

    def make(url, *filters, will=None, **settings):
        owner = Quiet(*filters)
        connection = Connection(
            ConnectionSettings(broker=url, **settings), owner, SystemClock(), name="test", will=will
        )
        owner.connection = connection
        connection.owner = owner
        made.append(connection)
        connection.start()
        return connection

    yield make
    for connection in made:
        connection.stop()


def problem(connection):
    return until(lambda: connection.last_problem, 10, "a problem said")


def test_of_several_brokers_the_one_that_answers_is_used_and_after_its_end_the_next(connect, tmp_path):
    with ExitStack() as stack:
        brokers = []
        for name in "ab":
            (tmp_path / name).mkdir()
            brokers.append(stack.enter_context(running(mosquitto_in(tmp_path / name))))
        dead = f"mqtt://127.0.0.1:{free_port('127.0.0.1')}"
        connection = connect(",".join([dead, *(broker.url for broker in brokers)]))
        until(lambda: connection.up, 10, "a connection")
        used = next(broker for broker in brokers if broker.url == str(connection.address))
        used.kill()
        until(lambda: connection.up and str(connection.address) != used.url, 10, "the other broker")
        assert connection.reconnects == 1


def test_a_refused_connection_names_broker_and_reason_and_is_retried(connect, caplog):
    port = free_port("127.0.0.1")
    with caplog.at_level(logging.WARNING):
        connection = connect(f"mqtt://127.0.0.1:{port}")
        assert problem(connection).startswith(f"broker mqtt://127.0.0.1:{port}: connection refused")
        embedded = EmbeddedBroker(EmbeddedBrokerSettings(port=port))
        embedded.start()
        assert connection.wait_until_up(60)
    assert connection.failure is None
    assert len([r for r in caplog.records if "connection refused" in r.getMessage()]) == 1
    embedded.stop()


class StallingServer:
    """Accepts connections, and sends `greeting` and then `trickle` every 50 ms to each until it hangs up."""

    def __init__(self, greeting=b"", trickle=b""):
        self.accepted = 0
        self._greeting, self._trickle = greeting, trickle
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._ended = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        peers = []
        self._listener.settimeout(0.05)
        while not self._ended.is_set():
            with suppress(OSError):
                peer, _ = self._listener.accept()
                self.accepted += 1
                peers.append(peer)
                peer.sendall(self._greeting)
            for peer in peers:
                with suppress(OSError):
                    peer.sendall(self._trickle)
        for peer in peers:
            peer.close()
        self._listener.close()

    def stop(self):
        self._ended.set()


TLS_RECORD_OF_16_KIB = b"\x16\x03\x03\x40\x00"


@pytest.mark.parametrize(
    ("scheme", "greeting", "trickle"),
    [
        ("mqtts", b"", b""),
        ("mqtts", TLS_RECORD_OF_16_KIB, b"\x02"),
        ("ws", b"", b""),
        ("ws", b"HTTP/1.1 101 ", b"S"),
        ("wss", b"", b""),
        ("wss", TLS_RECORD_OF_16_KIB, b"\x02"),
    ],
)
def test_a_peer_that_stalls_in_the_handshake_is_given_up_and_tried_again(
    connect, monkeypatch, scheme, greeting, trickle
):
    monkeypatch.setattr(connection_module, "CONNECT_S", 0.3)
    server = StallingServer(greeting, trickle)
    try:
        connection = connect(f"{scheme}://127.0.0.1:{server.port}")
        assert "timed out" in problem(connection)
        until(lambda: server.accepted >= 3, 15, "two more attempts")
    finally:
        server.stop()


def test_a_websocket_handshake_that_paho_cannot_parse_is_a_failed_attempt(connect):
    server = StallingServer(b"HTTP/1.1 101 Switching\r\nSec-WebSocket-Accept:none\r\n\r\n")
    try:
        connection = connect(f"ws://127.0.0.1:{server.port}")
        assert problem(connection)
        until(lambda: server.accepted >= 2, 10, "another attempt")
    finally:
        server.stop()


def test_an_unknown_host_is_called_so(connect):
    assert "DNS" in problem(connect("mqtt://no-such-host.invalid"))


def test_a_server_that_is_no_broker_is_given_up_and_reported(connect):
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = connect(f"mqtt://127.0.0.1:{server.getsockname()[1]}")
        peer, _ = server.accept()
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        peer.close()
        assert "connection lost" in problem(connection)


def test_tls_to_a_plain_broker_is_called_a_tls_failure(mosquitto, connect):
    assert "TLS" in problem(connect(f"mqtts://127.0.0.1:{mosquitto.port}"))


def test_nagles_algorithm_is_off(mosquitto, connect):
    connection = connect(mosquitto.url)
    assert connection.wait_until_up(60)
    tcp = connection._client.socket()
    assert tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_a_system_that_keeps_nagles_algorithm_on_is_complained_of(mosquitto, connect, monkeypatch, caplog):
    monkeypatch.setattr(PlainClient, "tune", lambda _: False)
    with caplog.at_level(logging.WARNING):
        assert connect(mosquitto.url).wait_until_up(60)
    assert "Nagle" in caplog.text


@pytest.mark.parametrize("scheme", ["mqtt", "ws"])
def test_the_plain_client_turns_it_off_too(connect, monkeypatch, scheme):
    monkeypatch.setattr(make_client_module, "client_class", lambda: PlainClient)
    embedded = EmbeddedBroker(EmbeddedBrokerSettings(port=0, websocket_port=0))
    embedded.start()
    connection = connect(embedded.url if scheme == "mqtt" else embedded.websocket_url)
    assert connection.wait_until_up(60)
    with socket.fromfd(connection._client.socket().fileno(), socket.AF_INET, socket.SOCK_STREAM) as tcp:
        assert tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
    embedded.stop()


def test_a_message_goes_out_at_once_from_within_a_callback(mosquitto, connect):
    asking = connect(mosquitto.url, "answer")
    answerer = connect(mosquitto.url, "ask")
    inherited, queued = answerer.owner.received, []

    def received(message):
        inherited(message)
        answerer.publish(Outgoing("answer", message.payload, 0))
        queued.append(answerer._client.want_write())

    answerer.owner.received = received
    assert asking.wait_until_up(60)
    assert answerer.wait_until_up(60)
    until(lambda: _ask(asking) or asking.owner.messages, 5, "an answer")
    assert asking.owner.messages[0].payload == b"?"
    assert set(queued) == {False}  # written, not queued for the next turn of the loop


def _ask(asking):
    asking.post(lambda: asking.publish(Outgoing("ask", b"?", 0)))


def test_nothing_is_queued_while_there_is_no_connection(connect):
    connection = connect(f"mqtt://127.0.0.1:{free_port('127.0.0.1')}")
    assert connection.publish(Outgoing("late", b"old news")) is False


def test_the_will_is_published_when_a_process_dies_and_the_farewell_when_it_stops(mosquitto, connect):
    watcher = connect(mosquitto.url, "status/#")
    assert watcher.wait_until_subscribed(60)
    dying = connect(mosquitto.url, will=Outgoing("status/dying", b"offline"))
    assert dying.wait_until_up(60)
    dying.post(lambda: dying._client.socket().shutdown(socket.SHUT_RDWR))
    until(lambda: ("status/dying", b"offline") in heard(watcher), 5, "the will")
    leaving = connect(mosquitto.url, will=Outgoing("status/leaving", b"lost"))
    assert leaving.wait_until_up(60)
    leaving.stop([Outgoing("status/leaving", b"goodbye")])
    until(lambda: ("status/leaving", b"goodbye") in heard(watcher), 5, "the farewell")
    assert ("status/leaving", b"lost") not in heard(watcher)


def test_the_farewell_of_a_busy_process_is_waited_for(mosquitto, connect):
    watcher, busy = connect(mosquitto.url, "status/#"), connect(mosquitto.url)
    assert watcher.wait_until_subscribed(60)
    assert busy.wait_until_up(60)
    busy.post(lambda: delay(1.5))
    busy.stop([Outgoing("status/busy", b"goodbye")])
    assert busy.wait_until_finished(0)
    until(lambda: ("status/busy", b"goodbye") in heard(watcher), 5, "the farewell")


def heard(connection):
    return [(message.topic, message.payload) for message in connection.owner.messages]


def test_a_fault_of_the_owner_does_not_end_the_connection(mosquitto, connect, caplog):
    connection = connect(mosquitto.url, "x")
    assert connection.wait_until_up(60)
    seen = []

    def received(message):
        seen.append(message)
        raise ZeroDivisionError

    connection.owner.received = received
    for _ in range(2):
        connection.post(lambda: connection.publish(Outgoing("x", b"1", 0)))
    until(lambda: len(seen) >= 2, 5, "both messages")
    assert connection.up
    assert "please report it" in caplog.text


def test_websockets_carry_the_same(connect):
    embedded = EmbeddedBroker(EmbeddedBrokerSettings(port=0, websocket_port=0))
    embedded.start()
    connection = connect(embedded.websocket_url, "x")
    assert connection.wait_until_up(60)
    until(lambda: connection.post(lambda: connection.publish(Outgoing("x", b"1", 0))) or heard(connection), 5)
    assert heard(connection)[0] == ("x", b"1")
    embedded.stop()


@pytest.fixture
def secured(tmp_path):
    """mosquitto with our production configuration, one account, and TLS on a second listener."""
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    passwords, certificate, key = tmp_path / "passwords", tmp_path / "server.pem", tmp_path / "server.key"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "rov1", "right"], check=True)
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    (tmp_path / "acl").touch()
    ports = free_port("127.0.0.1"), free_port("127.0.0.1")
    config = tmp_path / "mosquitto.conf"
    config.write_text(
        _production_config()
        .replace("listener 1883", f"listener {ports[0]} 127.0.0.1")
        .replace("/mosquitto/config/", f"{tmp_path}/")
        .replace("/mosquitto/data/", f"{tmp_path}/")
        + f"\nuser root\nlistener {ports[1]} 127.0.0.1\ncertfile {certificate}\nkeyfile {key}\n"
    )
    process = subprocess.Popen([MOSQUITTO, "-c", config], stderr=subprocess.DEVNULL)
    until(lambda: _listens(ports[1]), 10, "mosquitto listening")
    yield ports, certificate
    process.terminate()
    process.wait(60)


def _production_config():
    return files("broker").joinpath("mosquitto.conf").read_text(encoding="utf-8")


def _listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_production_configuration_takes_the_right_password_and_refuses_the_wrong_one(secured, connect):
    (port, _), _ = secured
    good = connect(f"mqtt://127.0.0.1:{port}", username="rov1", password="right")
    assert good.wait_until_up(60)
    good.stop()
    for settings in ({"username": "rov1", "password": "wrong"}, {"username": "rov9", "password": "x"}, {}):
        bad = connect(f"mqtt://127.0.0.1:{port}", **settings)
        assert bad.wait_until_finished(60)
        assert isinstance(bad.failure, CredentialsError)
        assert settings.get("password", "nothing") not in str(bad.failure)


def test_tls_is_verified_with_the_ca_file(secured, connect):
    (_, port), certificate = secured
    account = {"username": "rov1", "password": "right"}
    assert connect(f"mqtts://localhost:{port}", ca_file=certificate, **account).wait_until_up(60)
    assert "certificate not accepted" in problem(connect(f"mqtts://localhost:{port}", **account))
    wrong_name = connect(f"mqtts://127.0.0.1:{port}", ca_file=certificate, **account)
    assert "certificate not accepted" in problem(wrong_name)


def test_two_programs_of_one_account_are_warned_and_slow_down(secured, connect, caplog):
    (port, _), _ = secured
    with caplog.at_level(logging.WARNING):
        pair = [connect(f"mqtt://127.0.0.1:{port}", username="rov1", password="right") for _ in range(2)]
        until(lambda: "does another program use account 'rov1'?" in caplog.text, 20, "the hint")
    assert max(connection.reconnects for connection in pair) < 40


def test_a_renewed_password_file_that_cannot_be_read_is_waited_for(secured, connect, tmp_path):
    (port, _), _ = secured
    file = tmp_path / "secret"
    file.write_text("right\n")
    connection = connect(f"mqtt://127.0.0.1:{port}", username="rov1", password_file=file)
    assert connection.wait_until_up(60)
    file.write_bytes(b"\xff")
    connection.post(lambda: connection._client.socket().shutdown(socket.SHUT_RDWR))
    until(lambda: isinstance(connection.problem, PasswordFileError), 10, "the problem")
    file.write_text("right\n")
    assert connection.wait_until_up(60)


def test_a_command_reports_at_once_what_waiting_does_not_mend(secured, monkeypatch):
    monkeypatch.setattr(client, "_CONNECT_S", 60)
    (port, tls_port), _ = secured
    for url, error in (
        (f"mqtt://127.0.0.1:{port}", CredentialsError),
        (f"mqtts://localhost:{tls_port}", CertificateError),
    ):
        settings = ConnectionSettings(broker=url, username="rov1", password="wrong")
        connection = Connection(settings, Quiet(), SystemClock(), name="test")
        begun_s = time.monotonic()
        with pytest.raises(error), client.connected(connection, 60):
            pass
        assert time.monotonic() - begun_s < 20
