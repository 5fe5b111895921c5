"""The kernel's stamps on real loopback TCP: whose they are, in which direction they err, where they end."""

import contextlib
import errno
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

from broker.client import stamping_tls
from broker.client.stamping_socket import READ_AHEAD, StampingSocket
from broker.client.stamping_tls import StampingTls
from tests.deadline import delay, until

linux = pytest.mark.skipif(sys.platform != "linux", reason="kernel stamps are Linux's")


def tcp_pair():
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname(), 60)
        far, _ = server.accept()
    far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    far.settimeout(60)
    return near, far


@pytest.fixture
def pair():
    plain, far = tcp_pair()
    near = StampingSocket.adopt(plain)
    with near, far:
        awake(near, far)
        yield near, far


def awake(near, far):
    """The kernel begins to stamp a moment after it was asked for the first time."""

    def stamped():
        far.send(b"?")
        near.recv(1)
        return near.arrival() is not None or near.refused

    until(stamped, 10, "a stamp of the kernel's")


def queued(near, count):
    """Wait until `count` bytes have arrived."""
    until(lambda: len(near.recvmsg(count, 0, socket.MSG_PEEK)[0]) >= count, 10, f"{count} bytes")


def arrived_ns(near):
    stamp = near.arrival()
    assert stamp is not None
    return stamp.realtime_ns


@linux
def test_the_stamp_is_the_arrivals_however_late_it_is_read(
    pair,
):
    near, far = pair
    before_ns = time.time_ns()
    far.send(b"ping")
    queued(near, 4)
    after_ns = time.time_ns()
    delay(0.02)
    assert near.recv(100) == b"ping"
    stamp = near.arrival()
    assert stamp is not None
    assert before_ns <= stamp.realtime_ns <= after_ns
    assert stamp.exact


@linux
@pytest.mark.parametrize("read_ahead", [True, False])
def test_of_two_messages_read_late_the_first_is_inexact_and_neither_stamp_is_early(
    pair, read_ahead, monkeypatch
):
    near, far = pair
    if not read_ahead:
        monkeypatch.setattr("broker.client.stamping_socket.READ_AHEAD", 1)
    sent_ns = []
    for message in (b"one", b"two"):
        sent_ns.append(time.time_ns())
        far.send(message)
        delay(0.01)
    queued(near, 6)
    assert near.recv(3) == b"one"
    first = near.arrival()
    assert near.recv(3) == b"two"
    second = near.arrival()
    assert first is not None
    assert second is not None
    assert (first.exact, second.exact) == (False, True)
    assert first.realtime_ns >= sent_ns[0]
    assert second.realtime_ns >= sent_ns[1]


@linux
def test_a_message_in_two_segments_has_the_stamp_of_the_one_that_completes_it(
    pair,
):
    near, far = pair
    far.send(b"one")
    assert near.recv(3) == b"one"
    delay(0.01)
    completed_ns = time.time_ns()
    far.send(b"two")
    assert near.recv(3) == b"two"
    assert arrived_ns(near) >= completed_ns


@linux
def test_a_read_that_brings_no_stamp_does_not_keep_the_one_before(pair, monkeypatch):
    near, _ = pair
    assert near.arrival() is not None
    monkeypatch.setattr(StampingSocket, "recvmsg", lambda *_: (b"x", [], 0, None))
    assert near.recv(1) == b"x"
    assert near.arrival() is None


def test_what_was_read_ahead_is_pending(pair):
    near, far = pair
    far.send(b"x" * 10)
    queued(near, 10)
    assert near.recv(4) == b"xxxx"
    assert near.pending() == 6
    assert near.recv(READ_AHEAD) == b"xxxxxx"
    assert near.pending() == 0


