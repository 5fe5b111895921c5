"""Direct exchanges over real sockets on loopback, where both clocks are one: the truth is 0."""

import random
import socket
import sys
import time

import pytest

from pi_agent.udp.interface import SessionTerms
from pi_agent.udp.service import UdpService
from runtime.clock import SimulatedClock, SystemClock
from schemas.datagram import Request, Seal, pack_request
from tests.deadline import until, within
from tests.ports import free_port
from topside_agent.udp.interface import Address, DirectExchange, PathState, PathTerms
from topside_agent.udp.path import DirectPath
from topside_agent.udp.service import UdpTransport

KEY = bytes(range(32))
LINUX = sys.platform == "linux"


class Heard:
    """What the transport reported."""

    def __init__(self):
        self.events = []

    def exchanges(self, vehicle="rov1"):
        return [e for e in self.events if isinstance(e, DirectExchange) and e.vehicle == vehicle]

    def states(self, vehicle="rov1"):
        return [e for e in self.events if isinstance(e, PathState) and e.vehicle == vehicle]


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def transport(heard):
    transport = UdpTransport(SystemClock(), heard.events.extend)
    transport.start()
    yield transport
    transport.stop()


@pytest.fixture
def services():
    made = []

    def start(clock=None, number=7, **given):
        clock = clock or SystemClock()
        service = UdpService(clock, **given)
        service.open(SessionTerms(number, KEY, "surface", clock.raw_ns() + 10**12, 20.0))
        service.start()
        made.append(service)
        return service

    yield start
    for service in made:
        service.stop()


def terms(*addresses, session=7, rate=20.0):
    return PathTerms(session, KEY, addresses, rate, 3, 1.0)


def holds_truth(exchange, offset_at=lambda _: 0):
    """Each end by the offset at the instant on topside's RAW that it is about: it may drift meanwhile."""
    upper = exchange.receive_raw_ns - exchange.origin_raw_ns + exchange.resolution_ns
    lower = exchange.transmit_raw_ns - exchange.destination_raw_ns - exchange.resolution_ns
    return lower <= offset_at(exchange.destination_raw_ns) and offset_at(exchange.origin_raw_ns) <= upper


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_exchanges_come_stamped_by_the_kernels_and_hold_the_truth(host, transport, services, heard):
    service = services()
    transport.measure("rov1", terms(Address(host, service.port)))
    until(lambda: len(heard.exchanges()) > 30)
    assert all(map(holds_truth, heard.exchanges()))
    assert heard.states()[0].alive
    if LINUX:
        until(
            lambda: any(e.receive_stamp == e.transmit_stamp == "kernel" for e in heard.exchanges()),
            what="an exchange of kernel stamps alone",
        )
        until(lambda: service.counts().kernel_receive, what="a kernel stamp of the last arrival")
        until(lambda: service.counts().kernel_transmit, what="a kernel stamp of the last departure")


@pytest.mark.skipif(not LINUX, reason="Linux has these stamps")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_interface_without_a_hardware_clock_is_named_and_the_kernels_stamps_go_on(
    host, services, heard, caplog
):
    caplog.set_level("INFO")
    service, transport = (
        services(hardware=True),
        UdpTransport(SystemClock(), heard.events.extend, hardware=True),
    )
    transport.start()
    transport.measure("rov1", terms(Address(host, service.port)))
    kinds = ("origin_stamp", "receive_stamp", "transmit_stamp", "destination_stamp")
    until(
        lambda: any({getattr(e, kind) for kind in kinds} == {"kernel"} for e in heard.exchanges()),
        what="an exchange of kernel stamps alone",
    )
    transport.stop()
    assert all(map(holds_truth, heard.exchanges()))
    assert caplog.text.count("no hardware stamps on lo: its driver names no hardware clock") == 2


def test_a_simulated_clocks_exchanges_are_of_that_clock(transport, services, heard):
    clock = SimulatedClock(SystemClock(), offset_ns=10**10, drift_ppm=100.0)
    service = services(clock)
    transport.measure("rov1", terms(Address("127.0.0.1", service.port)))
    until(lambda: len(heard.exchanges()) > 30)
    for exchange in heard.exchanges():
        assert holds_truth(exchange, lambda at_ns: clock.raw_at(at_ns) - at_ns), exchange


