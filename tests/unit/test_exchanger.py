"""The exchanger: what makes an exchange, what does not, and whose pongs are taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.clock import Reading
from schemas.base import LATEST_NS
from schemas.exchange import Exchange
from schemas.messages import Pong
from topside_agent.measuring.exchanger import Exchanger, Refused

MS = 1_000_000
D = 1_700_000_000 * 10**9  # topside's realtime − raw


def reading(ms, difference_ns=D):
    return Reading(ms * MS, difference_ns, 100)


def pong(ping, *, instance="a", receive_ms=500, transmit_ms=501, difference_ns=7_000, **changes):
    fields = {
        "seq": ping.seq,
        "nonce": ping.nonce,
        "receive_ns": receive_ms * MS + difference_ns,
        "transmit_ns": transmit_ms * MS + difference_ns,
        "realtime_minus_raw_ns": difference_ns,
        "boot_id": "boot",
        "instance_id": instance,
        "receive_stamp": "user",
        "transmit_stamp": "user",
        "resolution_ns": 50,
    }
    return Pong(**fields | changes)


@pytest.fixture
def exchanger():
    return Exchanger("rov1", "laptop", timeout_ns=2000 * MS, resolution_ns=1)


def nonce(number):
    return f"{number:016x}"


def test_a_pong_completes_the_exchange_and_every_raw_stamp_is_recovered_exactly(exchanger):
    ping = exchanger.begin(reading(10), nonce(1))
    exchange = exchanger.finish(pong(ping), reading(12))
    assert isinstance(exchange, Exchange)
    assert exchange.origin_ns - exchange.topside_realtime_minus_raw_ns == 10 * MS
    assert exchange.destination_ns - exchange.topside_realtime_minus_raw_ns == 12 * MS
    assert exchange.receive_ns - exchange.pi_realtime_minus_raw_ns == 500 * MS
    assert exchange.transmit_ns - exchange.pi_realtime_minus_raw_ns == 501 * MS
    assert exchange.delay_ns == 1 * MS
    assert exchange.resolution_ns == 50 + 1 + 100 // 2


def test_seq_counts_finished_exchanges_without_gaps(exchanger):
    seqs = []
    for turn in range(4):
        ping = exchanger.begin(reading(turn * 5000), nonce(turn))
        if turn == 1:
            assert exchanger.expire(turn * 5000 * MS + 2000 * MS)
            continue
        seqs.append(exchanger.finish(pong(ping), reading(turn * 5000 + 2)).seq)
    assert seqs == [0, 1, 2]
    assert exchanger.timeouts == 1


def test_a_pong_after_its_time_out_is_dropped(exchanger):
    ping = exchanger.begin(reading(0), nonce(1))
    assert not exchanger.expire(1999 * MS)
    assert exchanger.expire(2000 * MS)
    assert exchanger.finish(pong(ping), reading(2001)) == Refused("repeated", ours=True)


def test_a_second_answer_is_dropped(exchanger):
    ping = exchanger.begin(reading(0), nonce(1))
    assert isinstance(exchanger.finish(pong(ping), reading(1)), Exchange)
    assert exchanger.finish(pong(ping), reading(2)).reason == "repeated"


def test_what_is_dropped_because_of_a_namesake_says_so(exchanger):
    for turn in range(3):
        ping = exchanger.begin(reading(250 * turn), nonce(turn))
        exchanger.finish(pong(ping), reading(250 * turn + 1))
        late = exchanger.finish(pong(ping, instance="b"), reading(250 * turn + 2))
        assert (late.reason, late.sentence) == ("repeated", "a second process answers to this vehicle's name")
    forged = exchanger.finish(pong(ping, nonce=nonce(99)), reading(503))
    assert (forged.reason, "second process" in forged.sentence) == ("unknown_nonce", True)
    alone = exchanger.finish(pong(ping, nonce=nonce(99)), reading(9000))
    assert "late, replayed or forged" in alone.sentence


def test_a_replayed_pong_of_an_earlier_exchange_is_dropped(exchanger):
    first = exchanger.begin(reading(0), nonce(1))
    exchanger.finish(pong(first), reading(1))
    second = exchanger.begin(reading(250), nonce(2))
    exchanger.finish(pong(second), reading(251))
    exchanger.begin(reading(500), nonce(3))
    assert exchanger.finish(pong(first), reading(501)) == Refused("unknown_nonce", ours=False)


def test_a_pong_with_a_guessed_nonce_is_dropped_and_the_right_one_still_counts(exchanger):
    ping = exchanger.begin(reading(0), nonce(1))
    assert exchanger.finish(pong(ping, nonce=nonce(99)), reading(1)).reason == "unknown_nonce"
    assert isinstance(exchanger.finish(pong(ping), reading(2)), Exchange)


@pytest.mark.parametrize("moved_ns", [3_000 * MS, -3_000 * MS, 83_333, -50_000, 20])
def test_a_step_or_slew_of_our_own_clock_between_ping_and_pong_leaves_raw_as_it_was(exchanger, moved_ns):
    ping = exchanger.begin(reading(10), nonce(1))
    exchange = exchanger.finish(pong(ping), reading(11, D + moved_ns))
    difference_ns = exchange.topside_realtime_minus_raw_ns
    assert exchange.origin_ns - difference_ns == 10 * MS
    assert exchange.destination_ns - difference_ns == 11 * MS
    assert difference_ns == D + moved_ns


def test_a_pi_that_answers_before_it_received_is_refused(exchanger):
    ping = exchanger.begin(reading(0), nonce(1))
    assert exchanger.finish(pong(ping, receive_ms=9, transmit_ms=8), reading(1)).reason == "invalid_pi_time"


def test_a_second_live_process_of_the_same_name_is_not_taken_for_a_restart(exchanger):
    for turn in range(8):
        now = turn * 250
        ping = exchanger.begin(reading(now), nonce(turn))
        assert isinstance(exchanger.finish(pong(ping, instance="a"), reading(now + 1)), Exchange)
        assert isinstance(exchanger.finish(pong(ping, instance="b"), reading(now + 2)), Refused)
    assert exchanger.instances.duplicated(7 * 250 * MS)
    assert not exchanger.instances.duplicated((7 * 250 + 3_001) * MS)


def test_two_processes_are_reported_all_along_however_seldom_they_are_asked():
    exchanger = Exchanger("rov1", "laptop", timeout_ns=2000 * MS, resolution_ns=1, interval_ns=20_000 * MS)
    for turn in range(6):
        now = turn * 20_000
        ping = exchanger.begin(reading(now), nonce(turn))
        exchanger.finish(pong(ping, instance="ab"[turn % 2]), reading(now + 1))
        exchanger.finish(pong(ping, instance="ba"[turn % 2]), reading(now + 2))
        assert turn < 2 or exchanger.instances.duplicated((now + 19_999) * MS)


def test_the_namesake_that_answers_first_is_not_taken(exchanger):
    ping = exchanger.begin(reading(0), nonce(1))
    exchanger.finish(pong(ping, instance="a"), reading(1))
    ping = exchanger.begin(reading(250), nonce(2))
    assert exchanger.finish(pong(ping, instance="b"), reading(251)).reason == "other_instance"
    assert not exchanger.waiting  # the next ping need not wait for a time-out
    assert isinstance(exchanger.finish(pong(ping, instance="a"), reading(252)), Exchange)
    assert exchanger.instances.duplicated(252 * MS)


def test_a_restarted_process_takes_over_after_a_second_and_is_no_duplicate(exchanger):
    ping = exchanger.begin(reading(0), nonce(1))
    exchanger.finish(pong(ping, instance="a"), reading(1))
    taken = []
    for turn in range(1, 8):
        ping = exchanger.begin(reading(turn * 250), nonce(turn + 1))
        outcome = exchanger.finish(pong(ping, instance="b"), reading(turn * 250 + 1))
        taken.append(isinstance(outcome, Exchange))
    assert taken == [False, False, False, True, True, True, True]
    assert not exchanger.instances.duplicated(7 * 250 * MS)


def test_the_origin_is_raw_at_the_write_once_that_is_known(exchanger):
    ping = exchanger.begin(reading(10), nonce(1))
    exchanger.departed(11 * MS)
    exchange = exchanger.finish(pong(ping), reading(12))
    assert exchange.origin_ns - exchange.topside_realtime_minus_raw_ns == 11 * MS


def test_a_write_before_its_ping_or_without_one_is_none(exchanger):
    exchanger.departed(5 * MS)
    ping = exchanger.begin(reading(10), nonce(1))
    exchanger.departed(9 * MS)
    exchange = exchanger.finish(pong(ping), reading(12))
    assert exchange.origin_ns - exchange.topside_realtime_minus_raw_ns == 10 * MS


@given(
    st.integers(0, LATEST_NS) | st.integers(-2 * LATEST_NS, 2 * LATEST_NS),
    st.integers(-LATEST_NS, LATEST_NS) | st.integers(-2 * LATEST_NS, 2 * LATEST_NS),
    st.integers(0, 3 * 10**9),
    st.integers(0, 10**9),
)
def test_what_is_made_without_the_model_is_what_the_model_takes(
    raw_ns, difference_ns, width_ns, resolution_ns
):
    found = []
    for checked in (True, False):
        exchanger = Exchanger("rov1", "laptop", timeout_ns=2000 * MS, resolution_ns=1)
        exchanger._checked = checked
        asked = exchanger.begin(Reading(0, 0, 0), nonce(1))
        exchanger.departed(max(raw_ns - MS, 0))
        received = Reading(raw_ns, difference_ns, width_ns)
        found.append(exchanger.finish(pong(asked, resolution_ns=resolution_ns), received))
    assert found[0] == found[1]
    if isinstance(found[0], Exchange):
        assert Exchange.decode(found[0].encode()) == found[0]
