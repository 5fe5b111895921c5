"""The listening socket of every web server."""

import contextlib
import errno
import os
import select
import socket

import pytest

from runtime import listener as listener_module
from runtime.errors import ListenError
from runtime.listener import Limits, free_port, limits, open_listener, refused, url_of
from tests.deadline import until

pytestmark = pytest.mark.filterwarnings("error::ResourceWarning")


def reached(host, port):
    with socket.create_connection((host, port), timeout=60):
        return True


@pytest.mark.parametrize(
    ("host", "url"), [("127.0.0.1", "http://127.0.0.1:%d/"), ("::1", "http://[::1]:%d/")]
)
def test_a_port_of_either_protocol_listens(host, url):
    with open_listener("--port", host, 0) as listener:
        port = listener.getsockname()[1]
        assert reached(host, port)
        assert url_of(listener, host) == url % port


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no dual stack here")
def test_all_addresses_of_ipv6_serve_ipv4_too():
    with open_listener("--port", "::", 0) as listener:
        port = listener.getsockname()[1]
        assert reached("::1", port)
        assert reached("127.0.0.1", port)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_in_use_is_an_error_that_names_setting_port_and_host(host):
    with open_listener("--port", host, 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ListenError) as caught:
            open_listener("--http-port", host, port)
    assert str(caught.value) == (
        f"--http-port: cannot listen on port {port}, host {host}: address already in use"
    )
    assert (caught.value.in_use, caught.value.exit_code) == (True, 2)


@pytest.mark.parametrize(
    ("host", "reason"),
    [("192.0.2.1", "cannot assign requested address"), ("no-such-host.invalid", "")],
)
def test_a_host_that_is_not_this_machine_is_an_error_that_names_it(host, reason):
    with pytest.raises(ListenError, match=rf"port 0, host {host}: {reason}") as caught:
        open_listener("--port", host, 0)
    assert not caught.value.in_use


def test_a_port_without_permission_is_an_error_that_says_so(monkeypatch):
    def refused(*_arguments, **_options):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(socket, "create_server", refused)
    with pytest.raises(ListenError, match=r"port 80, host 127\.0\.0\.1: permission denied"):
        open_listener("--port", "127.0.0.1", 80)


def connected(listener, source="127.0.0.1"):
    """A client's end, and the server's; None where the connection was refused."""
    client = socket.create_connection(listener.getsockname()[:2], timeout=60, source_address=(source, 0))
    until(lambda: select.select([listener], [], [], 0)[0], what="the connection, at the server")
    try:
        return client, listener.accept()[0]
    except BlockingIOError:
        assert client.recv(1) == b""
        client.close()
        return None


@contextlib.contextmanager
def limited(**limits):
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(open_listener("--port", "127.0.0.1", 0, Limits(**limits)))

        def connect(source="127.0.0.1"):
            ends = connected(listener, source)
            for end in ends or ():
                stack.enter_context(end)
            return ends

        yield listener, connect


@pytest.fixture
def hours(monkeypatch):
    """Sets the listener's clock forward, s."""
    now_s = [1000.0]
    monkeypatch.setattr(listener_module.time, "monotonic", lambda: now_s[0])
    return lambda seconds: now_s.__setitem__(0, now_s[0] + seconds)


def has_ended(end):
    end.setblocking(False)
    try:
        return end.recv(1) == b""
    except BlockingIOError:
        return False


def test_one_address_gets_its_share_and_others_theirs_until_all_is_taken():
    before = refused.copy()
    with limited(connections=5, per_address=3) as (_, connect):
        assert [bool(connect()) for _ in range(5)] == [True, True, True, False, False]
        assert [bool(connect("127.0.0.2")) for _ in range(3)] == [True, True, False]
    assert refused - before == {"address": 2, "all": 1}


def test_what_was_closed_makes_room():
    with limited(connections=2, per_address=2) as (_, connect):
        _, first = connect()
        assert connect()
        assert connect() is None
        first.close()
        assert connect()


def test_a_connection_on_which_nothing_is_sent_is_ended_and_one_that_is_answered_stays(hours):
    with limited(connections=50, per_address=50, first_s=10, idle_s=15) as (listener, connect):
        silent, slow, answered = connect(), connect(), connect()
        hours(9)
        slow[0].sendall(b"GET / HTTP/1.1\r\nX-Endless: ")
        answered[1].sendall(b"HTTP/1.1 200 OK\r\n")
        hours(2)
        listener.end_idle()
        assert [has_ended(near) for _, near in (silent, slow, answered)] == [True, False, False]
        assert slow[1].recv(100)
        assert has_ended(slow[1])
        hours(14)
        listener.end_idle()
        assert has_ended(answered[1])


def test_without_an_idle_limit_only_the_first_answer_is_waited_for_in_vain(hours):
    with limited(connections=4, per_address=4, first_s=10, idle_s=None) as (listener, connect):
        unanswered, *answered = (connect() for _ in range(4))
        for _, near in answered:
            near.send(b"\x20\x02\x00\x00")
        hours(100_000)
        listener.end_idle()
        assert [has_ended(near) for _, near in (unanswered, *answered)] == [True, False, False, False]


def test_while_it_is_crowded_those_end_that_have_waited_longest_and_streams_go_on(hours):
    with limited(connections=8, per_address=8) as (listener, connect):
        first, second, stream, *newest = (hours(0.1) or connect() for _ in range(8))
        listener.end_idle()
        assert not has_ended(first[1])  # a moment is given to everyone
        hours(2)
        stream[1].send(b"data: {}\n\n")
        listener.end_idle()
        assert [has_ended(near) for _, near in (first, second, stream, *newest)] == [True, True] + [False] * 6


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_without_a_file_left_a_peer_is_disconnected_and_the_next_is_served_later(monkeypatch, number):
    real, failing = socket.socket.accept, [True]

    def accept(self):
        if failing and failing.pop():
            raise OSError(number, os.strerror(number))
        return real(self)

    before = refused.copy()
    with limited(connections=5, per_address=5) as (_, connect):
        monkeypatch.setattr(socket.socket, "accept", accept)
        assert connect() is None
        assert connect()
    assert refused - before == {"files": 1}


def test_the_caps_leave_files_for_the_broker_and_the_journals(monkeypatch):
    resource = pytest.importorskip("resource")
    for files, most in [(96, 16), (1024, 256), (256, 96), (10, 4), (resource.RLIM_INFINITY, 256)]:
        monkeypatch.setattr(resource, "getrlimit", lambda _, files=files: (files, files))
        found = limits()
        assert (found.connections, found.per_address) == (most, most // 2)


def test_a_flood_is_logged_once_a_minute(caplog, hours):
    with limited(connections=1, per_address=1) as (_, connect):
        for _ in range(5):
            connect()
        assert caplog.text.count("too many connections, the last of 127.0.0.1 (all); 1 at most") == 1
        hours(61)
        connect()
        assert caplog.text.count("too many connections") == 2


def test_a_free_port_is_not_one_that_is_given_to_whoever_connects():
    assert all(free_port("127.0.0.1") < 20_000 for _ in range(20))  # Linux gives those from 32768 on


def test_a_port_that_is_in_use_is_not_free(monkeypatch):
    taken = free_port("127.0.0.1")
    monkeypatch.setattr(listener_module.random.SystemRandom, "sample", lambda *_: [taken])
    with socket.create_server(("127.0.0.1", taken)):
        assert free_port("127.0.0.1") != taken
