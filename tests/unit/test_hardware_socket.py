"""A UDP socket's hardware stamps: constructed control messages of both families, and this machine's own."""

import errno
import socket
import struct
import sys

import pytest

from runtime import hardware_socket
from runtime.hardware_socket import DatagramStamp, DepartureStamp, HardwareSocket
from tests.deadline import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux has these stamps")

S = 10**9
SOFTWARE_NS, HARDWARE_NS = 1_777_636_800 * S + 20_000, 1_777_636_837 * S + 7
SOCKET, IP, IPV6 = socket.SOL_SOCKET, socket.IPPROTO_IP, socket.IPPROTO_IPV6
ADDRESS = bytes((192, 0, 2, 1))


def stamps(software_ns, hardware_ns, *, kind=37, form="q"):
    parts = [*divmod(software_ns, S), 0, 0, *divmod(hardware_ns, S)]
    return SOCKET, kind, struct.pack("=6" + form, *parts)


def of_device(index):
    return SOCKET, 58, struct.pack("=4I", index, 130, 0, 0)


def of_interface(index, family=IP):
    if family == IP:
        return IP, 8, struct.pack("=I", index) + 2 * ADDRESS
    return IPV6, 50, bytes(16) + struct.pack("=I", index)


def of_number(number, family=IP, *, info=0):
    return (
        family,
        {IP: 11, IPV6: 25}[family],
        struct.pack("@IBBBBII", 42, 4, 0, 0, 0, info, number) + bytes(28),
    )


class Recorded(HardwareSocket):
    """A socket whose messages are given; nothing is sent."""

    def __init__(self, family=socket.AF_INET):
        super().__init__(family)
        self.arrivals, self.departures = [], []
        self._plain = self.recorded
        self.close()
        self.socket = self
        self._sendto = self.sendto

    def sendto(self, _data, _to):
        return 88

    def close(self):
        if self.socket is not self:
            super().close()

    def recorded(self, _size, room, flags=0):
        assert room >= 256
        given = self.departures if flags & socket.MSG_ERRQUEUE else self.arrivals
        if not given:
            raise BlockingIOError(errno.EAGAIN, "nothing")
        return b"x" * 88, given.pop(0), 0, ("192.0.2.2", 9151)

    def arrived(self, *messages):
        self.arrivals.append(list(messages))
        return self.receive(89)[1]


@pytest.fixture
def recorded():
    return Recorded()


@pytest.mark.parametrize("family", [IP, IPV6])
@pytest.mark.parametrize(("kind", "form"), [(37, "q"), (65, "q"), (37, "i")])
def test_an_arrival_has_both_stamps_and_both_interfaces(recorded, family, kind, form):
    both = stamps(SOFTWARE_NS, HARDWARE_NS, kind=kind, form=form)
    stamp = recorded.arrived(of_device(2), both, of_interface(2, family))
    assert stamp == SOFTWARE_NS
    assert (stamp.hardware_ns, stamp.device, stamp.interface) == (HARDWARE_NS, 2, 2)


def test_what_an_arrival_lacks_is_not_known(recorded):
    software = recorded.arrived(stamps(SOFTWARE_NS, 0), of_interface(3))
    assert (software.hardware_ns, software.device, software.interface) == (0, 0, 3)
    assert recorded.arrived(stamps(0, HARDWARE_NS), of_device(2), of_interface(2)) == 0
    assert recorded.arrived() == 0
    short = recorded.arrived((SOCKET, 37, b"short"), (SOCKET, 58, b""), (IP, 8, b""), (IPV6, 50, bytes(16)))
    assert short == 0
    assert recorded.receive(89) is None


