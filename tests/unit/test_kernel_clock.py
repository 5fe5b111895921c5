"""What the kernel reports of its clock is read right, and what it proves of a clock that runs free."""

import ctypes
import sys

import pytest

from runtime import kernel_clock
from runtime.clock import FASTEST_SLEW_PPM
from runtime.clock_daemons import FREE_AFTER_S, Daemon, Discipline, is_free, running_daemons
from runtime.kernel_clock import KernelState, kernel_state

PLL, UNSYNC, NANO = 0x0001, 0x0040, 0x2000
linux = pytest.mark.skipif(sys.platform != "linux", reason="adjtimex is Linux's")


@linux
def test_this_machines_state_is_read_and_not_changed():
    first, second = kernel_state(), kernel_state()
    assert first is not None
    assert first.tick_us in range(9_000, 11_001)
    assert first == second


class Libc:
    """Answers adjtimex in one of its layouts."""

    def __init__(self, number, **values):
        self.number, self.values = number, values
        self.modes = []

    def adjtimex(self, reference):
        state = reference._obj
        self.modes.append(state.modes)
        if dict(type(state)._fields_)["offset"] is not self.number:
            return 0  # it wrote another layout: what is read is nonsense
        for name, value in self.values.items():
            setattr(state, name, value)
        return 5


@linux
@pytest.mark.parametrize(("status", "offset_ns"), [(PLL | NANO, -1500), (PLL, -1_500_000)])
def test_the_offset_is_in_nanoseconds_or_microseconds_as_the_status_says(monkeypatch, status, offset_ns):
    libc = Libc(ctypes.c_long, tick=10_000, freq=65_536, offset=-1500, constant=2, status=status)
    monkeypatch.setattr(kernel_clock, "_libc", libc)
    assert kernel_state() == KernelState(10_000, 65_536, offset_ns, 2, status)
    assert libc.modes == [0]


@linux
def test_a_layout_that_gives_no_possible_tick_is_not_believed(monkeypatch):
    monkeypatch.setattr(kernel_clock, "_libc", Libc(ctypes.c_char, tick=10_000))
    assert kernel_state() is None


def test_elsewhere_nothing_is_known(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert kernel_state() is None


def test_tick_and_frequency_give_the_rate():
    assert KernelState(10_833, round(33.333 * 65_536)).rate_ppm == pytest.approx(83_333.333, abs=0.001)
    assert KernelState(9_999, -65_536).rate_ppm == pytest.approx(-101.0)


def test_a_pending_offset_gives_the_loops_rate_which_is_an_eighth_a_second_for_constant_one():
    before, after = KernelState(10_000, 0, 262_500_000, 1, PLL).rates_ppm  # of 300 ms, an eighth has gone
    assert (before, after) == (0.0, pytest.approx(37_500))
    assert KernelState(10_000, 0, 262_500_000, 1, UNSYNC).rates_ppm == (0.0,)


FREE = {"state": KernelState(status=UNSYNC), "daemons": [], "rested_s": FREE_AFTER_S}


@pytest.mark.parametrize(
    ("changes", "free"),
    [
        ({}, True),
        ({"state": KernelState(status=0)}, True),  # the flag proves nothing, either way
        ({"state": KernelState(10_001, status=UNSYNC)}, False),
        ({"state": KernelState(frequency=1, status=UNSYNC)}, False),
        ({"state": KernelState(offset_ns=-1, status=UNSYNC)}, False),
        ({"state": None}, False),
        ({"daemons": [Daemon("chronyd")]}, False),
        ({"rested_s": FREE_AFTER_S - 1}, False),
    ],
)
def test_a_clock_is_free_only_if_nothing_moves_it(changes, free):
    assert is_free(**FREE | changes) is free


def test_a_machine_without_proc_shows_no_daemon(tmp_path):
    assert running_daemons(tmp_path / "absent") == []


@pytest.mark.parametrize(
    ("daemons", "fastest_ppm"),
    [(["ntpd"], 500), (["ntpd", "systemd-timesyncd"], 50_000), (["ptp4l"], FASTEST_SLEW_PPM), ([], 0)],
)
def test_a_clock_may_move_as_fast_as_its_fastest_daemon(daemons, fastest_ppm):
    found = Discipline.of(KernelState(), [Daemon(name) for name in daemons], FREE_AFTER_S)
    assert (found.daemons, found.max_slew_ppm, found.free) == (tuple(daemons), fastest_ppm, not daemons)


def test_a_clock_that_moves_for_no_known_reason_may_move_as_fast_as_the_kernel_can():
    assert Discipline.of(KernelState(tick_us=10_001), [], FREE_AFTER_S).max_slew_ppm == FASTEST_SLEW_PPM
    assert Discipline.of(KernelState(), [], 1.0).max_slew_ppm == FASTEST_SLEW_PPM


def test_chronyd_slews_as_fast_as_its_configuration_allows(tmp_path):
    path = tmp_path / "chrony.conf"
    path.write_text("maxslewrate 1000\n")
    chronyd = Daemon("chronyd", ("-f", str(path)))
    assert Discipline.of(KernelState(), [chronyd], 0.0).max_slew_ppm == 1000


def test_the_cheap_upper_limit_of_the_time_in_suspend_holds_and_is_near():
    limits = [(kernel_clock.suspended_ns(), kernel_clock.suspended_at_most_ns()) for _ in range(1000)]
    assert all(suspended_ns <= at_most_ns for suspended_ns, at_most_ns in limits)
    assert min(at_most_ns - suspended_ns for suspended_ns, at_most_ns in limits) < 1_000_000
