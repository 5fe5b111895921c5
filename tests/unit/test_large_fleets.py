"""A large fleet on the terminal and in doctor: the worst first, groups instead of lines, nothing left out."""

import re

import pytest

from schemas import topics
from tests.unit.dashboards import info
from tests.unit.test_terminal_fleet import NOON, S, letter, result, rows, screen
from tidesync.cli.status import _table
from tidesync.doctor.fleet_checks import agent, vehicle
from tidesync.doctor.grouping import grouped
from tidesync.figures import some_of
from tidesync.fleet.order import Rank, measured, rank, worst_first
from tidesync.terminal.folding import folded
from tidesync.terminal.view import View


def fleet(**numbers):
    """So many vehicles of each state, at noon."""
    letters = []
    for state, many in numbers.items():
        letters += [letter(result(f"{state}{n}", state=state), vehicle=f"{state}{n}") for n in range(many)]
    return rows(*letters)


def test_the_worst_are_first_and_else_the_order_stays():
    listed = worst_first(fleet(locked=2, acquiring=1, holdover=1, stale=2, unsynced=1))
    assert [row.vehicle for row in listed] == [
        "unsynced0", "stale0", "stale1", "holdover0", "acquiring0", "locked0", "locked1"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "stands"),
    [
        ({"error": "duplicate_vehicle", "state": "acquiring"}, Rank.IN_DOUBT),
        ({"error": "a later word"}, Rank.IN_DOUBT),
        ({"conditional": True}, Rank.CONDITIONAL),
        ({"state": "a later word"}, Rank.OTHER),
        ({}, Rank.LOCKED),
    ],
)
def test_a_locked_result_that_is_not_to_be_trusted_stands_before_those_that_are(changes, stands):
    (row,) = rows(letter(result(**changes)))
    assert rank(row) is stands


def test_an_old_result_counts_for_less_where_another_topside_measures_the_vehicle():
    both = rows(
        letter(result(topside="bow", at_ns=NOON - 60 * S), retain=True, topside="bow"),
        letter(result(topside="stern"), topside="stern"),
    )
    stand = [rank(row, measured(both)) for row in both]
    assert stand == [Rank.REPLACED, Rank.LOCKED]
    assert rank(both[0]) is Rank.OLD


def test_a_vehicle_that_nobody_measures_stands_by_its_status():
    there, gone = rows(
        letter("online", topics.STATUS, vehicle="a"), letter("offline", topics.STATUS, vehicle="b")
    )
    assert (rank(there), rank(gone)) == (Rank.UNMEASURED, Rank.OFFLINE)


def test_a_small_fleet_is_listed_as_it_is():
    few = fleet(locked=10, stale=10)
    assert folded(few) == (few, ())


def test_of_a_large_fleet_the_locked_are_one_line_and_each_trouble_ten_rows():
    found = folded(fleet(locked=812, holdover=37, stale=2))
    assert [row.vehicle for row in found.rows][:3] == ["stale0", "stale1", "holdover0"]
    assert len(found.rows) == 12
    assert found.lines == (
        "27 more holdover",
        "812 locked, max error at most 0.4200 ms",
        "(--all lists each)",
    )


def test_no_row_is_lost_by_folding():
    numbers = {"locked": 33, "holdover": 41, "stale": 3, "unsynced": 12}
    found = folded(fleet(**numbers))
    counted = sum(int(re.match(r"\d+", line)[0]) for line in found.lines[:-1])
    assert len(found.rows) + counted == sum(numbers.values())


def test_the_table_of_a_fleet_that_is_all_locked_is_a_line():
    found = folded(fleet(locked=100))
    assert _table(found.rows, found.lines).splitlines()[0] == "100 locked, max error at most 0.4200 ms"


def test_a_vehicle_that_two_topsides_have_locked_counts_once():
    letters = [
        letter(result(f"rov{n}", topside=by, max_error_ms=error_ms), vehicle=f"rov{n}", topside=by)
        for n in range(30)
        for by, error_ms in (("bow", 0.9), ("stern", 0.3))
    ]
    both = rows(*letters)
    assert {row.topside for row in both if row.in_use} == {"stern"}
    assert folded(both).lines[0] == (
        "30 locked, max error at most 0.3000 ms; 30 more by other topsides, not in use"
    )
    few = _table(rows(*letters[:2]))
    assert few.count("not in use: another topside's bound of this vehicle is smaller") == 1


def test_a_screen_without_room_for_all_shows_the_worst():
    shown = screen(View("title", None, fleet(locked=200, stale=3)), height=20)
    assert shown.index("stale0") < shown.index("locked0")
    assert "more, none of them not locked" in shown


def test_a_screen_says_what_has_no_room_in_the_model():
    view = View("title", None, fleet(locked=1), notices=("7 vehicles are not shown",))
    assert "7 vehicles are not shown" in screen(view)


def findings(**numbers):
    return [vehicle(row) for row in fleet(**numbers)]


def test_doctor_speaks_of_groups_that_are_alike():
    (found,) = grouped(findings(holdover=37))
    assert (found.check, found.verdict) == ("37 vehicles", "warn")
    names = "holdover0, holdover1, holdover10, … and 34 more"
    assert found.found == f"of unknown status, holdover by laptop: {names}"
    assert found.advice.startswith("wait for it to lock")


def test_doctor_lists_a_few_and_keeps_their_numbers():
    few = findings(locked=3)
    assert grouped(few) == few
    assert "max error 0.420 ms" in few[0].found


def test_advice_for_a_group_names_no_vehicle_of_it():
    old = [
        vehicle(row)
        for row in rows(
            *(
                letter(result(f"rov{n}", at_ns=NOON - (60 + n) * S), retain=True, vehicle=f"rov{n}")
                for n in range(9)
            )
        )
    ]
    (found,) = grouped(old)
    assert "tidesync forget VEHICLE" in found.advice
    assert found.found.endswith("not renewed: rov0, rov1, rov2, … and 6 more")


def test_agents_and_vehicles_are_groups_of_their_own_and_json_knows_no_groups():
    agents = [agent(f"rov{n}", info(f"rov{n}")).about(f"rov{n}") for n in range(5)]
    one, other = grouped([*findings(locked=4), *agents])
    assert (one.check, other.check) == ("4 vehicles", "agent of 5 vehicles")
    assert set(agents[0].document()) == {"check", "verdict", "found", "advice"}


def test_some_of_many_names():
    assert some_of(["a", "b"], "vehicle") == "a, b"
    assert some_of(["a", "b", "c", "d", "e"], "vehicle") == "5 vehicles (a, b, c, … and 2 more)"
