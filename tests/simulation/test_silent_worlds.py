"""Worlds with several moves in one silence: no result is wrong unless it is conditional, no row is.

`make test-long` runs all of them, some 15 minutes of a processor.
"""

import random

import pytest

from tests.effort import tries
from tests.simulation.random_worlds import World
from tests.simulation.silent_worlds import SPACINGS_S, draw_silences, spaced
from tests.simulation.world_truth import corrected_at, judged, tracked

ALL = 600
LONG = tries(1) >= 10
SEEDS = range(ALL if LONG else tries(2))


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_wrong_unmarked(seed, tmp_path):
    world = World(draw_silences(seed), tmp_path)
    world.run(world.plan.seconds)
    world.close()
    results, rows = judged(world), tracked(world)
    assert results
    assert [entry for entry in results if entry.wrong and not entry.result.conditional] == []
    assert [row for row, beyond_ns in rows if beyond_ns] == []
    chance = random.Random(f"rows {seed}")
    at_s = spaced(world, chance.choice(SPACINGS_S), chance)
    for backward in (False, True):
        assert [row for row in corrected_at(world, at_s, backward=backward) if row.wrong] == []
