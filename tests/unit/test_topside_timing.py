"""When topside's pings are sent and its results go out: ping schedule, deadlines, publish gate."""

import itertools

import pytest

from topside_agent.measuring.scheduler import DeadlineQueue
from topside_agent.measuring.timing import GATE_NS, PingSchedule, PublishGate

MS = 1_000_000
S = 1_000_000_000


def schedule(name, **changes):
    return PingSchedule(name, **{"interval_ns": 250 * MS, "burst": 8, "burst_interval_ns": 20 * MS} | changes)


def test_steady_pings_keep_to_the_rate_even_when_each_is_served_late():
    steady = schedule("rov1")
    sent = []
    now = 0
    while now < 10 * S:
        now = max(now, steady.due_ns) + 3 * MS
        steady.sent(now)
        sent.append(now)
    assert len(sent) == pytest.approx(42, abs=2)  # two at once, then two pairs a second


def test_pings_go_in_pairs_the_second_as_soon_as_the_first_is_answered():
    steady = schedule("rov1")
    sent = []
    for _ in range(6):
        sent.append(steady.due_ns)
        steady.sent(steady.due_ns)
    assert sent[0] == sent[1] < sent[2] == sent[3] < sent[4] == sent[5]
    assert sent[4] - sent[2] == 500 * MS


@pytest.mark.parametrize(
    ("interval_ms", "train", "apart_ms"),
    [(20, 3, 60), (100, 3, 300), (166, 3, 498), (167, 2, 334), (500, 2, 1000), (501, 1, 501)],
)
def test_the_more_pings_the_longer_the_train_that_leaves_no_long_silence(interval_ms, train, apart_ms):
    steady = schedule("rov1", interval_ns=interval_ms * MS)
    sent = []
    for _ in range(5 * train):
        sent.append(steady.due_ns)
        steady.sent(steady.due_ns)
    trains = sorted(set(sent))
    assert [sent.count(at) for at in trains] == [train] * 5
    assert {after - before for before, after in itertools.pairwise(trains[1:])} == {apart_ms * MS}


def test_a_burst_within_a_train_begins_a_new_train():
    steady = schedule("rov1", interval_ns=100 * MS)
    steady.sent(0)
    steady.start_burst(S)
    for turn in range(8):
        steady.sent(S + turn * 20 * MS)
    begin = steady.due_ns
    sent = []
    for _ in range(3):
        sent.append(steady.due_ns)
        steady.sent(steady.due_ns)
    assert sent == [begin] * 3
    assert steady.due_ns == begin + 300 * MS


def test_slow_pings_stay_single_so_that_no_pair_leaves_a_long_silence():
    slow = schedule("rov1", interval_ns=S)
    slow.sent(0)
    first = slow.due_ns
    slow.sent(first)
    assert slow.due_ns == first + S


def test_a_fleet_is_spread_over_the_interval():
    phases = set()
    for number in range(50):
        one = schedule(f"rov{number}")
        one.sent(0)
        one.sent(0)
        phases.add(one.due_ns)
    assert len(phases) == 50
    assert min(phases) < 100 * MS < 400 * MS < max(phases)


def test_a_burst_sends_its_count_and_then_falls_back_to_the_rate():
    burst = schedule("rov1")
    burst.start_burst(5 * S)
    sent = []
    for _ in range(9):
        sent.append(burst.due_ns)
        burst.sent(burst.due_ns)
    assert sent[:8] == [5 * S + turn * 20 * MS for turn in range(8)]
    assert sent[8] - sent[7] > 20 * MS


def test_a_vehicle_is_returned_when_it_is_due_and_once():
    deadlines = DeadlineQueue()
    deadlines.set("rov1", 10)
    assert deadlines.pop(9) is None
    assert deadlines.due_ns == 10
    assert deadlines.pop(10) == "rov1"
    assert deadlines.pop(99) is None


@pytest.mark.parametrize("times", [(30, 20), (20, 30), (20, 30, 20), (30, 30)])
def test_a_deadline_replaces_the_one_before(times):
    deadlines = DeadlineQueue()
    for due_ns in times:
        deadlines.set("rov1", due_ns)
    assert deadlines.due_ns == times[-1]
    assert deadlines.pop(times[-1] - 1) is None
    assert deadlines.pop(99) == "rov1"
    assert deadlines.pop(99) is None


def test_vehicles_are_returned_in_the_order_of_their_deadlines():
    deadlines = DeadlineQueue()
    for vehicle, due_ns in (("b", 20), ("a", 30), ("c", 10), ("d", 15)):
        deadlines.set(vehicle, due_ns)
    deadlines.forget("d")
    assert [deadlines.pop(99) for _ in range(4)] == ["c", "b", "a", None]


def test_with_no_ping_under_way_a_result_goes_out_at_once_and_once():
    publish_gate = PublishGate()
    publish_gate.wait("rov1", 0)
    assert publish_gate.released(0) == ["rov1"]
    assert publish_gate.released(0) == []
    assert publish_gate.due_ns is None


def test_a_result_waits_for_the_pong_that_is_under_way():
    publish_gate = PublishGate()
    publish_gate.sent("rov2", 0)
    publish_gate.wait("rov1", MS)
    assert publish_gate.released(MS) == []
    publish_gate.settled("rov2")
    assert publish_gate.released(2 * MS) == ["rov1"]


def test_a_ping_that_is_not_answered_soon_holds_nothing_back():
    publish_gate = PublishGate()
    publish_gate.sent("rov2", 0)
    publish_gate.wait("rov1", 4 * MS)
    assert publish_gate.released(GATE_NS) == ["rov1"]


def test_pings_without_a_pause_hold_a_result_back_for_a_few_ms_at_most():
    publish_gate = PublishGate()
    publish_gate.wait("rov1", 0)
    for now_ns in range(0, GATE_NS, MS):
        publish_gate.sent(f"busy{now_ns}", now_ns)
        assert publish_gate.released(now_ns) == []
        publish_gate.wait("rov1", now_ns)
    assert publish_gate.due_ns == GATE_NS
    assert publish_gate.released(GATE_NS) == ["rov1"]


def test_those_that_are_gathered_go_out_together_once_the_first_has_waited():
    publish_gate = PublishGate()
    publish_gate.wait("rov1", 0, 50 * MS)
    publish_gate.wait("rov2", 49 * MS, 50 * MS)
    assert publish_gate.due_ns == 50 * MS
    assert publish_gate.released(49 * MS) == []
    assert publish_gate.released(50 * MS) == ["rov1", "rov2"]


def test_gathered_results_too_wait_for_a_pong_but_no_longer_than_others():
    publish_gate = PublishGate()
    publish_gate.wait("rov1", 0, 50 * MS)
    publish_gate.sent("rov2", 48 * MS)
    assert publish_gate.released(50 * MS) == []
    publish_gate.sent("rov3", 52 * MS)
    assert publish_gate.due_ns == 55 * MS
    assert publish_gate.released(54 * MS) == []
    assert publish_gate.released(55 * MS) == ["rov1"]
