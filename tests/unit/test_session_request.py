"""A command to a recorder: said until it is answered, and answered by nothing else."""

from datetime import UTC, datetime

from schemas.messages import StopCommand
from schemas.names import session_name
from tests.unit.dashboards import S, session
from tidesync.sessions.request import SessionRequest, session_name_at, session_names_at, strangers


def request():
    return SessionRequest("tidesync", "dive-1", StopCommand(request_id="mine"))


def test_it_is_said_at_once_and_again_every_two_seconds():
    asking = request()
    said = [at for at in range(100, 107) if asking.due(at * S)]
    assert said == [100, 102, 104, 106]


def test_a_new_connection_is_told_at_once():
    asking = request()
    assert asking.due(100 * S)
    asking.hurry()
    assert asking.due(100 * S).topic == "tidesync/v1/session/dive-1/command"


def test_once_answered_it_is_silent():
    asking = request()
    assert asking.heard(session("dive-1", "stopped", request_id="mine"))
    assert asking.due(100 * S) is None
    assert asking.answer.state == "stopped"


def test_another_request_or_session_is_no_answer():
    asking = request()
    assert not asking.heard(session("dive-1", request_id="other"))
    assert not asking.heard(session("dive-1", request_id=None))
    assert not asking.heard(session("dive-2", request_id="mine"))
    assert asking.answer is None


def test_a_session_is_called_by_the_time_it_begins():
    assert session_name_at(datetime(2026, 5, 1, 12, 0, 7, tzinfo=UTC)) == "2026-05-01T12-00-07Z"


def test_a_name_that_is_taken_is_followed_by_a_few_others():
    names = list(session_names_at(datetime(2026, 5, 1, 12, 0, 7, tzinfo=UTC)))
    assert names == ["2026-05-01T12-00-07Z", *(f"2026-05-01T12-00-07Z-{number}" for number in (2, 3, 4, 5))]
    assert [session_name(name) for name in names] == names


def test_a_vehicle_that_nobody_has_heard_of_is_named_with_those_that_are_known():
    assert strangers({"inWater": "rov1", "surface": "rov9"}, {"rov2", "rov1"}) == [
        "surface=rov9: no vehicle rov9 is known at the broker yet (known: rov1, rov2)"
    ]
    assert strangers({}, set()) == []
