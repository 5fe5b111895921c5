"""Whether a recorder is there: a command waits for one that may answer, and no longer."""

import pytest

from tests.unit.dashboards import S, session
from tidesync.sessions.presence import SETTLED_NS, SILENT_NS, RecorderPresence, offline_recorder


def state(word="recording", recorder="main"):
    return session("dive-1", word).model_copy(update={"recorder": recorder})


def presence(known=None, **online):
    made = RecorderPresence("dive-1")
    made.subscribed(100 * S)
    for name, is_online in online.items():
        made.status(name, online=is_online)
    if known:
        made.state(known, 100 * S, retained=True)
    return made


SETTLED = 100 * S + SETTLED_NS


def test_the_recorder_that_records_the_session_is_offline():
    assert "'main'" in presence(state(), main=False, other=True).absence(SETTLED)
    assert presence(state(), main=False).absence(SETTLED - 1) is None


def test_a_recorder_that_comes_back_meanwhile_is_waited_for():
    waiting = presence(state(), main=False)
    waiting.status("main", online=True)
    assert waiting.absence(SETTLED) is None


def test_one_that_is_said_to_be_online_and_is_silent_for_longer_than_its_interval():
    waiting = presence(state(), main=True)
    assert waiting.absence(100 * S + SILENT_NS) is None
    assert "silent for 15 s" in waiting.absence(100 * S + SILENT_NS + 1)
    waiting.state(state(), 110 * S, retained=False)
    assert waiting.absence(100 * S + SILENT_NS + 1) is None


@pytest.mark.parametrize("online", [{}, {"main": True}, {"main": False, "other": True}])
def test_a_session_that_nobody_records_may_be_answered_by_any_recorder(online):
    assert presence(state("stopped"), **online).absence(10_000 * S) is None
    assert presence(**online).absence(10_000 * S) is None


def test_no_recorder_is_online_at_all():
    assert "main, other: offline" in presence(main=False, other=False).absence(SETTLED)


def test_an_older_recorder_without_a_status_is_waited_for():
    assert presence(state(recorder=None)).absence(10_000 * S) is None
    assert presence(state()).absence(10_000 * S) is None


def test_nothing_is_concluded_before_the_first_connection():
    waiting = RecorderPresence("dive-1")
    waiting.status("main", online=False)
    assert waiting.absence(10_000 * S) is None


def test_a_session_that_should_be_recorded_and_whose_recorder_is_offline():
    assert offline_recorder(state(), {"main": False}) == "main"
    assert offline_recorder(state("stopped"), {"main": False}) is None
    assert offline_recorder(state(), {"main": True}) is None
    assert offline_recorder(state(), {}) is None
    assert offline_recorder(state(recorder=None), {"main": False}) is None
