"""A session that is being recorded, from messages to files: above all, its end."""

import pytest

from tests.unit.test_metadata_merge import result
from tests.unit.test_recorder_session import at, exchange, recording
from tidesync.sessions.recorder.reach import Reach
from tidesync.sessions.recorder.session_recorder import SessionRecorder
from tidesync.sessions.recorder.settings import RecorderSettings


@pytest.fixture
def session(tmp_path):
    settings = RecorderSettings(root=tmp_path, broker="mqtt://localhost", stop_wait_s=1)
    made = SessionRecorder(recording(), tmp_path / "session_s1", settings, at(0))
    made.take_batch([exchange(0, 1), exchange(3, 2)], 0, at(2))
    made.update(at(2))
    return made


def connected():
    """The broker is there from the start on."""
    made = Reach(at(0).raw_ns)
    made.note_connected(at(0).raw_ns)
    return made


def test_a_stop_waits_for_the_last_exchanges_and_not_only_for_what_is_sent_again(session):
    session.stop("r2", at(3))
    session.take_batch([exchange(1, 1.3), exchange(2, 1.6)], 1, at(3.1))
    assert not session.update(at(3.1)).smooth
    session.take_batch([exchange(4, 2.9)], 2, at(3.2))
    assert not session.update(at(3.2)).smooth  # it was on its way already
    session.take_batch([exchange(5, 3.1)], 3, at(3.3))
    assert session.update(at(3.3)).smooth


def test_a_stop_waits_for_direct_exchanges_that_others_overtake(tmp_path):
    """They wait for their transmit stamps, a second at most."""
    settings = RecorderSettings(root=tmp_path, broker="mqtt://localhost", stop_wait_s=30)
    session = SessionRecorder(recording(), tmp_path / "session_s1", settings, at(0))

    def heard(seq, second, now):
        one = exchange(seq, second).model_copy(update={"method": "udp_exchange_v1"})
        session.take_batch([one], seq, at(now))
        return session.update(at(now)).smooth

    assert not heard(0, 2, 2)
    session.stop("r2", at(3))
    assert not heard(1, 3.5, 3.5)
    assert not heard(2, 2.9, 3.9)
    assert heard(3, 4.3, 4.3)
    assert [one.seq for one in session.store.folder.read_exchanges().exchanges] == [0, 1, 2, 3]


def test_a_stop_does_not_wait_for_a_vehicle_that_is_silent(session):
    session.take_batch([exchange(1, 1.3), exchange(2, 1.6)], 1, at(2.5))
    session.stop("r2", at(3))
    assert not session.update(at(3.1)).smooth
    assert session.update(at(4.1)).smooth


def test_a_stop_that_is_asked_for_again_waits_no_longer(session):
    session.stop("r2", at(3))
    assert not session.update(at(3.1)).smooth
    session.stop("r2", at(3.9))
    session.take_batch([exchange(1, 1.3), exchange(2, 1.6)], 1, at(4))
    assert session.update(at(4.1)).smooth


def test_a_stop_waits_while_exchanges_of_before_it_come(session):
    """A backlog that is published by and by, whose end nobody knows; each comes sooner than a second."""
    session.take_batch([exchange(1, 1.3), exchange(2, 1.6)], 1, at(2.1))
    session.stop("r2", at(10))
    for place in range(8):
        session.take_batch([exchange(4 + place, 2 + place)], 2 + place, at(10.9 + 0.9 * place))
        assert not session.update(at(10.9 + 0.9 * place)).smooth
    session.take_batch([exchange(12, 10.1)], 11, at(18.1))
    assert session.update(at(18.1)).smooth
    assert len(session.store.folder.read_exchanges().exchanges) == 13


def test_a_stop_waits_for_no_clock_that_contradicts_the_other(session):
    """Topside slept for a minute: by its RAW all that comes was sent before the stop, for a minute."""
    session.take_batch([exchange(1, 1.3), exchange(2, 1.6)], 1, at(2.1))
    session.stop("r2", at(70))
    difference_ns = exchange(4, 69).topside_realtime_minus_raw_ns + 60_000_000_000
    for place in range(2):
        slept = exchange(4 + place, 70 + place).model_copy(
            update={"topside_realtime_minus_raw_ns": difference_ns}
        )
        session.take_batch([slept], 2 + place, at(70 + place))
        assert session.update(at(70 + place)).smooth is (place == 1)


def test_a_topside_that_set_its_clock_back_ends_a_stop_as_any_other(session):
    """Its exchanges are counted, whatever it takes for the time."""
    session.take_batch([exchange(1, 1.3), exchange(2, 1.6)], 1, at(2.1))
    session.stop("r2", at(3))
    set_back = exchange(4, 3.1)
    stamps = ("origin_ns", "receive_ns", "transmit_ns", "destination_ns", "topside_realtime_minus_raw_ns")
    earlier = {name: getattr(set_back, name) - 1_000_000_000_000 for name in stamps}
    session.take_batch([set_back.model_copy(update=earlier)], 2, at(3.2))
    assert session.update(at(3.2)).smooth


def answer(session, second, *seqs):
    session.take_batch([exchange(seq, 2 - 1 / (seq + 1)) for seq in seqs], 9, at(second))
    return session.update(at(second)).smooth