def test_two_vehicles_and_an_address_that_is_not_there(transport, services, heard):
    one, two = services(number=7), services(number=8)
    unused = Address("127.0.0.1", 9)
    transport.measure("rov1", terms(unused, Address("127.0.0.1", one.port)))
    transport.measure("rov2", terms(Address("127.0.0.1", two.port), unused, session=8))
    until(lambda: len(heard.exchanges("rov1")) > 9 and len(heard.exchanges("rov2")) > 9)
    assert transport.counts()["rov1"].address.port == one.port
    assert transport.counts()["rov2"].address.port == two.port
    transport.forget("rov2")
    until(lambda: heard.states("rov2")[-1].reason == "stopped")


def test_a_path_that_dies_is_lost_and_found_again(transport, services, heard):
    service = services(port=free_port())
    transport.measure("rov1", terms(Address("127.0.0.1", service.port)))
    until(heard.exchanges)
    service.stop()
    within(lambda: not heard.states()[-1].alive, 2)
    services(port=service.port)
    within(lambda: heard.states()[-1].alive, 3)


def test_an_internal_fault_holds_no_vehicle_up_for_long(transport, services, heard, monkeypatch):
    service, faults = services(), []
    serve = DirectPath.serve

    def faulty(path, now_ns):
        if len(faults) < 3:
            faults.append(now_ns)
            raise ZeroDivisionError
        return serve(path, now_ns)

    monkeypatch.setattr(DirectPath, "serve", faulty)
    transport.measure("rov1", terms(Address("127.0.0.1", service.port)))
    until(heard.exchanges)
    assert len(faults) == 3


def attacks(chance):
    """Datagrams of every kind that must not be answered."""
    other, genuine = Seal(KEY[::-1]), pack_request(Request(7, 2**32 - 1, bytes(8)), Seal(KEY))
    while True:
        seq = chance.randrange(1, 2**32)
        yield chance.randbytes(chance.randrange(0, 200))
        yield pack_request(Request(7, seq, chance.randbytes(8)), other)
        yield pack_request(Request(chance.randrange(8, 2**32), seq, bytes(8)), other)
        yield genuine[:-1]
        yield b"TSx1\x02" + genuine[5:]


def test_no_forged_datagram_is_answered_while_exchanges_go_on(transport, services, heard):
    service = services()
    transport.measure("rov1", terms(Address("127.0.0.1", service.port)))
    until(heard.exchanges)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
        attacker.setblocking(False)
        forged = attacks(random.Random(1))

        def attack():
            for _ in range(100):
                attacker.sendto(next(forged), ("127.0.0.1", service.port))
            return sum(service.counts().dropped.values()) > 300

        until(attack, what="many of them, as the kernel drops what is not read")
        with pytest.raises(BlockingIOError):
            attacker.recv(100)
    before = len(heard.exchanges())
    until(lambda: len(heard.exchanges()) > before + 5)
    assert all(map(holds_truth, heard.exchanges()))


def test_what_is_not_of_a_session_reaches_topside_in_vain(transport, services, heard):
    service = services()
    transport.measure("rov1", terms(Address("127.0.0.1", service.port)))
    until(heard.exchanges)
    (used,) = transport._sockets._families.values()
    port = used.socket.getsockname()[1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
        for data in (b"", b"x" * 88, b"TSx1\x02" + bytes(83), b"TSx1\x02\0\0\0\0\0\0\x07" + bytes(76)):
            attacker.sendto(data, ("127.0.0.1", port))
    until(lambda: transport.refused == {"length": 1, "kind": 1, "session": 1})
    until(lambda: transport.counts()["rov1"].refused.get("unknown") == 1)


def test_both_ends_stop_at_once_though_nothing_comes(transport, services):
    service = services()
    begun_s = time.monotonic()
    service.stop()
    transport.stop()
    assert not service._thread.is_alive()
    assert not transport._thread.is_alive()
    assert time.monotonic() - begun_s < 10
