"""The server of /metrics: where it listens, what it refuses, and that it ends."""

import contextlib
import http.client
import socket
import threading
import urllib.error
import urllib.request
from time import monotonic

import pytest

from runtime.errors import ListenError
from runtime.metrics_server import metrics_served
from tests.deadline import until
from tests.ports import free_port
from tests.unit import metric_examples as examples

HOST = "127.0.0.1"


def get(port, path="/metrics"):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as reply:
        return reply.status, reply.headers["content-type"], reply.read().decode()


def answered(port):
    """Not where the connections before this one are not yet ended: few of one address are served."""
    with contextlib.suppress(ConnectionError, urllib.error.URLError):
        return get(port)[0] == 200
    return False


def test_metrics_are_served_while_the_agent_runs_and_not_after():
    port = free_port()
    with metrics_served(HOST, port, examples.topside):
        status, content_type, text = get(port)
        assert (status, content_type.partition(";")[0]) == (200, "text/plain")
        assert 'tidesync_offset_seconds{topside="laptop",vehicle="rov1"} -0.1503' in text
    assert not any(thread.name == "metrics" for thread in threading.enumerate())
    with pytest.raises(urllib.error.URLError):
        get(port)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 405), ("OPTIONS", 405)])
def test_head_is_answered_as_get_is_and_another_method_learns_which(method, status):
    port = free_port()
    with metrics_served(HOST, port, examples.topside):  # each its own: an address has two connections
        connection = http.client.HTTPConnection(HOST, port, timeout=60)
        connection.request(method, "/metrics")
        reply = connection.getresponse()
        assert (reply.status, method == "HEAD" and reply.read() != b"") == (status, False)
        assert reply.headers["allow"] == (None if status == 200 else "GET, HEAD")
        connection.close()


def test_without_a_port_nothing_is_opened():
    before = threading.active_count()
    with metrics_served(HOST, None, examples.topside):
        assert threading.active_count() == before


def test_any_other_path_is_not_found():
    port = free_port()
    with (
        metrics_served(HOST, port, examples.topside),
        pytest.raises(urllib.error.HTTPError, match="404"),
    ):
        get(port, "/../../etc/passwd")


def test_a_port_that_is_taken_is_an_error_that_names_it():
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with (
            pytest.raises(ListenError, match=rf"--metrics-port.* {port}, host 127.0.0.1: address already"),
            metrics_served(HOST, port, examples.topside),
        ):
            pass


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_a_host_that_is_not_this_machine_is_an_error_that_names_it(host):
    with (
        pytest.raises(ListenError, match=host),
        metrics_served(host, 0, examples.topside),
    ):
        pass


def test_silent_peers_do_not_block_its_end(caplog):
    port = free_port()
    with metrics_served(HOST, port, examples.topside):
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        silent[0].sendall(b"\x16\x03\x01rubbish\r\n\r\n")
    for peer in silent:
        peer.close()
    faults = [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]
    assert [record for record in faults if "too many connections" not in record.getMessage()] == []


def test_a_header_without_end_is_read_up_to_its_limit():
    port = free_port()
    with (
        metrics_served(HOST, port, examples.topside),
        socket.create_connection(("127.0.0.1", port), 60) as peer,
    ):
        peer.sendall(b"GET /metrics HTTP/1.1\r\nX-Endless: " + b"x" * 15_000)
        with contextlib.suppress(ConnectionError):
            peer.sendall(b"x" * 10_000_000)
        with contextlib.suppress(ConnectionError):
            while peer.recv(65536):
                pass
        assert get(port)[0] == 200


def test_a_fault_in_what_is_served_is_an_error_reply_and_the_server_goes_on():
    port = free_port()
    broken = True

    def collect():
        if broken:
            raise RuntimeError("a fault of this program")
        return examples.topside()

    with metrics_served(HOST, port, collect):
        with pytest.raises(urllib.error.HTTPError, match="500"):
            get(port)
        broken = False
        assert get(port)[0] == 200


@pytest.mark.slow
def test_one_that_asks_without_end_is_answered_some_times_a_second():
    port = free_port()
    with metrics_served(HOST, port, examples.topside):
        began_s = monotonic()
        for _ in range(12):
            until(lambda: answered(port), what="an answer")
        assert monotonic() - began_s > 0.75
