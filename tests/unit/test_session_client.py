"""A command to a recorder: sent until it is answered, and answered by nothing else."""

from datetime import datetime

from schemas.compat import UTC
from schemas.messages import StopCommand
from schemas.names import session_name
from tests.unit.dashboards import S, session
from tidesync.sessions.client import SessionRequest
from tidesync.sessions.names import session_names_at, unknown_vehicles


def request():
    return SessionRequest("tidesync", "dive-1", StopCommand(request_id="mine"))


def test_it_is_sent_at_once_and_again_every_two_seconds():
    asking = request()
    sent = [at for at in range(100, 107) if asking.due(at * S)]
    assert sent == [100, 102, 104, 106]


def test_it_is_sent_at_once_over_a_new_connection():
    asking = request()
    assert asking.due(100 * S)
    asking.repeat_now()
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


def test_a_session_is_named_by_its_time_and_a_few_other_names_follow():
    names = session_names_at(datetime(2026, 5, 1, 12, 0, 7, tzinfo=UTC))
    assert names == ["2026-05-01T12-00-07Z", *(f"2026-05-01T12-00-07Z-{number}" for number in (2, 3, 4, 5))]
    assert [session_name(name) for name in names] == names


def test_an_unknown_vehicle_is_named_with_those_that_are_known():
    assert unknown_vehicles({"inWater": "rov1", "surface": "rov9"}, {"rov2", "rov1"}) == [
        "surface=rov9: no vehicle rov9 is known at the broker yet (known: rov1, rov2)"
    ]
    assert unknown_vehicles({}, set()) == []