@pytest.mark.parametrize("family", [IP, IPV6])
def test_a_departures_two_stamps_come_one_by_one(recorded, family):
    numbers = [recorded.send(b"", ("", 0)) for _ in range(3)]
    where = of_interface(2, family)
    for number in (0, 1, 2):
        recorded.departures.append([stamps(SOFTWARE_NS + number, 0), where, of_number(number, family)])
    for number in (2, 0):
        recorded.departures.append([stamps(0, HARDWARE_NS + number), where, of_number(number, family)])
    left = [recorded.left(number) for number in numbers]
    assert left == [SOFTWARE_NS, SOFTWARE_NS + 1, SOFTWARE_NS + 2]
    assert [stamp.hardware_ns for stamp in left] == [HARDWARE_NS, 0, HARDWARE_NS + 2]
    assert [stamp.device for stamp in left] == [2, 0, 2]
    assert [stamp.interface for stamp in left] == [2, 2, 2]
    assert all(isinstance(stamp, DepartureStamp) for stamp in left)
    assert recorded.left(0) == 0


def test_a_hardware_stamp_without_the_softwares_is_nobodys(recorded):
    recorded.send(b"", ("", 0))
    recorded.departures.append([stamps(0, HARDWARE_NS), of_interface(2), of_number(0)])
    assert recorded.left(0) == 0


def test_what_is_no_departure_is_none(recorded):
    recorded.send(b"", ("", 0))
    recorded.departures += [
        [stamps(0, HARDWARE_NS), of_interface(2), of_number(0, info=1)],  # of the queue, not of the sending
        [stamps(0, HARDWARE_NS), of_interface(2)],
        [stamps(SOFTWARE_NS, 0), of_interface(2), of_number(0)],
    ]
    stamp = recorded.left(0)
    assert (stamp, stamp.hardware_ns, stamp.interface) == (SOFTWARE_NS, 0, 2)


def test_two_departures_of_one_software_stamp_have_no_hardware_stamp(recorded):
    numbers = [recorded.send(b"", ("", 0)) for _ in range(2)]
    for number in numbers:
        recorded.departures.append([stamps(SOFTWARE_NS, 0), of_interface(2), of_number(number)])
        recorded.departures.append([stamps(0, HARDWARE_NS + number), of_interface(2), of_number(number)])
    assert [recorded.left(number).hardware_ns for number in numbers] == [0, 0]


def test_stamps_that_nobody_asks_for_are_bounded(recorded):
    for number in range(500):
        recorded.send(b"", ("", 0))
        recorded.departures.append([stamps(SOFTWARE_NS + number, 0), of_interface(2), of_number(number)])
        recorded.departures.append([stamps(0, HARDWARE_NS + number), of_interface(2), of_number(number)])
    recorded.collect(10**6)
    assert (len(recorded._counted), len(recorded._of_hardware)) == (64, 64)


def test_a_system_that_gives_no_stamps_without_the_datagram_gives_none_of_the_hardware(monkeypatch, tmp_path):
    (tmp_path / "allows").write_text("0\n")
    monkeypatch.setattr(hardware_socket, "_ALLOWS_DATA", str(tmp_path / "allows"))
    used = HardwareSocket(socket.AF_INET)
    used.close()
    assert used.refused is None
    assert used.hardware_refused.endswith("allows is 0")


@pytest.mark.parametrize(
    ("family", "host", "to"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET6, "::1", "::1"),
        (socket.AF_INET6, "::", "::ffff:127.0.0.1"),
    ],
)
def test_this_kernel_says_which_interface_a_datagram_used_both_ways(family, host, to):
    try:
        answering, asking = HardwareSocket(family), HardwareSocket(family)
        for used in (answering, asking):
            if family is socket.AF_INET6:
                used.socket.setsockopt(IPV6, socket.IPV6_V6ONLY, 0)
        answering.socket.bind((host, 0))
    except OSError as failed:
        pytest.skip(str(failed))
    if asking.hardware_refused:
        pytest.skip(asking.hardware_refused)
    port = answering.socket.getsockname()[1]

    def exchanged():
        number = asking.send(b"x" * 88, (to, port))
        data, arrived, _ = until(lambda: answering.receive(89))
        assert data == b"x" * 88
        left = asking.left(number)
        return isinstance(arrived, DatagramStamp) and left and (arrived, left)

    arrived, left = until(exchanged)  # the kernel begins to stamp a moment after it was first asked to
    loopback = socket.if_nametoindex("lo")
    assert (arrived.interface, left.interface) == (loopback, loopback)
    assert (arrived.hardware_ns, left.hardware_ns) == (0, 0)
    answering.close()
    asking.close()
