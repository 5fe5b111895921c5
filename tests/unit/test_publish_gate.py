"""Results go out between exchanges, and a few ms later at the latest."""

from topside_agent.measuring.publish_gate import PATIENCE_NS, PublishGate

MS = 1_000_000


def test_with_no_ping_under_way_a_result_goes_out_at_once_and_once():
    lull = PublishGate()
    lull.wait("rov1", 0)
    assert lull.released(0) == ["rov1"]
    assert lull.released(0) == []
    assert lull.due_ns is None


def test_a_result_waits_for_the_pong_that_is_under_way():
    lull = PublishGate()
    lull.sent("rov2", 0)
    lull.wait("rov1", MS)
    assert lull.released(MS) == []
    assert lull.holds("rov1")
    lull.answered("rov2")
    assert lull.released(2 * MS) == ["rov1"]
    assert not lull.holds("rov1")


def test_a_ping_that_is_not_answered_soon_is_waited_for_no_longer():
    lull = PublishGate()
    lull.sent("rov2", 0)
    lull.wait("rov1", 4 * MS)
    assert lull.released(PATIENCE_NS) == ["rov1"]


def test_pings_without_a_pause_hold_a_result_back_for_a_few_ms_at_most():
    lull = PublishGate()
    lull.wait("rov1", 0)
    for now_ns in range(0, PATIENCE_NS, MS):
        lull.sent(f"busy{now_ns}", now_ns)
        assert lull.released(now_ns) == []
        lull.wait("rov1", now_ns)
    assert lull.due_ns == PATIENCE_NS
    assert lull.released(PATIENCE_NS) == ["rov1"]


def test_those_that_are_gathered_go_out_together_once_the_first_has_waited():
    lull = PublishGate()
    lull.wait("rov1", 0, 50 * MS)
    lull.wait("rov2", 49 * MS, 50 * MS)
    assert lull.due_ns == 50 * MS
    assert lull.released(49 * MS) == []
    assert lull.released(50 * MS) == ["rov1", "rov2"]


def test_gathered_results_too_wait_for_a_pong_but_no_longer_than_others():
    lull = PublishGate()
    lull.wait("rov1", 0, 50 * MS)
    lull.sent("rov2", 48 * MS)
    assert lull.released(50 * MS) == []
    lull.sent("rov3", 52 * MS)
    assert lull.due_ns == 55 * MS
    assert lull.released(54 * MS) == []
    assert lull.released(55 * MS) == ["rov1"]
