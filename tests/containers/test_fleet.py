"""Two vehicles on a shared broker, in containers: each result is right, whatever falls out."""

import pytest

from tests.containers.fleet import AGENTS, VEHICLES
from tests.deadline import BUSY, stays, until

HELD_RESULTS = 10
STOP_S = 3


def test_two_vehicles_are_measured_at_once_each_right_to_its_own_clock(fleet, checker):
    until(lambda: all(len(checker.results_of(vehicle)) >= 10 for vehicle in VEHICLES), 30, "ten results each")
    checker.assert_never_wrong()
    for vehicle in VEHICLES:
        offset_ns, _ = fleet.pretended(vehicle)
        last = checker.results_of(vehicle)[-1]
        assert abs(last.offset_ms - offset_ns / 1e6) < 100  # it drifts; the checker holds the rest
        assert last.max_error_ms < 100
    checker.until_locked()


def test_a_broker_that_is_killed_and_started_costs_no_wrong_result_and_no_recorded_exchange(fleet, checker):
    with fleet.session("broker-killed") as session:
        until(session.exchanges, 20, "the first recorded exchange")
        fleet.container("broker").kill()
        stays(lambda: {fleet.health(agent) for agent in AGENTS} == {"healthy"}, 5, "health without a broker")
        fleet.container("broker").start()
        checker.until_locked()
        until(lambda: len(session.exchanges()) > 100, 30, "exchanges after the outage")
    session.assert_complete(checker.published)
    checker.assert_never_wrong()


def until_measured_on(checker, vehicle):
    """From now on: the other one's silence does not hold it up. A busy machine may, for a moment."""
    before = len(checker.heard)

    def locked():
        return [result for result in checker.results_of(vehicle, before) if result.state == "locked"]

    until(lambda: len(locked()) >= HELD_RESULTS, 60, f"{HELD_RESULTS} results of {vehicle} that is locked")


def test_a_paused_vehicle_goes_into_holdover_and_comes_back_without_a_wrong_result(fleet, checker):
    before = len(checker.heard)
    fleet.container("rov1").pause()

    def held():
        return [result for result in checker.results_of("rov1", before) if result.state == "holdover"]

    try:
        until(lambda: len(held()) >= HELD_RESULTS, 60, f"{HELD_RESULTS} results in holdover")
        until_measured_on(checker, "rov2")
    finally:
        fleet.container("rov1").unpause()
    held = held()
    assert held[-1].max_error_ms > held[0].max_error_ms  # what is not measured gets less certain
    checker.until_locked()
    checker.assert_never_wrong()


def test_a_vehicle_whose_network_is_cut_and_joined_again_is_held_over_meanwhile(fleet, checker):
    before = len(checker.heard)
    fleet.network().disconnect(fleet.container("rov2"))
    try:
        checker.until_state("rov2", "holdover", after=before)
        until(lambda: checker.statuses.get("rov2") == "offline", 30, "the will of rov2")
        until_measured_on(checker, "rov1")
    finally:
        fleet.network().connect(fleet.container("rov2"), aliases=["rov2"])
    checker.until_locked()
    checker.assert_never_wrong()


def test_a_recorder_that_is_killed_catches_up_once_it_is_back(fleet, checker):
    with fleet.session("recorder-killed") as session:
        until(lambda: len(session.exchanges()) > 20, 20, "some recorded exchanges")
        fleet.container("recorder").kill()
        missed_from = len(checker.published)
        until(lambda: len(checker.published) > missed_from + 50, 30, "exchanges that it misses")
        fleet.container("recorder").start()
        fleet.until_healthy("recorder")
    session.assert_complete(checker.published)
    assert len(session.exchanges()) > missed_from + 50 - 20


def test_everything_stops_in_three_seconds_on_sigterm_and_the_session_goes_on_complete(fleet, checker):
    with fleet.session("stopped") as session:
        until(lambda: len(session.exchanges()) > 20, 20, "some recorded exchanges")
        took = fleet.stop_containers()
        try:
            ended = {service: fleet.state(service)["ExitCode"] for service in took}
            recorded = session.exchanges()
            session.assert_complete(())
            assert session.state() == "recording"  # the next start goes on with it
        finally:
            fleet.start_containers()
        assert ended == dict.fromkeys((*AGENTS, "broker"), 0)
        assert {service: took_s for service, took_s in took.items() if took_s >= STOP_S * BUSY} == {}
        checker.until_locked()
    session.assert_complete(checker.published)
    assert set(recorded) < set(session.exchanges())
    checker.assert_never_wrong()


@pytest.mark.parametrize("service", ["broker", "rov1"])
def test_what_dies_is_started_again(fleet, checker, service):
    """Also after the broker has reloaded its accounts, as the checker made it do."""
    before = fleet.container(service).attrs["RestartCount"]
    fleet.crash(service)
    until(lambda: fleet.container(service).attrs["RestartCount"] > before, 20, f"{service} started again")
    checker.until_locked()
    checker.assert_never_wrong()


def test_a_wedged_agent_is_unhealthy_and_a_live_one_well_again(fleet):
    fleet.until_healthy("topside")
    fleet.container("topside").kill("SIGSTOP")
    try:
        until(lambda: fleet.health("topside") == "unhealthy", 60, "topside unhealthy")
    finally:
        fleet.container("topside").kill("SIGCONT")
    fleet.until_healthy("topside")
