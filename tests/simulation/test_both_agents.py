"""Both agents over a simulated link, a test a fault: no result is ever wrong by more than it says."""

import pytest

from runtime.clock import Step, read
from tests.simulation.simulated import MS, Link, S, Simulation, jitter
from topside_agent.measuring.actions import PublishResult
from topside_agent.settings import TopsideSettings

JITTERY = Link(out_ns=jitter(1, 0.5), back_ns=jitter(1, 0.5))
FAULTS = {
    "quiet": Link(),
    "jitter": JITTERY,
    "asymmetric_delay": Link(out_ns=jitter(1, 0.1), back_ns=jitter(9, 8)),
    "loss": Link(out_ns=jitter(1, 0.5), back_ns=jitter(1, 0.5), lost=0.2),
    "duplicates": Link(out_ns=jitter(1, 5), back_ns=jitter(1, 5), doubled=0.5),
    "reorder": Link(out_ns=jitter(1, 300), back_ns=jitter(1, 300), doubled=0.3),
    "outage": Link(out_ns=jitter(1, 0.5), back_ns=jitter(1, 0.5), down=((20, 35),)),
}


def wrong(published):
    return [entry for entry in published if not entry.right]


@pytest.mark.parametrize("fault", FAULTS)
def test_every_result_holds_the_truth(fault):
    sea = Simulation(FAULTS[fault], simulated={"offset_ns": -1_234_567_000, "drift_ppm": 30.0})
    published = sea.run(60)
    assert len(published) >= 55
    assert wrong(published) == []


def test_a_quiet_link_is_locked_within_two_seconds_and_near_the_truth():
    published = Simulation(Link(), simulated={"offset_ns": 42 * S, "drift_ppm": -35.0}).run(30)
    locked = next(entry for entry in published if entry.result.state == "locked")
    assert locked.at_s < 2
    assert published[-1].error_ms < 0.01
    assert published[-1].result.drift_ppm == pytest.approx(-35, abs=2 * published[-1].result.drift_error_ppm)


def test_clocks_decades_apart_lose_no_precision():
    sea = Simulation(Link(), simulated={"offset_ns": -1_776_999_000 * S, "drift_ppm": 18.0})
    published = sea.run(30)
    assert wrong(published) == []
    assert published[-1].error_ms < 0.01


def test_a_step_is_in_the_next_result_and_counted():
    sea = Simulation(JITTERY, simulated={"drift_ppm": 18.0, "steps": (Step(20.1, 3 * S),)})
    published = sea.run(30)
    assert wrong(published) == []
    first = next(entry for entry in published if entry.result.steps)
    assert first.at_s < 20.1 + 0.3
    assert first.error_ms < 2
    assert published[-1].result.segment == 1


def test_a_reboot_is_a_new_segment_and_the_old_offset_is_gone():
    sea = Simulation(JITTERY, simulated={"offset_ns": 5 * S})
    sea.at(20.1, lambda: sea.boot(offset_ns=700 * S, drift_ppm=-60.0))
    published = sea.run(40)
    rebooted = [entry for entry in published if entry.result.boot_id == sea.vehicle.boot_id]
    assert wrong(rebooted) == []
    assert {entry.result.segment for entry in rebooted} == {1}
    assert rebooted[-1].result.state == "locked"


def test_an_outage_is_held_over_with_a_growing_error_and_then_stale():
    settings = TopsideSettings(stale_after_s=20)
    sea = Simulation(
        Link(out_ns=jitter(1, 0.5), back_ns=jitter(1, 0.5), down=((30, 60),)),
        settings=settings,
        simulated={"drift_ppm": 18.0},
    )
    published = sea.run(70)
    assert wrong(published) == []
    held = [entry for entry in published if entry.result.state == "holdover"]
    errors = [entry.result.max_error_ms for entry in held]
    assert len(held) >= 10
    assert errors == sorted(errors)
    assert errors[-1] > errors[0]
    walk = []
    for entry in published:
        if walk[-1:] != [entry.result.state]:
            walk.append(entry.result.state)
    assert walk == ["acquiring", "locked", "holdover", "stale", "locked"]
    assert {entry.result.error for entry in held} == {"timeout"} or held[0].result.error is None


def test_a_step_of_topsides_own_clock_moves_the_offset_at_once():
    sea = Simulation(JITTERY, simulated={"offset_ns": 2 * S})

    def step():
        sea.clock.difference_ns += 5 * S

    sea.at(20.1, step)
    published = sea.run(30)
    after = [entry for entry in published if entry.at_s > 20.6]
    assert wrong(after) == []
    assert after[-1].result.offset_ms == pytest.approx(-3000, abs=2)
    assert after[-1].result.steps == 1


def test_a_vehicle_that_never_answers_is_unsynced_and_says_why():
    sea = Simulation(Link(lost=1.0))
    sea.run(10)
    result = next(a.result for a in sea.measurement.publish(_later(sea)) if isinstance(a, PublishResult))
    assert result.state == "unsynced"
    assert result.error == "timeout"
    assert result.offset_ms is None


def _later(sea):
    sea.clock.now_ns += 2 * S
    return read(sea.clock)


def test_the_rate_is_kept_when_answers_are_slow():
    sea = Simulation(Link(out_ns=lambda _: 60 * MS, back_ns=lambda _: 60 * MS))
    sea.run(20)
    assert sea.measurement.snapshot(0).exchanges == pytest.approx(16 + 4 * 18, abs=6)
