"""The library on sessions of random worlds: the vehicle's clock at topside's instants, against the truth."""

import numpy as np
import pytest

import tidesync
from tests.effort import few, tries
from tests.simulation.random_worlds import World, draw
from tests.simulation.simulated_machines import S
from tests.simulation.world_truth import changes_s

SEEDS = [*range(3_000, 3_000 + tries(2)), *few([66, 1394])]
"""Unlike those of test_random_worlds.py; and worlds with topside slewed, set, asleep or off."""


def asked_s(world):
    """Seconds from the start, spread over the world, and dense where something changes."""
    source = np.random.default_rng(world.plan.seed)
    spread = source.uniform(0, world.plan.seconds, 1_500)
    near = [edge + source.normal(0, width, 30) for edge in changes_s(world.plan) for width in (0.01, 0.3)]
    return np.concatenate([spread, *near])


def truths(world):
    """(topside's clock, the vehicle's) at each instant at which both show a time."""
    for at_s in asked_s(world):
        at_ns = world.start_ns + round(at_s * S)
        awake = [clock for clock in world.pi_clocks() if clock.is_awake(at_ns)]
        topside = world.topside_at(at_ns)
        if at_s > 0 and awake and topside is not None and topside.is_awake(at_ns):
            yield topside.realtime_at(at_ns), awake[0].realtime_at(at_ns)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_the_vehicles_clock_is_within_the_error_at_every_instant_of_topsides(seed, tmp_path):
    world = World(draw(seed), tmp_path)
    world.run(world.plan.seconds)
    world.close()
    try:
        session = tidesync.open_session(world.folder.path)
    except tidesync.NothingMeasuredError:
        return
    topside_ns, vehicle_ns = np.array(list(truths(world)), dtype=np.int64).T
    found = session.to_vehicle(topside_ns, vehicle="rov1", resolution_ns=0)
    given = np.isin(found["state"], ["ok", "holdover"])
    off = np.abs(found["vehicle_unix_ns"] - vehicle_ns)[given]
    assert (off <= found["max_error_ns"][given]).all()
    forth = session.to_topside(vehicle_ns, ordered=False, resolution_ns=0)
    given = np.isin(forth["state"], ["ok", "holdover"])
    off = np.abs(forth["topside_unix_ns"] - topside_ns)[given]
    assert (off <= forth["max_error_ns"][given]).all()
