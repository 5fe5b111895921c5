"""A UDP socket's kernel stamps: recorded control messages of both widths, and this machine's own."""

import errno
import random
import socket
import struct
import sys

import pytest

from runtime import stamped_socket
from runtime.errors import ListenError
from runtime.stamped_socket import StampedSocket, listening
from tests.deadline import until
from tests.effort import tries

AT = 1_777_636_800, 123_456_789
AT_NS = AT[0] * 10**9 + AT[1]
SOCKET = socket.SOL_SOCKET


def error(number, *, code=errno.ENOMSG, origin=4, info=0):
    return struct.pack("@IBBBBII", code, origin, 0, 0, 0, info, number)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (37, struct.pack("=6q", *AT, 0, 0, 0, 0)),
        (65, struct.pack("=6q", *AT, 0, 0, 0, 0)),
        (37, struct.pack("=6i", *AT, 0, 0, 0, 0)),
    ],
)
def test_a_stamp_is_read_in_either_width(kind, content):
    assert stamped_socket._stamp([(SOCKET, kind, content)]) == AT_NS


def test_what_is_no_stamp_is_none():
    assert stamped_socket._stamp([]) == 0
    assert stamped_socket._stamp([(SOCKET, 37, b"short"), (socket.IPPROTO_IP, 37, bytes(48))]) == 0


@pytest.mark.parametrize(("level", "kind"), [(socket.IPPROTO_IP, 11), (socket.IPPROTO_IPV6, 25)])
def test_a_departures_number_is_read_with_either_family(level, kind):
    assert stamped_socket.datagram_number([(level, kind, error(17) + bytes(16))]) == 17
    assert stamped_socket.datagram_number([(level, kind, error(17, origin=2))]) is None  # ICMP
    assert (
        stamped_socket.datagram_number([(level, kind, error(17, info=1))]) is None
    )  # of the queue, not of the sending
    assert stamped_socket.datagram_number([(level, kind, error(17)[:8])]) is None


class Recorded(StampedSocket):
    """A socket whose error queue is given."""

    def __init__(self, *queue):
        self.socket, self._recvmsg, self._sendto = self, self.recvmsg, self.sendto
        self.refused = None
        self._next = self._uncounted = self._failures = self._sure_from = 0
        self._left = stamped_socket.OrderedDict()
        self.queue = list(queue)
        self.unsent = 0

    def sendto(self, _data, _to):
        if self.unsent:
            self.unsent -= 1
            raise OSError(errno.ENOBUFS, "no buffer space")

    def recvmsg(self, _size, _ancillary, _flags):
        if not self.queue:
            raise BlockingIOError
        number, at_ns = self.queue.pop(0)
        stamp = struct.pack("=6q", *divmod(at_ns, 10**9), 0, 0, 0, 0)
        control = [(SOCKET, 37, stamp), (socket.IPPROTO_IP, 11, error(number) + bytes(16))]
        return b"", control, 0, None


def test_departures_come_in_any_order_and_each_once():
    sockets = Recorded()
    assert [sockets.send(b"", ("", 0)) for _ in range(4)] == [0, 1, 2, 3]
    sockets.queue = [(1, 2000), (0, 1000), (0, 9000), (2, 3000)]
    assert sockets.left(0) == 1000
    assert sockets.left(0) == 9000  # a repeated stamp is of nobody: it is asked for no more
    assert [sockets.left(number) for number in (1, 2, 3)] == [2000, 3000, 0]


class Kernel(Recorded):
    """A socket whose kernel counts what it cannot send, or does not, and stamps the rest sooner or later."""

    def __init__(self, chance):
        super().__init__()
        self.chance, self.counted, self.waiting, self.true = chance, 2**32 - 7, [], {}

    def sendto(self, _data, _to):
        failed = self.chance.random() < 0.05
        self.counted += not failed or self.chance.random() < 0.5
        if failed:
            raise OSError(errno.EPERM, "operation not permitted")
        self.waiting.append(((self.counted - 1) % 2**32, 1000 + self.counted))
        self.last = 1000 + self.counted
        if self.chance.random() < 0.7:
            self.chance.shuffle(self.waiting)
            self.queue, self.waiting = self.queue + self.waiting, []


def test_no_datagram_has_the_stamp_of_another_whichever_failed_and_were_counted():
    known = 0
    for seed in range(tries(40)):
        chance = random.Random(seed)
        sockets, sent = Kernel(chance), {}
        sockets._uncounted = 2**32 - 7
        for _ in range(300):
            number = sockets.send(b"", ("", 0))
            if number is not None:
                sent[number] = sockets.last
            if sent and chance.random() < 0.5:
                asked = chance.choice([*sent])
                stamp_ns = sockets.left(asked)
                assert stamp_ns in {0, sent.pop(asked)}
                known += stamp_ns > 0
    assert known > 40 * tries(40)


def test_a_datagram_that_failed_and_was_counted_puts_no_stamp_on_another():
    sockets = Recorded()
    sockets.unsent = 1
    assert sockets.send(b"", ("", 0)) is None
    sockets.queue = []
    number, following = (sockets.send(b"", ("", 0)) for _ in range(2))
    sockets.queue = [(1, 5000), (2, 6000)]  # the kernel counted the one that failed
    assert sockets.left(number) == 0  # it may be the next one's
    assert sockets.left(following) == 6000
    following = sockets.send(b"", ("", 0))
    sockets.queue = [(3, 7000)]
    assert sockets.left(following) == 7000


def test_stamps_that_nobody_asks_for_are_bounded():
    sockets = Recorded(*((number, number + 1) for number in range(500)))
    for _ in range(500):
        sockets.send(b"", ("", 0))
    sockets.collect(10**6)
    assert len(sockets._left) == 64


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has these stamps")
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_this_kernel_stamps_arrival_and_departure(family):
    try:
        answering, asking = StampedSocket(family), StampedSocket(family)
        answering.socket.bind(("127.0.0.1" if family is socket.AF_INET else "::1", 0))
    except OSError as failed:
        pytest.skip(str(failed))
    to = answering.socket.getsockname()

    def exchanged():
        number = asking.send(b"x" * 88, to)
        data, arrived_ns, _ = until(lambda: answering.receive(89))
        assert data == b"x" * 88
        left_ns = asking.left(number)
        return arrived_ns and left_ns and (arrived_ns, left_ns)

    # The kernel begins to stamp a moment after it was first asked to.
    arrived_ns, left_ns = until(exchanged)
    assert 0 < arrived_ns - left_ns < 10**9
    answering.close()
    asking.close()


def test_a_port_that_is_taken_is_named():
    first = listening("--udp-port", "", 0)
    port = first.socket.getsockname()[1]
    with pytest.raises(ListenError, match=f"--udp-port: cannot listen on port {port}"):
        listening("--udp-port", "", port)
    first.close()
