"""A pong lets RAW be recovered exactly, whatever realtime does, and covers its own reading error."""

import pytest

from pi_agent.responder import Answerer, answer
from runtime.clock import Reading, SimulatedClock, Step, read
from schemas.messages import Ping, Pong

PING = Ping(seq=17, nonce="9f1c000000000000", origin_ns=1_777_636_800_123_456_789)
ANSWERER = Answerer(boot_id="boot", instance_id="instance", resolution_ns=1)
BASE_REALTIME_NS = 1_777_636_800_000_000_000
MS = 1_000_000
S = 1_000_000_000


class HandClock:
    """A perfect base clock, moved by hand; each look at it takes 50 ns."""

    boot_id = "hand"
    resolution_ns = 1

    def __init__(self):
        self.now_ns = 7 * S

    def raw_ns(self):
        self.now_ns += 50
        return self.now_ns

    def realtime_ns(self):
        self.now_ns += 50
        return BASE_REALTIME_NS + self.now_ns


def pong_between(received, transmit):
    pong = answer(PING, received, "kernel", transmit, ANSWERER)
    assert isinstance(pong, Pong)
    return pong


def test_subtracting_the_difference_gives_both_raw_readings_back_exactly():
    received = Reading(5_000_000_000_001, 1_777_000_000_123_456_789, 90)
    transmit = Reading(5_000_000_100_003, 1_777_000_000_123_456_839, 110)
    pong = pong_between(received, transmit)
    assert pong.receive_ns - pong.realtime_minus_raw_ns == received.raw_ns
    assert pong.transmit_ns - pong.realtime_minus_raw_ns == transmit.raw_ns
    assert pong.transmit_ns == transmit.realtime_ns


def test_the_pong_carries_the_pings_nonce_and_seq_and_the_stamps_kinds():
    reading = Reading(S, S, 100)
    pong = pong_between(reading, reading)
    assert (pong.seq, pong.nonce) == (17, "9f1c000000000000")
    assert (pong.receive_stamp, pong.transmit_stamp) == ("kernel", "user")
    assert (pong.boot_id, pong.instance_id) == ("boot", "instance")


def test_the_resolution_holds_the_clocks_step_and_half_the_bracket_of_the_difference():
    answerer = Answerer("boot", "instance", resolution_ns=1000)
    pong = answer(PING, Reading(S, S, 90), "user", Reading(S + 5, S, 110), answerer)
    assert isinstance(pong, Pong)
    assert pong.resolution_ns == 1055


@pytest.mark.parametrize("step_ns", [3 * S, -3 * S, MS, -MS, 10_000])
def test_a_step_between_the_two_stamps_is_answered_with_the_difference_after_it(step_ns):
    base = HandClock()
    clock = SimulatedClock(base, offset_ns=2 * S, drift_ppm=20, steps=(Step(1.0, step_ns),))
    base.now_ns += S - 50_000
    received = read(clock)
    base.now_ns += 100_000
    transmit = read(clock)
    pong = pong_between(received, transmit)
    assert pong.receive_ns - pong.realtime_minus_raw_ns == received.raw_ns
    assert pong.transmit_ns - pong.realtime_minus_raw_ns == transmit.raw_ns
    assert pong.realtime_minus_raw_ns == transmit.realtime_minus_raw_ns


def test_a_step_before_the_ping_is_no_hindrance():
    base = HandClock()
    clock = SimulatedClock(base, steps=(Step(1.0, 3 * S),))
    base.now_ns += S
    received = read(clock)
    base.now_ns += 100_000
    pong = pong_between(received, read(clock))
    assert pong.receive_ns - BASE_REALTIME_NS - base.now_ns == pytest.approx(3 * S, abs=MS)


@pytest.mark.parametrize("slewed_ns", [500, -500, 83_333, -100_500])
def test_the_fastest_slewing_is_answered(slewed_ns):
    pong = pong_between(Reading(S, 9 * S, 0), Reading(S + MS, 9 * S + slewed_ns, 0))
    assert pong.realtime_minus_raw_ns == 9 * S + slewed_ns


def test_a_clock_before_1970_gets_no_answer():
    before = Reading(5 * S, -6 * S, 100)
    assert answer(PING, before, "user", before, ANSWERER) == "unrepresentable"
