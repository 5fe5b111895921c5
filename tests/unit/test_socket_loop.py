"""Messages that gather before a read: never while the broker waits, nor while there is more to read."""

import socket

import pytest

from broker.client.socket_loop import _MOST_READS, MOST_HELD_BACK, SocketLoop


class Wakeup:
    """Notes how long was paused."""

    def __init__(self):
        self.pauses = []
        self._pair = socket.socketpair()

    def fileno(self):
        return self._pair[0].fileno()

    def pause(self, seconds):
        self.pauses.append(seconds)


class Client:
    """Each read finds a message more; the test says of what kind."""

    wants_to_write = False
    gathers = False

    def __init__(self, *, acknowledges=0, drains=True):
        self.ours, self._theirs = socket.socketpair()
        self._theirs.send(b"always readable")
        self.acknowledged, self._acknowledges, self.more = 0, acknowledges, not drains
        self.reads = 0

    def read_together(self):
        self.gathers = True

    def socket(self):
        return self.ours

    def pending(self):
        return 0

    def loop_read(self):
        self.reads += 1
        self.acknowledged += self._acknowledges

    def loop_misc(self):
        pass


@pytest.fixture
def wakeup():
    return Wakeup()


def reads(client, wakeup, gather_s, rounds=5):
    loop = SocketLoop(client, wakeup, gather_s)
    for _ in range(rounds):
        loop.run_once(60.0)
    assert client.reads == rounds
    return wakeup.pauses


def test_messages_gather_between_reads(wakeup):
    assert reads(Client(), wakeup, 0.1) == [0.1] * 4


def test_a_broker_that_waits_for_acknowledgements_is_read_again_at_once(wakeup):
    assert reads(Client(acknowledges=MOST_HELD_BACK), wakeup, 0.1) == []


def test_messages_that_were_acknowledged_gather_while_the_broker_waits_for_nothing(wakeup):
    assert reads(Client(acknowledges=MOST_HELD_BACK - 1), wakeup, 0.1) == [0.1] * 4


def test_what_one_read_did_not_take_is_read_at_once(wakeup):
    assert reads(Client(drains=False), wakeup, 0.1) == []


def test_nothing_gathers_unless_asked_for(wakeup):
    assert reads(Client(), wakeup, 0.0) == []


@pytest.mark.parametrize(("left", "expected"), [(0, 1), (3, 4), (10**6, _MOST_READS)])
def test_what_has_arrived_is_read_before_anything_else_is_done_but_not_for_ever(wakeup, left, expected):
    client = Client()

    def loop_read():
        client.reads += 1
        client.more = client.reads <= left

    client.loop_read = loop_read
    SocketLoop(client, wakeup).run_once(60.0)
    assert client.reads == expected
