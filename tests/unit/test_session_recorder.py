"""A session that is being recorded, from messages to files: above all, its end."""

import pytest

from tests.unit.test_recorder_session import at, exchange, recording
from tidesync.sessions.recorder.session_recorder import SessionRecorder
from tidesync.sessions.recorder.settings import RecorderSettings


@pytest.fixture
def session(tmp_path):
    settings = RecorderSettings(root=tmp_path, broker="mqtt://localhost")
    made = SessionRecorder(recording(), tmp_path / "session_s1", settings, at(0))
    made.take_batch([exchange(0, 1), exchange(3, 2)], 0, at(2))
    made.update(at(2))
    return made


def test_a_stop_waits_for_the_last_exchanges_and_not_only_for_what_is_sent_again(session):
    session.stop("r2", at(3))
    session.take_batch([exchange(1, 1.3), exchange(2, 1.6)], 1, at(3.1))
    assert not session.update(at(3.1)).smooth
    session.take_batch([exchange(4, 2.9)], 2, at(3.2))
    assert session.update(at(3.2)).smooth


def test_a_stop_does_not_wait_for_a_vehicle_that_is_silent(session):
    session.take_batch([exchange(1, 1.3), exchange(2, 1.6)], 1, at(2.5))
    session.stop("r2", at(3))
    assert not session.update(at(3.1)).smooth
    assert session.update(at(4.1)).smooth


def test_a_stop_that_is_asked_for_again_waits_no_longer(session):
    session.stop("r2", at(3))
    assert not session.update(at(3.1)).smooth
    session.stop("r2", at(3.9))
    session.take_batch([exchange(1, 1.3), exchange(2, 1.6), exchange(4, 3)], 1, at(4))
    assert session.update(at(4.1)).smooth


def test_an_unchanged_state_is_published_again_every_five_seconds(session):
    session.note_published(session.state, at(10).raw_ns)
    assert [second for second in range(10, 17) if session.republish_due(at(second))] == [15, 16]
    session.note_published(session.state, at(16).raw_ns)
    assert not session.republish_due(at(20))
