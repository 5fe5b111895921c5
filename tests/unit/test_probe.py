"""A broker's port is tried in a thread: what is due goes on meanwhile."""

import socket
import threading

import pytest

from broker import probe
from broker.address import parse_address
from tests.ports import free_port


def slow():
    return not threading.Event().wait(0.005)


def test_a_port_that_listens_is_reached_and_one_that_does_not_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        probe.reach(parse_address(f"mqtt://127.0.0.1:{listener.getsockname()[1]}"), 5.0, slow)
    with pytest.raises(ConnectionRefusedError):
        probe.reach(parse_address(f"mqtt://127.0.0.1:{free_port('127.0.0.1')}"), 5.0, slow)


def test_work_goes_on_until_the_port_answers_or_nobody_wants_to_wait(monkeypatch):
    answered, calls = threading.Event(), []
    monkeypatch.setattr(socket, "create_connection", lambda *_: answered.wait(60) and socket.socket())

    def work(most):
        calls.append(1)
        if len(calls) == most:
            answered.set()
        return slow()

    probe.reach(parse_address("mqtt://gone"), 5.0, lambda: work(7))
    assert len(calls) >= 7
    answered.clear()
    probe.reach(parse_address("mqtt://gone"), 5.0, lambda: False)
    assert not answered.is_set()
    answered.set()
