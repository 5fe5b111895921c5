"""A session that is being recorded, from messages to files, with the time told: above all, its end."""

import pytest

from tests.unit.test_recorder_session import at, exchange, recording
from tidesync.sessions.recorder.live import LiveSession
from tidesync.sessions.recorder.settings import RecorderSettings


@pytest.fixture
def live(tmp_path):
    settings = RecorderSettings(root=tmp_path, broker="mqtt://localhost")
    made = LiveSession(recording(), tmp_path / "session_s1", settings, at(0))
    made.batch([exchange(0, 1), exchange(3, 2)], 0, at(2))
    made.turn(at(2))
    return made


def test_a_stop_waits_for_the_last_exchanges_and_not_only_for_what_is_sent_again(live):
    live.stop("r2", at(3))
    live.batch([exchange(1, 1.3), exchange(2, 1.6)], 1, at(3.1))
    assert not live.turn(at(3.1)).smooth
    live.batch([exchange(4, 2.9)], 2, at(3.2))
    assert live.turn(at(3.2)).smooth


def test_a_stop_does_not_wait_for_a_vehicle_that_says_nothing_any_more(live):
    live.batch([exchange(1, 1.3), exchange(2, 1.6)], 1, at(2.5))
    live.stop("r2", at(3))
    assert not live.turn(at(3.1)).smooth
    assert live.turn(at(4.1)).smooth


def test_a_stop_that_is_asked_for_again_waits_no_longer(live):
    live.stop("r2", at(3))
    assert not live.turn(at(3.1)).smooth
    live.stop("r2", at(3.9))
    live.batch([exchange(1, 1.3), exchange(2, 1.6), exchange(4, 3)], 1, at(4))
    assert live.turn(at(4.1)).smooth


def test_a_recording_that_nothing_happens_in_is_told_of_again_every_five_seconds(live):
    live.note_published(live.state, at(10).raw_ns)
    assert [second for second in range(10, 17) if live.untold(at(second))] == [15, 16]
    live.note_published(live.state, at(16).raw_ns)
    assert not live.untold(at(20))
