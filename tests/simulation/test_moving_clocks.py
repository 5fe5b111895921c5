"""Slewed, set and sleeping clocks of either side: a result that is not conditional is never wrong."""

from itertools import product

import pytest

from runtime.clock import Step
from tests.effort import few, part
from tests.simulation.moving_clocks import judged, pll
from tests.simulation.simulated import Simulation, jitter
from tests.simulation.simulated_machines import Link
from topside_agent.settings import TopsideSettings

CHRONY = ((10, 34, 83_333),)
FREE = ((8, 200, 400),)
SLEWS = {
    "chrony": CHRONY,
    "chrony_back": ((10, 34, -83_333),),
    "timesyncd": pll(10, 0.3),
    "timesyncd_back": pll(10, -0.38),
    "free": FREE,
}
CUTS = {"up": (), "cut": ((9, 22),), "long": ((9, 45),), "short": ((9, 12), (15, 17))}


def jittery(**changes):
    return Link(to_ns=jitter(0.3, 0.2), from_ns=jitter(0.3, 0.2), **changes)


def wrong(results):
    """Those that are wrong although they do not say that they may be."""
    return [entry for entry in results if entry.wrong and not entry.conditional]


def simulated(link, *, pi=None, topside=None, **options):
    return Simulation(
        link,
        simulated={"offset_ns": -1_234_567_000, "drift_ppm": 18.0} | (pi or {}),
        topside_simulated={"offset_ns": 0} | (topside or {}),
        **options,
    )


@pytest.mark.parametrize(("side", "slews", "cut"), part(["pi", "topside", "both"], SLEWS, CUTS))
def test_a_slew_of_any_rate_makes_no_result_wrong(side, slews, cut):
    moving = {"slews": SLEWS[slews]}
    sides = {"pi": moving, "topside": moving} if side == "both" else {side: moving}
    simulation = simulated(jittery(down=CUTS[cut]), **sides)
    simulation.run(60)
    results = judged(simulation)
    assert wrong(results) == []
    assert len(results) >= 55
    assert results[-1].result.state in {"locked", "acquiring"}
    assert not results[-1].conditional


@pytest.mark.parametrize("side", ["pi", "topside"])
def test_exchanges_come_all_through_a_slew_and_it_counts_as_no_step(side):
    simulation = simulated(jittery(), **{side: {"slews": CHRONY}})
    simulation.run(60)
    results = judged(simulation)
    assert [entry for entry in results if entry.conditional] == []
    assert simulation.topside.counts().vehicles[0].exchanges > 55 * 4
    assert simulation.topside.counts().vehicles[0].rejected == {}


@pytest.mark.parametrize("step_ns", [1_500_000_000, -1_500_000_000, 3_000_000])
def test_a_step_in_a_silence_is_wrong_only_in_results_that_say_so(step_ns):
    simulation = simulated(jittery(down=((9, 19),)), pi={"steps": (Step(10, step_ns),)})
    simulation.run(40)
    results = judged(simulation)
    assert wrong(results) == []
    assert any(entry.wrong for entry in results)
    silent = [entry for entry in results if entry.result.age_s]
    assert silent
    assert all(entry.conditional for entry in silent)
    assert not results[-1].conditional


@pytest.mark.parametrize(("slept_s", "down"), few(product([0.3, 5, 40], [(), ((9, 22),)])))
def test_a_sleep_of_topside_leaves_no_old_offset(slept_s, down):
    simulation = simulated(jittery(down=down))
    simulation.suspend_topside(12, slept_s)
    simulation.run(80)
    results = judged(simulation)
    assert wrong(results) == []
    after = [result for result in simulation.results() if result.offset_ms is None]
    assert after or not down
    woken = [entry for entry in results if 12 + slept_s <= entry.at_s < 22]
    assert not (down and woken)
    assert results[-1].result.state == "locked"


@pytest.mark.parametrize(("pi_s", "topside_s", "down"), part([0.2, 5, 8], [0.2, 5], [(), ((9, 25),)]))
def test_both_asleep_at_once_leave_no_result_wrong(pi_s, topside_s, down):
    simulation = simulated(jittery(down=down))
    simulation.suspend(12, pi_s)
    simulation.suspend_topside(12.5, topside_s)
    simulation.run(60)
    assert wrong(judged(simulation)) == []
    assert judged(simulation)[-1].result.state == "locked"


@pytest.mark.parametrize("slept_s", [1, 5])
def test_a_sleep_of_topside_ends_what_http_showed(slept_s):
    simulation = simulated(
        jittery(down=((9, 60),)), settings=TopsideSettings(vehicle=("rov1=http://rov1:9150",))
    )
    simulation.http.down = ((30, 60),)
    simulation.suspend_topside(33, slept_s)
    simulation.run(59)
    results = judged(simulation)
    assert wrong(results) == []
    assert [entry for entry in results if entry.at_s > 33 + slept_s] == []
