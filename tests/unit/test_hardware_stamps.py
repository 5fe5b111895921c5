"""Hardware stamps: turned on, their clock read, put on RAW; and what each refusal says."""

import errno
import logging
import random
import re

import pytest

from runtime.hardware_clock import HardwareClock
from runtime.hardware_config import clock_of, is_on, turn_on
from runtime.hardware_line import HardwareLine
from runtime.hardware_socket import DatagramStamp
from runtime.hardware_stamps import CORRECTED_NS, HardwareStamps
from runtime.realtime_line import RawStamp
from tests.effort import tries
from tests.unit.fake_hardware import (
    EXTENDED,
    GET_CONFIG,
    GET_TS_INFO,
    PTP_EVENTS,
    SET_CONFIG,
    FakeKernel,
)

S, MS, US = 10**9, 10**6, 10**3
TAI = 1_777_636_837 * S


class Machine:
    """RAW and a hardware clock that is 30 ppm fast against it; each reading takes 150 ns."""

    def __init__(self, **changes):
        self.now_ns = 5 * S
        self.moved_ns = 0
        self.kernel = FakeKernel(self.clock_ns, self.raw_ns, self.realtime_ns, **changes)
        self.stamps = HardwareStamps(self.raw_ns, self.kernel)

    def raw_ns(self):
        self.now_ns += 150
        return self.now_ns

    def clock_at(self, raw_ns):
        return TAI + self.moved_ns + raw_ns + raw_ns * 30 // 1_000_000

    def clock_ns(self):
        return self.clock_at(self.raw_ns())

    def realtime_ns(self):
        return self.raw_ns() + 10**18

    def read(self):
        self.stamps.read()
        self.stamps.settle(lambda realtime_ns: RawStamp(realtime_ns - 10**18, 60, 10**18))

    def run(self, seconds):
        until_ns = self.now_ns + round(seconds * S)
        while self.now_ns < until_ns:
            self.now_ns += 300 * MS
            self.read()
        return self

    def stamp(self, at_ns, *, interface=2, device=2):
        stamp = DatagramStamp(at_ns + 10**18)
        stamp.interface, stamp.device, stamp.hardware_ns = interface, device, self.clock_at(at_ns)
        return stamp

    def arrived(self, at_ns, *, later_ns=20 * US, **where):
        """By the hardware at `at_ns` of RAW, by the kernel so much later."""
        return self.stamps.arrived(RawStamp(at_ns + later_ns, 60, 10**18), self.stamp(at_ns, **where))

    def departed(self, at_ns, *, earlier_ns=20 * US):
        return self.stamps.departed(RawStamp(at_ns - earlier_ns, 60, 10**18), self.stamp(at_ns))


def used(**changes):
    """A machine of which a datagram arrived, and whose hardware clock is known well since."""
    machine = Machine(**changes)
    machine.arrived(machine.now_ns)
    return machine.run(3)


@pytest.mark.parametrize("reads_raw", [True, False])
def test_an_arrival_becomes_earlier_and_a_departure_later_and_neither_beyond_the_truth(reads_raw):
    machine = used(reads_raw=reads_raw)
    at_ns = machine.now_ns - 40 * US
    arrived, departed = machine.arrived(at_ns), machine.departed(at_ns)
    assert arrived.by_hardware
    assert departed.by_hardware
    assert at_ns + CORRECTED_NS <= arrived.raw_ns < at_ns + 2 * US
    assert at_ns - 2 * US < departed.raw_ns <= at_ns - CORRECTED_NS
    assert arrived.half_ns == departed.half_ns == 60  # the rest is in the stamp itself
    assert ("RAW" if reads_raw else "realtime") in machine.stamps.states[0]


def test_where_the_hardwares_stamp_is_no_better_the_kernels_stays():
    machine = used()
    at_ns = machine.now_ns - 40 * US
    assert not machine.arrived(at_ns, later_ns=300).by_hardware
    assert not machine.departed(at_ns, earlier_ns=300).by_hardware


def test_the_first_datagram_of_an_interface_turns_its_stamps_on_once():
    machine = Machine()
    assert machine.kernel.config == (0, 0, 0)
    for _ in range(5):
        machine.arrived(machine.now_ns)
    assert machine.kernel.config == (0, 1, 1)
    assert machine.kernel.set == 1
    assert machine.kernel.opened == ["/dev/ptp0"]


def test_what_another_program_turned_on_needs_no_right():
    machine = Machine()
    machine.kernel.config, machine.kernel.refusals[SET_CONFIG] = (0, 1, 1), errno.EPERM
    machine.arrived(machine.now_ns)
    machine.run(3)
    assert machine.arrived(machine.now_ns - 10 * US).by_hardware


