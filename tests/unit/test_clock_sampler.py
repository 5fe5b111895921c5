"""Samples of a clock: the kernel's state is the one at the reading, or there is no sample."""

import pytest

from runtime.clock_sampler import ClockSampler
from runtime.clock_samples import STARVED_NS
from runtime.kernel_clock import KernelState

AHEAD_NS = 10**18
POLL_NS = 200_000_000
RATES = [KernelState(frequency=frequency) for frequency in range(9)]


class Machine:
    """A clock, and a kernel whose answers take as long as is stated with them."""

    boot_id, resolution_ns = "boot", 1

    def __init__(self):
        self.now_ns = 10**9
        self.answers = []
        self.last = RATES[0]
        self.sets = []

    def raw_ns(self):
        self.now_ns += 20
        return self.now_ns

    def realtime_ns(self):
        return AHEAD_NS + self.raw_ns()

    def state(self):
        if self.answers:
            self.last, late_ns = self.answers.pop(0)
            self.now_ns += late_ns
        return self.last

    def was_set(self):
        return self.sets.pop(0) if self.sets else False


@pytest.fixture
def machine():
    return Machine()


@pytest.fixture
def sampler(machine):
    sampler = ClockSampler(machine, machine.state, was_set=machine.was_set)
    assert sampler.sample().state == RATES[0]
    machine.now_ns += POLL_NS
    return sampler


def test_the_clock_is_read_again_after_a_change_that_its_state_shows(machine, sampler):
    changed_ns = machine.now_ns + 50_000_000
    machine.answers = [(RATES[1], 50_000_000)]
    sample = sampler.sample()
    assert sample.state == RATES[1]
    assert sample.raw_ns > changed_ns


def test_it_is_read_again_where_a_rate_may_have_been_set_and_taken_back(machine, sampler):
    machine.answers = [(RATES[0], STARVED_NS)]
    late_ns = machine.now_ns + STARVED_NS
    assert sampler.sample().raw_ns > late_ns


def test_it_is_read_once_where_nothing_changed(machine, sampler):
    began_ns = machine.now_ns
    machine.answers = [(RATES[0], 0), (RATES[1], 0)]
    assert sampler.sample().raw_ns < began_ns + 100
    assert len(machine.answers) == 1


def test_a_state_that_never_stays_gives_no_sample_and_keeps_the_notice_for_the_next_one(machine, sampler):
    machine.answers = [(rate, 0) for rate in RATES[1:5]]
    machine.sets = [True]
    assert sampler.sample() is None
    assert sampler.sample().notified
    assert not sampler.sample().notified


def test_a_notice_that_came_between_the_reading_and_the_state_marks_the_sample(machine, sampler):
    machine.answers = [(RATES[1], 1000)]
    machine.sets = [True]
    assert sampler.sample().notified
