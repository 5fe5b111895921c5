"""The main job on real brokers, embedded amqtt and mosquitto, with the truth known."""

import pytest

from tests.deadline import until
from tests.network.boats import drift_is_known

S = 1_000_000_000


def test_two_vehicles_are_measured_each_against_its_own_truth(boat):
    checker = boat.checker()
    boat.vehicle("rov1", offset_ns=-1_234_567_000, drift_ppm=18.0)
    boat.vehicle("rov2", offset_ns=42 * S, drift_ppm=-35.0)
    boat.topside()
    for vehicle in ("rov1", "rov2"):
        checker.until_state(vehicle, "locked")
    until(lambda: checker.results >= 30, 20, "thirty results")

    assert checker.wrong == []
    for vehicle, clock in boat.clocks.items():
        verdict = checker.latest[vehicle]
        assert abs(verdict.result.offset_ms - verdict.true_offset_ms) <= verdict.result.max_error_ms
        if verdict.result.drift_ppm is not None:  # not yet known after a few seconds
            # The error is a 95 % figure; twice it is certain enough for a test.
            assert abs(verdict.result.drift_ppm - clock.drift_ppm) <= 2 * verdict.result.drift_error_ppm
        states = checker.states(vehicle)
        assert [state for state in states if state != "unsynced"][:2] == ["acquiring", "locked"]


def test_a_vehicle_that_appears_is_locked_within_two_seconds(boat):
    appears_and_is_locked(boat)


@pytest.mark.usefixtures("plain_client")
def test_the_same_with_the_plain_client(mosquitto_boat):
    checker = appears_and_is_locked(mosquitto_boat)
    until(lambda: checker.results >= 10, 20, "ten results")
    assert checker.wrong == []


def appears_and_is_locked(boat):
    checker = boat.checker()
    boat.topside()
    until(lambda: checker.topside_is_online, 10, "topside online")
    boat.vehicle("rov1", offset_ns=5 * S)
    checker.until_state("rov1", "locked", within_s=2.0)
    return checker


def test_the_state_walks_to_stale_when_a_vehicle_stops_and_back_when_it_returns(boat):
    checker = boat.checker()
    boat.topside(holdover_after_s=1.0, stale_after_s=3.0, timeout_s=0.5)
    pi = boat.vehicle("rov1", offset_ns=-7 * S, drift_ppm=20.0)
    until(lambda: drift_is_known(checker.last("rov1")), 20, "a drift that holds for some seconds")
    walk = [state for state in checker.states("rov1") if state != "unsynced"]
    assert walk[:2] == ["acquiring", "locked"]
    pi.stop()
    stopped = len(checker.heard)
    held = checker.until_state("rov1", "holdover", after=stopped)
    stale = checker.until_state("rov1", "stale", after=stopped)
    heard = len(checker.heard)
    boat.vehicle("rov1", clock=boat.clocks["rov1"])
    checker.until_state("rov1", "locked", after=heard, timeout_s=15)

    walk = checker.states("rov1", stopped)
    walk = walk[walk.index("holdover") :]
    assert walk[:3] in (["holdover", "stale", "locked"], ["holdover", "stale", "acquiring"])
    assert held.age_s >= 1.0
    assert stale.max_error_ms > held.max_error_ms
    assert checker.wrong == []


def test_a_step_of_three_seconds_is_right_in_the_next_result_and_said(boat):
    checker = boat.checker()
    boat.topside()
    boat.vehicle("rov1", offset_ns=2 * S, drift_ppm=10.0)
    locked = checker.until_state("rov1", "locked")
    assert locked.steps == 0
    until(lambda: len(checker.heard) >= 8, what="results before the step")
    boat.step("rov1", 3 * S)

    stepped = until(lambda: next((r for r in checker.heard if r.steps), None), 10, "a result after the step")
    assert stepped.offset_ms == pytest.approx(5000, abs=stepped.max_error_ms + 1)  # it drifts by 10 ppm
    assert stepped.segment == locked.segment + 1
    assert stepped.state == "locked"  # the RAW clocks did not move: nothing has to be learnt again
    event = until(lambda: checker.events, 5, "the event")[0]
    assert event.kind == "step"
    assert event.step_ms == pytest.approx(3000, abs=1)
    until(lambda: checker.results >= 12, 15, "results after the step")
    assert checker.wrong == []