def test_a_stop_asks_three_times_for_what_a_topside_may_have(session):
    """The first request is lost; the second one's answer comes in two parts, of which one is lost."""
    session.stop("r2", at(3))
    session.take_batch([exchange(4, 3.1)], 1, at(3.2))
    requests = []
    for tenth in range(32, 80):
        actions = session.update(at(tenth / 10))
        requests += [(command.from_seq, command.to_seq) for _, command in actions.resend]
        assert not actions.smooth
        if tenth == 53:
            assert not answer(session, 5.3, 2)
    assert requests == [(1, 2), (1, 2), (1, 1)]
    assert (session.state.state, session.state.closing) == ("stopped", True)
    assert answer(session, 8, 1)
    assert session.log.update(at(8), 8.0) == []


@pytest.mark.parametrize(("offline", "ends_s"), [(None, 9), ("other", 9), ("topside", 23)])
def test_a_stop_waits_no_longer_than_a_topside_may_answer_or_come_back(session, offline, ends_s):
    reach = connected()
    if offline:
        reach.note_status(offline, at(2).raw_ns, online=False)
    session.stop("r2", at(3))
    session.take_result(result(), at(3.1), stored=False)
    assert not session.update(at(ends_s - 0.01), reach).smooth
    assert session.update(at(ends_s), reach).smooth
    gaps = [event for event in session.store.folder.read_events() if event.kind == "gap"]
    assert [(gap.from_seq, gap.to_seq) for gap in gaps] == [(1, 2)]


def test_a_stop_ends_after_ten_minutes_whatever_comes_back(session):
    session.take_batch([exchange(2000, 2.5)], 1, at(2.6))
    session.stop("r2", at(3))
    for second in range(4, 603, 5):
        assert not answer(session, second, second)
    assert answer(session, 603, 603)


def test_what_was_measured_after_a_stop_is_not_taken_while_missing_exchanges_come_back(session):
    """But what had waited on the way is, and the first of after it, which shows what is missing before."""
    session.stop("r2", at(10))
    late = [exchange(4, 9), exchange(6, 9.5)]
    session.take_batch(late, 1, at(14))
    for seq, second in ((7, 15), (8, 16), (9, 17)):
        session.take_batch([exchange(seq, second)], seq, at(second))
        assert not session.update(at(second)).smooth
    assert answer(session, 17.5, 1, 2, 5)
    assert sorted(one.seq for one in session.store.folder.read_exchanges().exchanges) == list(range(8))


def test_what_is_on_its_way_at_a_stop_is_not_asked_for_twice(session):
    assert len(session.update(at(2.6)).resend) == 1
    session.stop("r2", at(3))
    session.take_batch([exchange(4, 3.1)], 1, at(3.2))
    assert [len(session.update(at(second)).resend) for second in (3.2, 4, 4.5, 4.7)] == [0, 0, 0, 1]


def after(session, second, instance_id, first):
    """A second's four exchanges of a process that is later than those that the session has."""
    made = [exchange(first + place, second - 1 + place / 4) for place in range(4)]
    made = [one.model_copy(update={"instance_id": instance_id}) for one in made]
    session.take_batch(made, first, at(second))


def test_who_goes_on_after_a_stop_is_neither_silent_nor_ended_though_it_is_not_recorded(tmp_path):
    """Two processes of one name; of the one that is heard after the other something is missing for long."""
    settings = RecorderSettings(root=tmp_path, broker="mqtt://localhost", stop_wait_s=30)
    session = SessionRecorder(recording(), tmp_path / "session_s1", settings, at(0))
    for second in range(1, 11):
        after(session, second, "a", 4 * second)
        after(session, second + 0.1, "b", 4000 + 4 * second + (second > 5))
        session.update(at(second + 0.2))
    assert session.log.watches.awaited == 1
    session.stop("r2", at(10.3))
    for second in range(11, 27):
        after(session, second, "a", 4 * second)
        after(session, second + 0.1, "b", 4001 + 4 * second)
        assert not session.update(at(second + 0.2)).smooth
        assert session.log.alarm is None
    missing = exchange(4024, 5.5).model_copy(update={"instance_id": "b"})
    session.take_batch([missing], 9, at(27))
    assert session.update(at(27)).smooth
    assert session.store.folder.read_events() == []
    recorded = [one.seq for one in session.store.folder.read_exchanges().exchanges if one.instance_id == "b"]
    assert sorted(recorded) == list(range(recorded[0], recorded[0] + len(recorded)))
    assert len(recorded) < 4 * 20


def test_a_stop_ends_as_soon_while_exchanges_of_after_it_come(session):
    """What is missing nobody has; each second another exchange comes that is not recorded, none late."""
    session.stop("r2", at(3))
    ends = []
    for half in range(7, 60):
        if half % 2:
            session.take_batch([exchange(4 + half // 2, half / 2 - 0.1)], half, at(half / 2))
        ends += [half / 2] if session.update(at(half / 2)).smooth else []
    assert ends == [12.5]


def test_a_stop_waits_for_answers_that_are_behind_others_on_their_way(session):
    """What comes was made half a minute before; of after the stop it is not recorded."""
    session.stop("r2", at(40))
    for second in range(41, 70):
        session.take_batch([exchange(second, second - 30)], second, at(second))
        assert not session.update(at(second)).smooth
    for second in range(70, 83):
        session.take_batch([exchange(second, second - 30 + 0.1)], second, at(second))
        assert not session.update(at(second)).smooth
    assert [one.seq for one in session.store.folder.read_exchanges().exchanges][-1] == 73


def test_an_unchanged_state_is_published_again_every_five_seconds(session):
    session.note_published(session.state, at(10).raw_ns)
    assert [second for second in range(10, 17) if session.republish_due(at(second))] == [15, 16]
    session.note_published(session.state, at(16).raw_ns)
    assert not session.republish_due(at(20))
