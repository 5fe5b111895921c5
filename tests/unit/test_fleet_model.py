"""What the model knows of the fleet: never more certain, never more current than what was heard."""

import pytest

from schemas import topics
from schemas.instants import utc_from_ns
from schemas.topics import Topic
from tests.unit.dashboards import (
    AHEAD,
    LONG_AGO,
    S,
    event,
    info,
    letter,
    reading,
    result,
    session,
    status_letter,
)
from tidesync.dashboard.presentation import session_view, vehicle_view
from tidesync.fleet.history import COARSE_POINTS, FINE_POINTS, FULL_HISTORIES
from tidesync.fleet.model import Fleet

MOST = 300


@pytest.fixture
def fleet():
    return Fleet(most=MOST, histories=True)


def rows(fleet, at_ns=LONG_AGO, after=0):
    return [vehicle_view(row) for row in fleet.rows(reading(at_ns), after)]


def sessions(fleet, at_ns=LONG_AGO):
    return [session_view(entry.state, entry.age_s(reading(at_ns))) for entry in fleet.sessions()]


def only(fleet, at_ns=LONG_AGO, after=0):
    (row,) = rows(fleet, at_ns, after)
    return row


def test_a_live_result_is_fresh_for_three_seconds_and_no_longer(fleet):
    fleet.take(letter(result()))
    assert only(fleet, LONG_AGO + 3 * S).state == "locked"
    late = only(fleet, LONG_AGO + 3 * S + 1)
    assert (late.fresh, late.state, late.last_state) == (False, None, "locked")
    assert late.offset_ms == -150.3
    assert late.result_age_s == pytest.approx(3.0)


def test_a_result_of_a_slow_topside_is_fresh_until_the_next_one_is_late(fleet):
    fleet.take(letter(result(interval_s=10.0)))
    assert only(fleet, LONG_AGO + 15 * S).fresh
    late = only(fleet, LONG_AGO + 15 * S + 1)
    assert (late.fresh, late.state, late.fresh_s) == (False, None, 15.0)
    fleet.take(letter(result(interval_s=1.0)))
    assert only(fleet).fresh_s == 3.0


def test_a_retained_result_is_not_current_until_a_live_one_comes(fleet):
    fleet.take(letter(result(measured_ns=LONG_AGO - 60 * S), retained=True))
    retained = only(fleet)
    assert (retained.fresh, retained.state, retained.last_state, retained.result_age_s) == (
        False,
        None,
        "locked",
        None,
    )
    assert retained.last_seen_s == pytest.approx(60.0)
    fleet.take(letter(result(measured_ns=LONG_AGO), LONG_AGO))
    assert only(fleet).state == "locked"


def test_a_retained_result_that_a_broker_repeats_after_a_reconnect_renews_nothing(fleet):
    fleet.take(letter(result(measured_ns=LONG_AGO), LONG_AGO))
    fleet.take(letter(result(measured_ns=LONG_AGO), LONG_AGO + 60 * S, retained=True))
    assert not only(fleet, LONG_AGO + 60 * S).fresh


def test_a_retained_result_newer_than_what_was_known_is_current(fleet):
    fleet.take(letter(result(measured_ns=LONG_AGO), LONG_AGO))
    fleet.take(letter(result(measured_ns=LONG_AGO + 59 * S), LONG_AGO + 60 * S, retained=True))
    assert only(fleet, LONG_AGO + 60 * S).fresh


def test_a_retained_result_newer_than_what_was_known_but_old_is_not_current(fleet):
    fleet.take(letter(result(measured_ns=LONG_AGO), LONG_AGO))
    fleet.take(letter(result(measured_ns=LONG_AGO + 10 * S), LONG_AGO + 60 * S, retained=True))
    row = only(fleet, LONG_AGO + 60 * S)
    assert (row.fresh, row.result_age_s) == (False, pytest.approx(50.0))


