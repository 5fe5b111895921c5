"""A stop waits for what was measured while the recorder, or topside, was away, of which nothing is known."""

import pytest

from schemas.instants import utc_from_ns
from tests.unit.test_metadata_merge import result
from tests.unit.test_recorder_session import at, exchange, recording
from tests.unit.test_session_recorder import connected
from tidesync.sessions.recorder.reach import AWAY_NS
from tidesync.sessions.recorder.session_recorder import SessionRecorder
from tidesync.sessions.recorder.sessions import Sessions
from tidesync.sessions.recorder.settings import RecorderSettings

AWAY_S = AWAY_NS / 1e9


@pytest.fixture
def reach():
    return connected()


@pytest.fixture
def session(tmp_path, reach):
    """Of a vehicle that is heard at 1 and 2 s."""
    settings = RecorderSettings(root=tmp_path, broker="mqtt://localhost", stop_wait_s=1)
    made = SessionRecorder(recording(), tmp_path / "session_s1", settings, at(0))
    made.take_batch([exchange(0, 1), exchange(1, 2)], 0, at(2))
    made.update(at(2), reach)
    return made


def reported(session, second, last_s, **changes):
    """A result comes, of exchanges until `last_s`."""
    measured_at = utc_from_ns(at(last_s + 2).realtime_ns)
    session.take_result(result(measured_at=measured_at, age_s=2.0, **changes), at(second), stored=False)


def ends(session, reach, seconds):
    """The first of these at which it ends."""
    return next(second for second in seconds if session.update(at(second), reach).smooth)


def test_a_recorder_that_has_just_come_back_hears_what_was_measured_before_the_stop(session, reach):
    """Both were away for longer than silence lasts; topside goes on where it was, and nothing shows it."""
    reach.note_disconnected(at(3).raw_ns)
    reach.note_connected(at(30).raw_ns)
    session.stop("r2", at(31))
    assert not session.update(at(40), reach).smooth
    session.take_batch([exchange(seq, seq + 1) for seq in range(2, 30)], 1, at(41))
    assert not session.update(at(41), reach).smooth
    session.take_batch([exchange(30, 31.1)], 2, at(41.1))
    assert session.update(at(41.1), reach).smooth
    assert len(session.store.folder.read_exchanges().exchanges) == 31


def test_it_waits_no_longer_than_a_topside_that_is_gone_may_come_back(session, reach):
    reach.note_disconnected(at(3).raw_ns)
    reach.note_connected(at(30).raw_ns)
    session.stop("r2", at(31))
    assert ends(session, reach, range(32, 100)) == 30 + AWAY_S


@pytest.mark.parametrize("stop_s", [12, 25])
def test_a_topside_that_is_offline_may_come_back(session, reach, stop_s):
    reach.note_status("topside", at(10).raw_ns, online=False)
    reach.note_status("topside", at(11).raw_ns, online=False)
    session.stop("r2", at(stop_s))
    assert ends(session, reach, range(stop_s, 100)) == 10 + AWAY_S


def test_one_that_is_back_is_awaited_again_and_a_stop_long_after_is_as_ever(session, reach):
    reach.note_status("topside", at(10).raw_ns, online=False)
    assert reach.note_status("topside", at(25).raw_ns, online=True)
    assert not reach.note_status("topside", at(35).raw_ns, online=True)
    assert reach.awaited_until_ns(session.log.watches.heard) == at(25 + AWAY_S).raw_ns
    session.stop("r2", at(50))
    assert ends(session, reach, range(50, 100)) == 50


def test_a_recorder_without_a_broker_waits_for_it(session, reach):
    reach.note_disconnected(at(3).raw_ns)
    session.stop("r2", at(4))
    assert ends(session, reach, range(4, 100)) == 4 + AWAY_S


@pytest.mark.parametrize(("measured_s", "ends_s"), [(4, 31), (20, 31 + AWAY_S)])
def test_exchanges_of_which_results_tell_are_awaited(session, reach, measured_s, ends_s):
    """They come at once, and exchanges wait at the broker; or the vehicle has been silent for long."""
    reported(session, 30, measured_s)
    session.stop("r2", at(31))
    assert ends(session, reach, range(31, 100)) == ends_s


def test_they_are_awaited_for_a_minute_while_results_go_on_to_tell_of_them(session, reach):
    session.stop("r2", at(31))
    for second in range(30, 91):
        reported(session, second, second - 1)
        assert not session.update(at(second), reach).smooth
    assert session.update(at(91), reach).smooth


def test_a_vehicle_that_was_heard_shortly_before_is_awaited_while_its_topside_is_silent_too(session, reach):
    """Its status comes late, if at all."""
    reported(session, 2.2, 2, interval_s=1.0)
    session.stop("r2", at(3))
    assert ends(session, reach, range(4, 100)) == 3 + AWAY_S


@pytest.mark.parametrize(("reported_s", "interval_s"), [(3.5, 1.0), (2.2, 60.0)])
def test_it_is_not_while_its_topside_is_heard_or_is_to_be_heard_seldom(
    session, reach, reported_s, interval_s
):
    session.stop("r2", at(3))
    reported(session, reported_s, 2, interval_s=interval_s)
    assert ends(session, reach, range(3, 100)) == 4


def test_a_recorder_that_ends_meanwhile_does_not_give_up_what_it_waits_for(tmp_path, reach):
    """Its next process goes on to wait."""
    sessions = Sessions(RecorderSettings(root=tmp_path, broker="mqtt://localhost", alarm_s=5))
    session = sessions.open(recording(), at(0))
    session.take_batch([exchange(0, 1), exchange(1, 2)], 0, at(2))
    session.update(at(2), reach)
    reach.note_status("topside", at(10).raw_ns, online=False)
    session.stop("r2", at(12))
    assert not session.update(at(16), reach).smooth
    assert list(sessions.suspend(at(17), reach)) == [session]
    assert session.active
