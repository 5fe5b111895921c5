"""A UDP socket's kernel stamps: recorded control messages of both widths, and this machine's own."""

import errno
import socket
import struct
import sys

import pytest

from runtime import stamped_socket
from runtime.errors import ListenError
from runtime.stamped_socket import StampedSocket, listening
from tests.deadline import until

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
    assert stamped_socket._number([(level, kind, error(17) + bytes(16))]) == 17
    assert stamped_socket._number([(level, kind, error(17, origin=2))]) is None  # ICMP
    assert (
        stamped_socket._number([(level, kind, error(17, info=1))]) is None
    )  # of the queue, not of the sending
    assert stamped_socket._number([(level, kind, error(17)[:8])]) is None


class Recorded(StampedSocket):
    """A socket whose error queue is given."""

    def __init__(self, *queue):
        self.socket, self._recvmsg = self, self.recvmsg
        self.refused = None
        self._next = 0
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
    sockets = Recorded((1, 2000), (0, 1000), (0, 9000), (2, 3000))
    assert [sockets.send(b"", ("", 0)) for _ in range(4)] == [0, 1, 2, 3]
    assert sockets.left(0) == 1000
    assert sockets.left(0) == 9000  # a repeated stamp is of nobody: it is asked for no more
    assert [sockets.left(number) for number in (1, 2, 3)] == [2000, 3000, 0]


def test_a_datagram_that_failed_and_was_counted_puts_no_stamp_on_another():
    sockets = Recorded()
    sockets.unsent = 1
    assert sockets.send(b"", ("", 0)) is None
    number = sockets.send(b"", ("", 0))
    sockets.queue = [(1, 5000)]  # the kernel counted the one that failed
    assert sockets.left(number) == 5000
    following = sockets.send(b"", ("", 0))
    sockets.queue = [(2, 6000)]
    assert sockets.left(following) == 6000


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