def test_histories_are_kept_only_where_they_are_wanted():
    fleet = Fleet()
    fleet.take(letter(result()))
    assert fleet.history("rov1", "laptop") is None


def test_a_retained_result_of_a_clock_in_the_future_was_not_seen_in_the_future(fleet):
    fleet.take(letter(result(measured_ns=LONG_AGO + 3600 * S), retained=True))
    assert only(fleet).last_seen_s == 0.0
    assert not only(fleet).fresh


def test_when_the_vehicle_was_last_seen_counts_from_its_last_answer(fleet):
    fleet.take(letter(result(state="holdover", measured_ns=LONG_AGO, age_s=12.5)))
    assert only(fleet, LONG_AGO + 2 * S).last_seen_s == pytest.approx(14.5)


def test_a_state_that_was_there_from_the_start_has_lasted_at_least_so_long(fleet):
    fleet.take(letter(result()))
    fleet.take(letter(result(), LONG_AGO + 10 * S))
    row = only(fleet, LONG_AGO + 10 * S)
    assert (row.state_for_s, row.state_for_at_least) == (10.0, True)


def test_a_change_of_state_is_dated_and_kept(fleet):
    fleet.take(letter(result()))
    fleet.take(letter(result(state="holdover", error="timeout"), LONG_AGO + 5 * S))
    row = only(fleet, LONG_AGO + 6 * S)
    assert (row.state, row.state_for_s, row.state_for_at_least) == ("holdover", 1.0, False)
    history = fleet.history("rov1", "laptop")
    assert [one.text for one in history.incidents()] == ["locked → holdover (timeout)"]


def test_nothing_is_zero_that_was_not_reported(fleet):
    fleet.take(status_letter("online", vehicle="rov1"))
    row = only(fleet)
    assert row.online is True
    known = {name: value for name, value in row.model_dump().items() if value is not None}
    assert known == {
        "vehicle": "rov1", "fresh": False, "online": True, "recording": (), "state_for_at_least": True,
        "in_use": False,
    }  # fmt: skip


def test_a_vehicle_measured_by_two_topsides_has_two_rows(fleet):
    fleet.take(letter(result(topside="bow")))
    fleet.take(letter(result(topside="stern")))
    assert sorted(row.topside for row in rows(fleet)) == ["bow", "stern"]
    assert fleet.topsides_of("rov1") == ["bow", "stern"]


def test_a_result_on_another_vehicles_topic_is_refused(fleet):
    assert fleet.take(letter(result("rov1"), vehicle="rov2")) == "mismatched"
    assert fleet.take(letter(info("rov1"), vehicle="rov2")) == "mismatched"
    assert fleet.take(letter(event("rov1"), vehicle="rov2")) == "mismatched"
    assert fleet.take(letter(session("dive-1"), session="dive-2")) == "mismatched"
    assert rows(fleet) == []
    assert sessions(fleet) == []


def test_only_rows_that_changed_are_given_again(fleet):
    fleet.take(letter(result("rov1")))
    fleet.take(letter(result("rov2")))
    version = fleet.version
    fleet.take(letter(result("rov2")))
    assert [row.vehicle for row in rows(fleet, LONG_AGO, version)] == ["rov2"]
    assert rows(fleet, LONG_AGO, fleet.version) == []


def test_a_topside_that_goes_changes_the_rows_that_it_measures(fleet):
    fleet.take(letter(result("rov1", topside="bow")))
    fleet.take(letter(result("rov1", topside="stern")))
    rows(fleet)  # chooses between the two
    version = fleet.version
    fleet.take(status_letter("offline", topside="bow"))
    (row,) = rows(fleet, LONG_AGO, version)
    assert (row.topside, row.topside_online) == ("bow", False)


def test_a_step_is_in_the_row_and_in_the_history(fleet):
    fleet.take(letter(result()))
    fleet.take(letter(event(step_ms=-2500.0), LONG_AGO + 1 * S))
    row = only(fleet, LONG_AGO + 4 * S)
    assert (row.last_event.kind, row.last_event.step_ms, row.last_event.age_s) == ("step", -2500.0, 3.0)
    assert [one.text for one in fleet.history("rov1", "laptop").incidents()] == ["clock stepped -2.500 s"]


