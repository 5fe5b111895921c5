"""A stop waits for what was measured while the recorder, or topside, was away, of which nothing is known."""

import pytest

from schemas.instants import utc_from_ns
from tests.unit.test_metadata_merge import result
from tests.unit.test_recorder_session import S, at, exchange, recording
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
    assert reach.awaited_until_ns("topside", at(2).raw_ns) == at(25 + AWAY_S).raw_ns
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


def of(topside, seq, second, behind_s=0):
    """An exchange of a topside whose realtime is so far behind."""
    made = exchange(seq, second, topside=topside)
    stamps = ("origin_ns", "receive_ns", "transmit_ns", "destination_ns", "topside_realtime_minus_raw_ns")
    return made.model_copy(update={name: getattr(made, name) - round(behind_s * 1e9) for name in stamps})


def test_the_last_of_each_topside_are_awaited_whatever_comes_of_another(session, reach):
    session.take_batch([of("other", 0, 1.9)], 0, at(2))
    session.stop("r2", at(4))
    session.take_batch([exchange(2, 4.1)], 1, at(4.2))
    assert not session.update(at(4.2), reach).smooth
    session.take_batch([of("other", 1, 3.9)], 1, at(4.9))
    assert not session.update(at(4.9), reach).smooth
    session.take_batch([of("other", 2, 4.1)], 2, at(5.1))
    assert session.update(at(5.1), reach).smooth


def test_results_tell_of_exchanges_by_the_clock_of_their_own_topside(session, reach):
    """The other one's realtime is five minutes behind, and has been set back."""
    session.take_batch([of("other", 0, 1.5), of("other", 1, 1.9, 300)], 0, at(2))
    session.take_batch([exchange(2, 29)], 1, at(29.1))
    reported(session, 30, 28 - 300, topside="other")
    session.stop("r2", at(31))
    session.take_batch([exchange(3, 31.1)], 2, at(31.2))
    assert ends(session, reach, range(32, 100)) == 31 + AWAY_S


def test_a_topside_that_is_heard_first_after_the_stop_is_awaited_while_it_catches_up(session, reach):
    """As every one after the recorder's restart: how long its exchanges take on the way is not known."""
    session.stop("r2", at(40))
    for place in range(8):
        batch = [of("other", 4 * place + each, 10 + 4 * place + each) for each in range(4)]
        session.take_batch(batch, place, at(40.2 + place))
        assert not session.update(at(40.2 + place), reach).smooth
    for tenth in range(480, 494):
        session.take_batch([of("other", tenth - 448, tenth / 10)], tenth, at(tenth / 10 + 0.1))
    assert session.update(at(49.4), reach).smooth


def test_one_that_comes_and_goes_delays_a_stop_for_ten_minutes_at_most(session, reach):
    session.stop("r2", at(3))
    for second in range(4, 603, 5):
        reach.note_status("topside", at(second).raw_ns, online=bool(second // 10 % 2))
        assert not session.update(at(second), reach).smooth
    assert session.update(at(603), reach).smooth


def test_what_was_measured_after_the_stop_while_the_recorder_slept_is_not_taken(session, reach):
    """But for the first. It slept for a minute, in which its RAW stood still."""
    session.take_batch([exchange(2, 4)], 1, at(4))
    session.stop("r2", at(5))
    session.slept(60_000_000_000, later(5.2))
    slept = [exchange(3 + place, 4.9 + place) for place in range(60)]
    session.take_batch(slept, 2, later(5.3))
    assert session.update(later(5.3), reach).smooth
    there = [one.seq for one in session.store.folder.read_exchanges().exchanges]
    assert there == list(range(8))


def later(second, slept_s=60):
    """The recorder's reading after it slept."""
    return at(second)._replace(realtime_minus_raw_ns=at(second).realtime_minus_raw_ns + slept_s * S)


def test_what_was_on_its_way_at_the_stop_is_awaited_after_an_hour_of_sleep(session, reach):
    session.take_batch([exchange(2, 4)], 1, at(4))
    session.stop("r2", at(5))
    session.slept(3600 * S, later(5.2, 3600))
    assert not session.update(later(5.2, 3600), reach).smooth
    session.take_batch([exchange(3, 4.9)], 2, later(5.3, 3600))
    assert not session.update(later(5.3, 3600), reach).smooth
    session.take_batch([exchange(4, 3605.1)], 3, later(5.4, 3600))
    assert session.update(later(5.4, 3600), reach).smooth


def test_a_stop_is_answered_after_three_seconds_though_updates_are_rare(tmp_path, reach):
    settings = RecorderSettings(root=tmp_path, broker="mqtt://localhost", update_s=60, stop_wait_s=30)
    session = SessionRecorder(recording(), tmp_path / "session_s1", settings, at(0))
    session.take_batch([exchange(0, 1)], 0, at(2))
    session.stop("r2", at(3))
    assert not session.update(at(3), reach).smooth
    assert session.next_update_ns == at(6).raw_ns
    session.update(at(6), reach)
    assert (session.state.state, session.state.closing) == ("stopped", True)


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


@pytest.mark.parametrize("interval_s", [10, 60])
def test_what_a_topside_that_publishes_seldom_has_finished_is_asked_for_at_the_stop(
    session, reach, interval_s
):
    reported(session, 2.2, 2, interval_s=interval_s)
    session.stop("r2", at(11))
    ((owner, command),) = session.update(at(11), reach).resend
    assert (owner, command.from_seq) == (("topside", "topside"), 2)
    session.take_batch([exchange(seq, seq + 1) for seq in range(2, 10)], 1, at(11.2))
    assert ends(session, reach, [each / 10 for each in range(112, 200)]) == 12.2
    assert len(session.store.folder.read_exchanges().exchanges) == 10


def test_the_last_exchange_of_a_vehicle_that_is_measured_rarely_is_awaited(session, reach):
    """It was finished just before the stop, twenty seconds after the one before it."""
    reported(session, 21, 2, interval_s=1.0, rate=0.05)
    session.stop("r2", at(22.2))
    assert not session.update(at(22.2), reach).smooth
    session.take_batch([exchange(2, 22)], 1, at(22.9))
    assert not session.update(at(23), reach).smooth
    reported(session, 23.1, 22, interval_s=1.0, rate=0.05)
    assert ends(session, reach, [each / 10 for each in range(231, 300)]) == 23.9


@pytest.mark.parametrize("last", [2**53 - 1, 2**53])
def test_of_a_count_that_is_at_its_end_no_more_is_asked_for_than_there_can_be(session, reach, last):
    session.take_batch([exchange(last, 2.1)], 1, at(2.2))
    reported(session, 2.2, 2, interval_s=60)
    session.stop("r2", at(11))
    latest = [command.to_seq for _, command in session.update(at(11), reach).resend if command.to_seq >= last]
    assert latest == [2**53] * (2**53 - last)
