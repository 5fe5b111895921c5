"""The listening socket of every web server."""

import errno
import os
import socket

import pytest

from runtime.errors import ListenError
from runtime.listener import open_listener, url_of

pytestmark = pytest.mark.filterwarnings("error::ResourceWarning")


def reached(host, port):
    with socket.create_connection((host, port), timeout=5):
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