@pytest.mark.parametrize(
    ("step_ms", "shown"), [(-0.4, "-0.400 ms"), (99.9994, "+99.999 ms"), (-999.9999, "-1.000 s")]
)
def test_a_small_step_is_shown_in_milliseconds(fleet, step_ms, shown):
    fleet.take(letter(result()))
    fleet.take(letter(event(step_ms=step_ms), LONG_AGO + 1 * S))
    assert [one.text for one in fleet.history("rov1", "laptop").incidents()] == [f"clock stepped {shown}"]


def test_a_reboot_and_an_agent_that_comes_and_goes_are_kept(fleet):
    fleet.take(status_letter("online", vehicle="rov1"))
    fleet.take(letter(result(boot_id="one")))
    fleet.take(status_letter("offline", vehicle="rov1"))
    fleet.take(status_letter("online", vehicle="rov1"))
    fleet.take(letter(result(boot_id="two")))
    kinds = [one.kind for one in fleet.history("rov1", "laptop").incidents()]
    assert kinds == ["offline", "online", "reboot"]


def test_sessions_that_record_a_vehicle_are_in_its_row(fleet):
    fleet.take(letter(result("rov1")))
    fleet.take(letter(result("rov2")))
    version = fleet.version
    fleet.take(letter(session("one", sensors={"inWater": "rov1"})))
    fleet.take(letter(session("all", sensors={})))
    recording = {row.vehicle: row.recording for row in rows(fleet, LONG_AGO, version)}
    assert recording == {"rov1": ("all", "one"), "rov2": ("all",)}
    fleet.take(letter(session("all", "stopped", sensors={})))
    assert [row.recording for row in rows(fleet)] == [("one",), ()]


def test_a_refusal_is_no_session(fleet):
    fleet.take(letter(session(state="refused")))
    assert sessions(fleet) == []


def test_a_retained_session_is_as_old_as_its_last_exchange(fleet):
    last = utc_from_ns(AHEAD + LONG_AGO - 90 * S)
    fleet.take(letter(session(last_exchange_at=last), retained=True))
    (view,) = sessions(fleet)
    assert view.told_s == pytest.approx(90.0)
    fleet.take(letter(session(last_exchange_at=last), LONG_AGO))
    (view,) = sessions(fleet)
    assert view.told_s == 0.0


def test_what_is_cleared_at_the_broker_is_gone_here_too(fleet):
    fleet.take(letter(result()))
    fleet.take(letter(session()))
    removals = fleet.removals.count
    fleet.forget(Topic(topics.OFFSET, vehicle="rov1", topside="laptop"))
    fleet.forget(Topic(topics.SESSION_STATE, session="dive-1"))
    assert rows(fleet) == []
    assert sessions(fleet) == []
    assert fleet.removals.count > removals


@pytest.mark.slow
def test_a_flood_of_names_pushes_out_the_quiet_and_not_the_measured(fleet):
    for number in range(3 * MOST):
        fleet.take(letter(result("rov1"), LONG_AGO + number))
        fleet.take(letter(result(f"flood{number}"), LONG_AGO + number))
        fleet.take(letter(info(f"flood{number}"), LONG_AGO + number))
        fleet.take(status_letter("online", topside=f"flood{number}"))
        fleet.take(letter(session(f"flood{number}", "stopped")))
    assert len(rows(fleet)) <= 2 * MOST
    assert len(fleet.topsides) == MOST
    assert "rov1" in {row.vehicle for row in rows(fleet)}
    assert len(sessions(fleet)) == MOST


def test_a_recording_is_kept_before_any_number_of_ended_sessions(fleet):
    fleet.take(letter(session("mine")))
    for number in range(3 * MOST):
        fleet.take(letter(session(f"old{number}", "stopped")))
    assert "mine" in {view.session for view in sessions(fleet)}


