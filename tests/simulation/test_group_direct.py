"""Topsides that share a vehicle which they reach directly: the bound stays narrow, whoever measures."""

import pytest

from tests.effort import tries
from tests.simulation.simulated import Simulation, jitter, wrong
from tests.simulation.simulated_machines import Link
from tests.simulation.simulated_udp import DirectLink
from tests.simulation.test_group import bounds, kill, owner_of, settings
from tests.simulation.test_two_paths import FAR

NAMES = ("one", "two")
OWNER = owner_of("rov1", NAMES)
OTHER = {"one": "two", "two": "one"}[OWNER]
CUT_S = (40.0, 100.0)


def pair_of(seed, **of_owner):
    """Both on the broker's machine, the vehicle far from the broker; `of_owner` is its way to the broker."""
    delay = jitter(0.1, 0.02)
    simulation = Simulation(
        seed=seed,
        settings=settings(OWNER),
        topside_link=Link.instant(**of_owner),
        direct=DirectLink(out_ns=delay, back_ns=delay),
    )
    simulation.add_topside(settings(OTHER))
    simulation.add_vehicle("rov1", Link(**FAR), offset_ns=5_000_000, drift_ppm=25.0)
    return simulation


def nothing_is_wrong(simulation):
    return all(wrong(simulation.published(name)) == [] for name in NAMES)


@pytest.mark.parametrize("seed", range(tries(2)))
def test_who_takes_over_from_one_that_was_killed_goes_on_directly_and_hardly_wider(seed):
    simulation = pair_of(seed)
    simulation.at(40, lambda: kill(simulation, OWNER))
    simulation.run(70)
    assert nothing_is_wrong(simulation)
    before = bounds(simulation, "rov1", 25, 40, (OWNER,))
    after = bounds(simulation, "rov1", 41, 70, (OTHER,))
    assert after
    assert max(after) < 2 * max(before) < 1
    taken = [entry for entry in simulation.published(OTHER) if entry.at_s > 41]
    assert taken[0].at_s < 45
    assert taken[-1].result.path == "udp"


@pytest.mark.parametrize("seed", range(tries(2)))
def test_while_one_is_cut_off_from_the_broker_the_other_one_measures_and_gives_the_vehicle_back(seed):
    """It goes on measuring directly meanwhile: what it knows is used again, and published."""
    simulation = pair_of(seed, down=(CUT_S,))
    simulation.run(150)
    assert nothing_is_wrong(simulation)
    before = bounds(simulation, "rov1", 25, CUT_S[0], (OWNER,))
    assert max(before) < 0.5
    others = bounds(simulation, "rov1", CUT_S[0] + 1, CUT_S[1], (OTHER,))
    assert others
    assert max(others) < 2 * max(before)
    back = bounds(simulation, "rov1", CUT_S[1], 150, NAMES)
    assert max(back) < 2 * max(before)
    assert simulation.topsides[OTHER]._vehicles["rov1"].resting
    assert simulation.published(OWNER)[-1].result.path == "udp"
    numbers = sorted(each.seq for each in simulation.exchanges(OWNER))
    assert numbers == list(range(numbers[-1] + 1))
