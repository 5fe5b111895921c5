"""Results of a name that two processes use: never locked on any surface, whoever of them says so."""

import pytest

from tests.results import offset_result
from tests.unit.dashboards import LONG_AGO, S, letter, result
from tests.unit.test_fleet_model import only
from tests.unit.test_terminal_fleet import letter as terminal_letter
from tests.unit.test_terminal_fleet import result as terminal_result
from tidesync.dashboard.cockpit_lines import values
from tidesync.fleet.duplicates import REMEMBER_NS, Alternation, doubted, sentence
from tidesync.fleet.model import Fleet
from tidesync.fleet.waiting import WaitCondition

ERRORS = ("duplicate_vehicle", "duplicate_topside")


@pytest.mark.parametrize("error", ERRORS)
def test_a_duplicate_that_an_earlier_topside_calls_locked_is_not(error):
    found = doubted(offset_result(error=error))
    assert (found.state, found.error) == ("acquiring", error)
    assert doubted(offset_result(error=error, state="holdover")).state == "holdover"
    assert doubted(offset_result(error="high_rtt")).state == "locked"


def test_processes_that_take_turns_are_noticed_although_neither_says_so():
    alternation = Alternation()
    found = [
        alternation.take(offset_result(instance_id="ab"[turn % 2]), turn * S).error for turn in range(10)
    ]
    assert found == [None, None, *["duplicate_topside"] * 8]
    later = 9 * S + REMEMBER_NS
    assert alternation.take(offset_result(instance_id="a"), later - 1).error == "duplicate_topside"
    assert alternation.take(offset_result(instance_id="a"), later + 2 * REMEMBER_NS).error is None


@pytest.mark.parametrize("ids", ["aaabbbccc", [None] * 9, "abcdefghijklmn"])
def test_processes_that_follow_each_other_are_restarts(ids):
    alternation = Alternation()
    found = {alternation.take(offset_result(instance_id=one), n * S).error for n, one in enumerate(ids)}
    assert found == {None}


@pytest.mark.parametrize("retained", [False, True])
@pytest.mark.parametrize("error", ERRORS)
def test_the_dashboard_and_cockpit_never_show_it_as_locked(error, retained):
    fleet = Fleet(histories=True)
    fleet.take(letter(result(error=error), retained=retained))
    row = only(fleet)
    assert (row.last_state, row.error) == ("acquiring", error)
    lines = values([row], connected=True, unix_s=0.0, topside=None)
    assert "locked" not in lines.values()


def test_two_whose_results_come_by_turns_are_shown_as_such():
    fleet = Fleet(histories=True)
    for turn in range(3):
        at_ns = LONG_AGO + turn * S
        fleet.take(letter(result(instance_id="ab"[turn % 2]), at_ns))
    row = only(fleet, LONG_AGO + 2 * S)
    assert (row.state, row.error) == ("acquiring", "duplicate_topside")


@pytest.mark.parametrize("error", ERRORS)
def test_wait_does_not_end_with_it_and_says_why(error):
    condition = WaitCondition("rov1", None)
    assert condition.take(terminal_letter(terminal_result(error=error))) is None
    assert condition.why_not() == sentence(terminal_result(error=error))
    assert "rename" in condition.why_not()