def test_long_words_of_a_peer_are_shortened(fleet):
    """As long as messages may be; longer words are refused as they enter."""
    long = "x" * 8000
    fleet.take(letter(result(boot_id=long[:128], method=long[:64])))
    fleet.take(letter(info(version=long[:128])))
    fleet.take(letter(session(error=long, alarm=long, path=long, sensors={"a" * 9000: long})))
    assert len(only(fleet).model_dump_json()) < 3000
    (view,) = sessions(fleet)
    assert len(view.model_dump_json()) < 3000


def test_the_newest_results_can_be_read(fleet):
    fleet.take(letter(result(offset_ms=1.0)))
    fleet.take(letter(result(offset_ms=2.0)))
    assert fleet.result("rov1", "laptop").offset_ms == 2.0
    assert fleet.result("rov1", "other") is None


def test_vehicles_without_room_are_counted_until_they_are_heard_again_or_forgotten():
    fleet = Fleet(most=10)
    for number in range(13):
        fleet.take(letter(result(f"rov{number}"), LONG_AGO + number))
    assert (len(rows(fleet)), fleet.unshown) == (10, 3)
    fleet.take(letter(result("rov0"), LONG_AGO + 20))  # rov3 makes room
    assert "rov0" in {row.vehicle for row in rows(fleet)}
    assert fleet.unshown == 3
    fleet.forget(Topic(topics.STATUS, vehicle="rov1"))
    assert fleet.unshown == 2


def test_a_vehicle_of_which_anything_is_kept_counts_as_shown():
    fleet = Fleet(most=4)
    for topside in ("bow", "stern", "shore", "mast", "keel"):
        fleet.take(letter(result("rov1", topside=topside)))
    fleet.take(status_letter("online", vehicle="rov2"))
    assert fleet.topsides_of("rov1") == ["keel", "mast", "shore", "stern"]
    assert fleet.unshown == 0


def test_a_thousand_vehicles_are_all_there_and_share_the_room_for_histories():
    fleet = Fleet(histories=True)
    for number in range(1000):
        fleet.take(letter(result(f"rov{number}")))
    assert len(rows(fleet)) == 1000
    for second in range(1, 1000):
        fleet.take(letter(result("rov0"), LONG_AGO + second * S))
    kept = list(fleet.history("rov0", "laptop").points())
    assert 1000 * len(kept) <= FULL_HISTORIES * (FINE_POINTS + COARSE_POINTS)
    assert kept[-1].raw_s - kept[0].raw_s > 900, "coarsely it is there since the start"


def test_a_change_of_more_than_numbers_is_distinguished(fleet):
    fleet.take(letter(result("rov1")))
    fleet.take(letter(result("rov2")))
    version = fleet.version
    fleet.take(letter(result("rov1", offset_ms=-150.2)))
    fleet.take(letter(result("rov2", state="holdover")))
    changed = {vehicle: known is not None for vehicle, _, known in fleet.changes(version)}
    assert changed == {"rov1": True, "rov2": False}
    version = fleet.version
    fleet.take(status_letter("offline", vehicle="rov1"))
    assert [known for _, _, known in fleet.changes(version)] == [None]


def test_an_online_that_is_not_repeated_is_unknown_after_a_while():
    fleet = Fleet()
    fleet.take(status_letter("online", vehicle="rov1"))
    fleet.take(status_letter("offline", vehicle="rov2"))
    known = fleet.version
    assert [row.status for row in fleet.rows(reading(LONG_AGO + 149 * S))] == ["online", "offline"]
    assert fleet.version == known
    silent = fleet.rows(reading(LONG_AGO + 151 * S), after=known)
    assert [(row.vehicle, row.status) for row in silent] == [("rov1", None)]
    fleet.take(status_letter("online", vehicle="rov1"))
    assert [row.status for row in fleet.rows(reading(LONG_AGO + S))] == ["online", "offline"]
