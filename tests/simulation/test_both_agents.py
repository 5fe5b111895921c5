"""The real agents over a simulated broker, a test a fault: no result is ever wrong by more than it says."""

import pytest

from runtime.clock import Step
from tests.effort import few
from tests.simulation.simulated import Simulation, jitter, walk, wrong
from tests.simulation.simulated_machines import MS, Link, S
from topside_agent.settings import TopsideSettings


def jittery(**changes):
    return Link(to_ns=jitter(1, 0.5), from_ns=jitter(1, 0.5), **changes)


FAULTS = {
    "quiet": Link(),
    "jitter": jittery(),
    "asymmetric_delay": Link(from_ns=jitter(1, 0.1), to_ns=jitter(9, 8)),
    "loss": jittery(lost=0.2),
    "duplicates": Link(to_ns=jitter(1, 5), from_ns=jitter(1, 5), doubled=0.5),
    "reorder": Link(to_ns=jitter(1, 300), from_ns=jitter(1, 300), doubled=0.3),
    "outage": jittery(down=((20, 35),)),
    "short_outages": jittery(down=((20, 23), (30, 36), (40, 40.4))),
}


@pytest.mark.parametrize("fault", few(FAULTS))
def test_every_result_holds_the_truth(fault):
    simulation = Simulation(FAULTS[fault], simulated={"offset_ns": -1_234_567_000, "drift_ppm": 30.0})
    published = simulation.run(60)
    assert len(published) >= 55
    assert wrong(published) == []
    assert published[-1].result.state in {"locked", "acquiring"}


def test_a_quiet_link_is_locked_within_two_seconds_and_near_the_truth():
    published = Simulation(Link(), simulated={"offset_ns": 42 * S, "drift_ppm": -35.0}).run(30)
    locked = next(entry for entry in published if entry.result.state == "locked")
    assert locked.at_s < 2
    assert published[-1].error_ms < 0.01
    assert published[-1].result.drift_ppm == pytest.approx(-35, abs=2 * published[-1].result.drift_error_ppm)


def test_clocks_decades_apart_lose_no_precision():
    simulation = Simulation(Link(), simulated={"offset_ns": -1_776_999_000 * S, "drift_ppm": 18.0})
    published = simulation.run(30)
    assert wrong(published) == []
    assert published[-1].error_ms < 0.01


def test_a_step_is_in_the_next_result_and_counted():
    simulation = Simulation(jittery(), simulated={"drift_ppm": 18.0, "steps": (Step(20.1, 3 * S),)})
    published = simulation.run(30)
    assert wrong(published) == []
    first = next(entry for entry in published if entry.result.steps)
    assert first.at_s < 20.1 + 0.3
    assert first.error_ms < 2
    assert published[-1].result.segment == 1


def test_a_suspend_is_reported_as_one_and_no_result_is_wrong():
    simulation = Simulation(jittery(), simulated={"drift_ppm": 18.0})
    simulation.suspend(20, 5)
    simulation.suspend(40, 30)
    published = simulation.run(90)
    assert [event.kind for _, event in simulation.events()] == ["suspend", "suspend"]
    assert wrong([entry for entry in published if not _in_silence(entry, ((20, 25), (40, 70)))]) == []
    assert published[-1].result.state == "locked"


def _in_silence(entry, silences):
    """A bound that is carried forward cannot know that the clock was set meanwhile."""
    return any(start <= entry.at_s < end + 3 for start, end in silences) and entry.result.age_s > 0


def test_a_reboot_is_a_new_segment_and_the_old_offset_is_gone():
    simulation = Simulation(jittery(), simulated={"offset_ns": 5 * S})
    simulation.reboot(20.1, offset_ns=700 * S, drift_ppm=-60.0)
    published = simulation.run(40)
    rebooted = [entry for entry in published if entry.result.boot_id == simulation.vehicle.boot_id]
    assert wrong(published) == []
    assert {entry.result.segment for entry in rebooted} == {1}
    assert rebooted[0].at_s < 20.1 + 3
    assert rebooted[-1].result.state == "locked"


@pytest.mark.parametrize("off_s", [0.0, 0.9, 1.6, 2.9])
@pytest.mark.parametrize("after_s", [20.0, 20.24])
def test_an_agent_that_restarts_is_locked_again_as_soon_as_the_one_before_has_been_silent(after_s, off_s):
    simulation = Simulation(jittery(), simulated={"drift_ppm": 20.0})
    simulation.reboot(after_s, off_s=off_s, offset_ns=700 * S)
    published = simulation.run(27)
    assert wrong(published) == []
    locked = [entry.at_s for entry in published if entry.result.state == "locked" and entry.result.segment]
    assert locked[0] - after_s < max(1.0, off_s) + 1.0


