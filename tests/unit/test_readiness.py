"""Readiness: what a wait on a socket and a wake-up says, by poll and by select alike."""

import socket

import pytest

from broker.client.socket_loop import READABLE, WOKEN, WRITABLE, SelectReadiness, Wakeup, readiness

WAYS = [SelectReadiness, readiness]


@pytest.fixture
def pair():
    near, far = socket.socketpair()
    with near, far:
        yield near, far


@pytest.mark.parametrize("way", WAYS)
def test_it_tells_what_can_be_read_and_written_and_who_woke_it(way, pair):
    near, far = pair
    wakeup = Wakeup()
    ready = way(wakeup)
    assert ready.wait(near, 0.0, writes=False) == 0
    assert ready.wait(near, 0.0, writes=True) == WRITABLE
    wakeup.wake()
    far.send(b"x")
    assert ready.wait(near, 5.0, writes=False) == READABLE | WOKEN
    wakeup.drain()
    near.recv(1)
    assert ready.wait(near, 0.0, writes=False) == 0


@pytest.mark.parametrize("way", WAYS)
def test_the_end_of_a_connection_is_readable(way, pair):
    near, far = pair
    far.close()
    assert way(Wakeup()).wait(near, 5.0, writes=False) & READABLE


@pytest.mark.parametrize("way", WAYS)
def test_a_closed_socket_is_an_error_and_the_next_one_is_served(way):
    ready = way(Wakeup())
    for _ in range(2):
        near, far = socket.socketpair()
        with far:
            far.send(b"x")
            assert ready.wait(near, 5.0, writes=False) == READABLE
            near.close()
            with pytest.raises((OSError, ValueError)):
                ready.wait(near, 0.0, writes=False)