def test_a_kernel_that_refuses_leaves_an_ordinary_socket_and_says_so(monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    plain, far = tcp_pair()
    monkeypatch.setattr(StampingSocket, "setsockopt", refuse)
    near = StampingSocket.adopt(plain)
    with near, far:
        far.send(b"ping")
        assert near.recv(4) == b"ping"
        assert near.arrival() is None
        assert near.refused is not None
        assert "not permitted" in near.refused or "has none" in near.refused


def test_the_connections_time_out_is_kept_and_its_end_is_seen():
    plain, far = tcp_pair()
    near = StampingSocket.adopt(plain)
    with near:
        assert near.gettimeout() == 60
        near.setblocking(False)
        with pytest.raises(BlockingIOError):
            near.recv(1)
        far.close()
        near.settimeout(60)
        assert near.recv(1) == b""


# TLS


LEAST_RECORD = 25
"""Bytes of a record of three."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "server.pem", folder / "server.key"
    wanted = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    named = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        ["openssl", "req", "-x509", *wanted, *named, "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    return certificate, key


class TlsPair:
    """A stamping TLS client and a server in a thread, handshake done; `far` is the server's end."""

    def __init__(self, certificate, *, host="localhost", trust=True, tickets=2):
        plain, far = tcp_pair()
        self.tcp = StampingSocket.adopt(plain)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)
        context.num_tickets = tickets
        accepted: list[ssl.SSLSocket] = []

        def accept():
            with contextlib.suppress(OSError):
                accepted.append(context.wrap_socket(far, server_side=True))

        server = threading.Thread(target=accept)
        server.start()
        try:
            trusted = ssl.create_default_context(cafile=certificate[0] if trust else None)
            self.near = StampingTls(self.tcp, trusted, host)
        finally:
            server.join(60)
        self.far = accepted[0]
        self.far.settimeout(60)

    def awake(self):
        def stamped():
            self.far.send(b"?")
            assert self.near.recv(1) == b"?"
            return self.near.arrival() is not None

        until(stamped, 10, "a stamp of the kernel's")
        return self


def test_a_session_ticket_that_was_read_ahead_is_not_waited_for(certificate, monkeypatch):
    monkeypatch.setattr(stamping_tls, "_ALERT_S", 30.0)
    begun_s = time.monotonic()
    TlsPair(certificate, tickets=1)
    assert time.monotonic() - begun_s < 20


@linux
def test_tls_records_carry_the_stamp_of_their_own_arrival(certificate):
    tls = TlsPair(certificate).awake()
    sent_ns = time.time_ns()
    tls.far.send(b"one")
    queued(tls.tcp, 5)
    after_ns = time.time_ns()
    delay(0.02)
    assert tls.near.recv(2) == b"on"
    part = tls.near.arrival()
    assert tls.near.recv(2) == b"e"
    whole = tls.near.arrival()
    assert part is not None
    assert whole is not None
    assert (part.exact, whole.exact) == (False, True)
    assert sent_ns <= whole.realtime_ns <= after_ns


@linux
def test_of_two_tls_records_read_late_the_first_is_inexact(certificate):
    tls = TlsPair(certificate).awake()
    tls.far.send(b"one")
    delay(0.01)
    second_ns = time.time_ns()
    tls.far.send(b"two")
    queued(tls.tcp, 2 * LEAST_RECORD)
    assert tls.near.recv(3) == b"one"
    first = tls.near.arrival()
    assert tls.near.pending()
    assert tls.near.recv(3) == b"two"
    second = tls.near.arrival()
    assert first is not None
    assert second is not None
    assert (first.exact, second.exact) == (False, True)
    assert second.realtime_ns >= second_ns


def test_tls_carries_much_in_both_directions_and_sees_the_end(certificate):
    tls = TlsPair(certificate)
    sent = bytes(range(256)) * 400
    tls.near.send(sent)
    received = b""
    while len(received) < len(sent):
        received += tls.far.recv(65536)
    assert received == sent
    tls.far.sendall(sent)
    back = b""
    while len(back) < len(sent):
        back += tls.near.recv(5000)
    assert back == sent
    tls.far.close()
    assert tls.near.recv(1) == b""


def test_a_full_tls_socket_takes_a_packet_whole_or_not_at_all(certificate):
    tls = TlsPair(certificate)
    tls.near.setblocking(False)
    taken = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            taken += tls.near.send(bytes(10_000))
    assert tls.near.unsent
    received = 0
    while received < taken:
        received += len(tls.far.recv(65536))
        with contextlib.suppress(BlockingIOError):
            tls.near.flush()
    assert received == taken
    assert not tls.near.unsent


@pytest.mark.parametrize(("host", "trust"), [("example.org", True), ("localhost", False)])
def test_a_certificate_of_another_name_or_of_nobody_is_refused(certificate, host, trust):
    with pytest.raises(ssl.SSLCertVerificationError):
        TlsPair(certificate, host=host, trust=trust)


def test_a_server_that_speaks_no_tls_is_noticed_at_its_first_words():
    plain, far = tcp_pair()
    far.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with far, pytest.raises(ssl.SSLError):
        StampingTls(StampingSocket.adopt(plain), ssl.create_default_context(), "localhost")