@pytest.mark.parametrize(
    ("request_", "error", "sentence"),
    [
        (SET_CONFIG, errno.EPERM, "CAP_NET_ADMIN"),
        (SET_CONFIG, errno.EBUSY, "cannot be turned on: refused .EBUSY"),
        (SET_CONFIG, errno.EOPNOTSUPP, "refuses to stamp every datagram"),
        (SET_CONFIG, errno.ENOTTY, "refuses to stamp every datagram"),
        (GET_TS_INFO, errno.EOPNOTSUPP, "names no hardware clock"),
        ("/dev/ptp0", errno.EACCES, "/dev/ptp0 cannot be opened: refused .EACCES"),
        ("/dev/ptp0", errno.ENOENT, "/dev/ptp0 cannot be opened"),
        (EXTENDED, errno.ENOTTY, "cannot be read beside this system's clock"),
        (EXTENDED, errno.EOPNOTSUPP, "cannot be read beside this system's clock"),
        (EXTENDED, errno.EINVAL, "cannot be read: refused .EINVAL"),
    ],
)
def test_what_the_system_refuses_is_said_once_and_the_kernels_stamps_go_on(request_, error, sentence, caplog):
    caplog.set_level(logging.INFO)
    machine = Machine()
    machine.kernel.refusals[request_] = error
    for _ in range(3):
        at_ns = machine.now_ns - 10 * US
        assert machine.arrived(at_ns) == RawStamp(at_ns + 20 * US, 60, 10**18)
        machine.run(1)
    assert len(caplog.records) == 1
    assert "no hardware stamps on eth0: " in caplog.text
    assert re.search(sentence, caplog.text)
    assert re.search(sentence, machine.stamps.states[0])


def test_a_refusal_is_asked_again_after_a_minute():
    machine = Machine()
    machine.kernel.refusals[SET_CONFIG] = errno.EBUSY
    machine.arrived(machine.now_ns)
    machine.kernel.refusals.clear()
    machine.now_ns += 30 * S
    machine.arrived(machine.now_ns)
    assert machine.kernel.set == 0
    machine.now_ns += 31 * S
    machine.arrived(machine.now_ns)
    machine.run(3)
    assert machine.arrived(machine.now_ns - 10 * US).by_hardware


def test_hardware_that_stamps_ptp_events_alone_is_left_as_it_is():
    machine = used(filters=1 | PTP_EVENTS)
    assert machine.kernel.config == (0, 0, 0)
    assert "look like PTP events" in machine.stamps.states[0]
    assert not machine.arrived(machine.now_ns - 10 * US).by_hardware


def test_a_device_that_vanishes_ends_its_stamps_and_another_one_may_come(caplog):
    caplog.set_level(logging.INFO)
    machine = used()
    machine.kernel.refusals[EXTENDED] = errno.ENODEV
    machine.run(1)
    assert not machine.arrived(machine.now_ns - 10 * US).by_hardware
    assert machine.kernel.opened == [None]
    assert "no hardware stamps on eth0: refused (ENODEV)" in caplog.text
    machine.kernel.interfaces = {}
    machine.now_ns += 61 * S
    assert not machine.arrived(machine.now_ns).by_hardware
    assert machine.stamps.states == ("interface 2: none: it is gone",)
    machine.kernel.refusals.clear()
    machine.kernel.interfaces = {3: "eth0"}
    machine.arrived(machine.now_ns, interface=3, device=3)
    machine.run(3)
    assert machine.arrived(machine.now_ns - 10 * US, interface=3, device=3).by_hardware


def test_an_interface_that_has_another_clock_now_is_opened_again():
    machine = used()
    machine.kernel.number = 1
    machine.run(11)
    machine.arrived(machine.now_ns)
    assert machine.kernel.opened == [None, "/dev/ptp1"]
    assert not machine.arrived(
        machine.now_ns - 10 * US
    ).by_hardware  # of the one before, for all that is known


@pytest.mark.parametrize("where", [{"device": 3}, {"device": 0}, {"interface": 0}, {"interface": 3}])
def test_a_stamp_of_another_device_or_of_none_that_is_known_is_not_used(where):
    machine = used()
    assert machine.arrived(machine.now_ns - 10 * US).by_hardware
    assert not machine.arrived(machine.now_ns - 10 * US, **where).by_hardware