def test_an_outage_is_held_over_with_a_growing_error_and_then_stale():
    simulation = Simulation(
        jittery(down=((30, 60),)),
        settings=TopsideSettings(stale_after_s=20),
        simulated={"drift_ppm": 18.0},
    )
    published = simulation.run(70)
    assert wrong(published) == []
    held = [entry for entry in published if entry.result.state == "holdover"]
    errors = [entry.result.max_error_ms for entry in held]
    assert len(held) >= 10
    assert errors == sorted(errors)
    assert errors[-1] > errors[0]
    assert walk(published) == ["acquiring", "locked", "holdover", "stale", "locked"]
    assert {entry.result.error for entry in held if entry.at_s > 33} == {"timeout"}


def test_a_step_of_topsides_own_clock_moves_the_offset_at_once():
    simulation = Simulation(jittery(), simulated={"offset_ns": 2 * S})
    simulation.step_topside(20.1, 5 * S)
    published = simulation.run(30)
    after = [entry for entry in published if entry.at_s > 20.6]
    assert wrong(after) == []
    assert after[-1].result.offset_ms == pytest.approx(-3000, abs=2)
    assert after[-1].result.steps == 1


@pytest.mark.parametrize("ppm", [490, -490])
@pytest.mark.parametrize("down", [(), ((40, 60),)])
def test_while_ntp_slews_the_clock_a_result_is_within_its_bound_or_conditional(ppm, down):
    slews = ((10, 30, ppm), (35, 70, -ppm))
    simulation = Simulation(jittery(down=down), simulated={"drift_ppm": 18.0, "slews": slews})
    published = simulation.run(80)
    assert [entry for entry in wrong(published) if not entry.result.conditional] == []
    assert any(entry.result.conditional for entry in published) == bool(down)
    assert simulation.events() == []
    assert published[-1].result.state == "locked"
    assert {info.clock_synchronized for info in simulation.infos()} == {True}


def test_a_vehicle_that_never_answers_is_unsynced_and_says_why():
    simulation = Simulation(jittery(lost=1.0))
    simulation.run(12)
    (last,) = {result.state: result for result in simulation.results()}.values()
    assert last.state == "unsynced"
    assert last.error == "timeout"
    assert last.offset_ms is None
    assert simulation.published() == []


def test_a_named_vehicle_that_was_never_online_is_pinged_and_unsynced():
    simulation = Simulation(settings=TopsideSettings(vehicle=("rov1",)))
    simulation.run(12)
    assert {(result.state, result.error) for result in simulation.results()} == {("unsynced", "timeout")}
    assert len(simulation.results()) >= 8


def test_the_rate_is_kept_when_answers_are_slow():
    simulation = Simulation(Link(to_ns=lambda _: 60 * MS, from_ns=lambda _: 60 * MS))
    simulation.run(20)
    assert simulation.topside.counts().vehicles[0].exchanges == pytest.approx(16 + 4 * 18, abs=6)


@pytest.mark.slow
def test_a_fleet_of_mixed_faults_is_measured_by_two_topsides_and_no_result_is_wrong():
    simulation = Simulation(settings=TopsideSettings(topside="one"))
    simulation.add_topside(TopsideSettings(topside="two"), jittery(down=((50, 52),)))
    for number, link in enumerate([*FAULTS.values(), jittery(), jittery()]):
        simulation.add_vehicle(f"rov{number}", link, offset_ns=number * S, drift_ppm=10.0 * number - 40)
    simulation.reboot(30, off_s=2, name="rov9", offset_ns=-5 * S)
    simulation.broker.restart(40, off_s=1)
    simulation.run(70)
    for topside in ("one", "two"):
        for number in range(10):
            published = simulation.published(topside, f"rov{number}")
            assert len(published) > 50
            assert wrong(published) == []
            assert "locked" in walk(published[-10:]) or number == 5  # whose delays are above 0.3 s


def test_two_vehicles_of_one_name_are_never_averaged_and_are_reported():
    simulation = Simulation(jittery(), simulated={"offset_ns": S})
    first = simulation.vehicle
    simulation.at(20, lambda: simulation.add_vehicle("rov1", jittery(), offset_ns=-S))
    published = simulation.run(60)
    assert "duplicate_vehicle" in {entry.result.error for entry in published if entry.at_s > 21}
    assert {entry.result.boot_id for entry in published} == {first.boot_id}
    assert wrong(published) == []
