"""What the kernel reports of realtime's rate: two states are the same only where nothing changed it."""

import platform

import pytest

from runtime.realtime_rate import KernelRate, RateState, rate_source

PPSTIME, NANO, PLL = 0x0004, 0x2000, 0x0001


class Asked(KernelRate):
    """A kernel whose answers are given."""

    def __init__(self):
        self._offset, self._unasked = 0, 3
        self.adjusting = self.status = 0
        self.second, self.offset = 1000, 0
        self.stopped = []
        """What is so after the first answer of two, where the program is stopped between them."""

    def _ask(self, modes):
        pending = self.adjusting if modes else self.offset
        answer = (0, pending, 0, 0, 0, self.status, 2, 1, 0, self.second, 0, 10_000)
        if modes and self.stopped:
            self.offset, self.second = self.stopped.pop()
        return answer


def test_what_adjtime_slews_in_its_last_second_shows_in_no_state_so_none_is_the_same():
    kernel = Asked()
    assert kernel.state() == kernel.state()
    kernel.adjusting = 15  # until the second ends
    pending = kernel.state()
    assert pending == kernel.state()
    kernel.adjusting, states = 0, [pending]
    for _ in range(2):
        kernel.second += 1
        states += [kernel.state(), kernel.state()]
    assert len(set(states)) == len(states)
    assert all(state.rates[0] < -500e-6 and state.rates[1] > 500e-6 for state in states)
    kernel.second += 1
    assert kernel.state() == kernel.state() == RateState(constant=2)


def test_an_adjtime_that_was_set_again_by_as_much_in_another_second_is_another_state():
    kernel = Asked()
    kernel.adjusting = -4
    first = kernel.state()
    assert kernel.state() == first
    kernel.second += 1
    assert kernel.state() != first


def test_an_offset_that_was_set_while_the_program_was_stopped_hides_the_old_one_until_the_second_after():
    kernel = Asked()
    kernel.status, kernel.offset = PLL | NANO, 700_000
    kernel.state()
    kernel.stopped = [(-23, 1002)]
    states = [kernel.state(), kernel.state()]
    kernel.second = 1003
    states += [kernel.state(), kernel.state()]
    assert len(set(states)) == len(states)
    kernel.second = 1004
    assert kernel.state() == kernel.state()


def test_a_clock_that_was_set_forgets_what_was_to_be_slewed():
    kernel = Asked()
    kernel.adjusting = -400
    kernel.state()
    kernel.adjusting, kernel.second = 0, 5
    assert kernel.state() == kernel.state()


def test_where_a_pulse_sets_the_phase_no_state_is_the_same():
    kernel = Asked()
    kernel.status = PPSTIME
    assert kernel.state() != kernel.state()


@pytest.mark.parametrize(
    ("state", "rate", "within"),
    [
        (RateState(tick=10_010, frequency=65_536), 1001e-6, 20e-6),
        (RateState(adjusting=3), 0, 520e-6),
        (RateState(offset=8_000_000, status=PLL | NANO, constant=1), 0, 20e-6 + 8e-3 / 7),
        (RateState(offset=-8_000, status=PLL, constant=6), 0, 20e-6 + 8e-3 / 255),
    ],
)
def test_the_rates_that_a_state_allows(state, rate, within):
    assert state.rates == pytest.approx((rate - within, rate + within), rel=1e-9)


@pytest.mark.parametrize("release", ["4.9.253-tegra", "4.17.0"])
def test_a_linux_that_reaches_a_rate_after_it_reports_it_is_not_asked(release, monkeypatch):
    monkeypatch.setattr(platform, "release", lambda: release)
    source = rate_source()
    assert source.state() is None
    source.close()
