"""A recorder that falls behind says so, whatever the wall clocks are, until it has caught up."""

import pytest

from tests.unit.test_recorder_session import at, exchange, recording
from tidesync.sessions.recorder.alarms import MANY_MISSING
from tidesync.sessions.recorder.session_log import SessionLog


class Late:
    """A session; each second an exchange comes `late_s` after it was finished."""

    def __init__(self):
        self.log = SessionLog(recording(), at(0))
        self.seq = 0

    def second(self, second, late_s=0.1, **changes):
        one = exchange(self.seq, second, **changes)
        self.log.take([one], self.seq, at(second + late_s))
        self.seq += 1
        self.log.update(at(second + late_s), 8.0)
        return self.log.alarm


@pytest.fixture
def late():
    return Late()


def test_exchanges_that_come_as_soon_as_ever_are_no_alarm(late):
    assert {late.second(second, 3.0 + second % 3) for second in range(60)} == {None}


def test_exchanges_that_come_ever_later_are_an_alarm_until_it_has_caught_up(late):
    for second in range(30):
        assert late.second(second) is None
    alarms = [late.second(second, 0.1 + (second - 30) * 0.5) for second in range(30, 60)]
    assert alarms[:20] == [None] * 20
    assert alarms[-1] == "it is 10 s behind: what waits is being taken"
    assert late.log.behind.behind_ns == pytest.approx(14.5e9, abs=1e6)
    assert late.second(75) is None


def test_a_clock_that_drifts_or_was_set_is_no_alarm(late):
    """By the RAW clocks 100 ppm apart for six hours; realtime, of which the log knows, may be anything."""
    alarms = {late.second(float(second), 5.0 + second * 1e-4) for second in range(0, 21_600, 5)}
    assert alarms == {None}


def test_a_machine_that_slept_which_its_raw_does_not_count_is_no_alarm_and_delays_no_request(late):
    for second in range(20):
        late.second(second)
    slept_ns = 60_000_000_000
    for second in range(80, 200):
        one = exchange(late.seq, second)
        difference_ns = one.topside_realtime_minus_raw_ns + slept_ns
        one = one.model_copy(update={"topside_realtime_minus_raw_ns": difference_ns})
        late.log.take([one], late.seq, at(second + 0.1))
        late.seq += 1
        late.log.update(at(second + 0.1), 8.0)
        assert late.log.alarm is None
        assert late.log.behind.late_ns("topside", at(second + 0.1).raw_ns) == 0


def test_one_vehicle_that_is_late_is_not_the_recorder(late):
    for second in range(20):
        late.log.take([exchange(second, second, vehicle="rov2")], second, at(second + 30))
        late.log.take([exchange(second, second + 29.9)], second, at(second + 30))
        late.log.update(at(second + 30), 8.0)
    assert late.log.alarm is None


def test_many_missing_exchanges_are_an_alarm_until_they_have_come(late):
    late.second(0)
    late.seq = MANY_MISSING + 1
    assert late.second(1) == f"{MANY_MISSING} exchanges are missing and asked for"
    late.log.take([exchange(seq, 0.5) for seq in range(1, MANY_MISSING + 1)], 9, at(2))
    assert late.second(2) is None