@pytest.mark.parametrize("off_ns", [S, -S, 50 * US, -200 * MS])
def test_an_arrival_by_a_clock_that_is_off_is_the_kernels(off_ns):
    machine = used()
    at_ns = machine.now_ns - 100 * US
    kernel = RawStamp(at_ns - off_ns, 60, 10**18)
    assert machine.stamps.arrived(kernel, machine.stamp(at_ns)) == kernel


def test_a_departure_that_the_hardware_has_before_the_kernel_is_the_programs_own():
    machine = used()
    at_ns = machine.now_ns - 100 * US
    assert machine.stamps.departed(RawStamp(at_ns + 50 * US, 60, 10**18), machine.stamp(at_ns)) is None
    assert not machine.arrived(at_ns).by_hardware  # nor is anything else of that line used


def test_an_arrival_that_the_hardware_has_after_the_kernel_is_the_kernels():
    machine = used()
    at_ns = machine.now_ns - 100 * US
    assert not machine.arrived(at_ns, later_ns=-50 * US).by_hardware
    assert not machine.arrived(at_ns).by_hardware


def test_a_clock_that_is_read_beside_another_raw_is_not_used(caplog):
    caplog.set_level(logging.INFO)
    machine = Machine()
    machine.kernel.clocks[4] = lambda: machine.raw_ns() + 10**12  # as in a time namespace
    machine.arrived(machine.now_ns)
    machine.run(2)
    assert "beside another clock" in caplog.text
    assert not machine.arrived(machine.now_ns - 10 * US).by_hardware


@pytest.mark.parametrize("by_ns", [37 * S, -37 * S, 30 * US, -30 * US, 3 * US])
def test_a_step_of_the_hardware_clock_ends_all_stamps_before_the_reading_that_shows_it(by_ns):
    machine = used()
    before = machine.stamp(machine.now_ns + 10 * MS)
    machine.moved_ns += by_ns
    machine.run(0.3)
    kernel = RawStamp(machine.now_ns, 60, 10**18)
    assert machine.stamps.arrived(kernel, before) == kernel
    machine.run(3)
    assert machine.arrived(machine.now_ns - 10 * US).by_hardware


def test_a_clock_whose_counter_wraps_begins_a_new_line():
    machine = used()
    machine.moved_ns -= 2**48
    machine.run(3)
    at_ns = machine.now_ns - 10 * US
    arrived = machine.arrived(at_ns)
    assert arrived.by_hardware
    assert at_ns <= arrived.raw_ns < at_ns + 2 * US


def test_a_reading_during_which_realtime_was_set_back_is_none():
    machine = Machine(reads_raw=False)
    clock = HardwareClock(0, machine.kernel)
    falling = iter(range(10**18, 0, -1000))
    machine.kernel.clocks[0] = lambda: next(falling)
    assert clock.read() is None


def test_what_a_driver_does_not_say_is_not_known():
    kernel = Machine().kernel
    assert (is_on("eth0", kernel), clock_of("eth0", kernel)) == (False, 0)
    kernel.refusals = {GET_CONFIG: errno.EOPNOTSUPP}
    assert is_on("eth0", kernel) is None
    assert turn_on("eth0", kernel) is None
    kernel.refusals = {}
    assert is_on("eth0", kernel) is True


@pytest.mark.parametrize("seed", range(tries(6)))
@pytest.mark.parametrize("rate_ppm", [0.0, 0.1, 30.0, 200.0])
def test_a_clock_whose_rate_is_corrected_puts_no_stamp_beyond_its_half_width(seed, rate_ppm):
    chance, line = random.Random(seed), HardwareLine()
    raw_ns, clock_ns, rate, found = 5 * S, TAI, 20e-6, 0
    for _ in range(600):
        rate = 20e-6 + chance.uniform(-rate_ppm, rate_ppm) * 1e-6
        stamp_after_ns, read_after_ns = chance.randrange(300 * MS), chance.randrange(1, 100 * US)
        stamp_raw_ns, stamp_clock_ns = raw_ns + stamp_after_ns, clock_ns + round(stamp_after_ns * (1 + rate))
        after_ns = stamp_after_ns + read_after_ns
        raw_ns, clock_ns = raw_ns + after_ns, clock_ns + round(after_ns * (1 + rate))
        before_ns, width_ns = chance.randrange(900), 900
        line.take(raw_ns - before_ns, clock_ns, raw_ns - before_ns + width_ns)
        stamp = line.raw_of(stamp_clock_ns)
        if stamp is not None:
            found += 1
            assert abs(stamp.raw_ns - stamp_raw_ns) <= stamp.half_ns
    assert found > 500 or rate_ppm > 0.1
