"""Direct exchanges beside those over MQTT, clocks slewed and set, programs that starve: none is wrong."""

import pytest

from tests.effort import tries
from tests.simulation.mixed_world import drawn


@pytest.mark.parametrize("seed", range(tries(4)))
def test_no_result_and_no_row_is_off_by_more_than_its_bound(seed):
    world = drawn(seed, 12).run(12)
    wrong = [pair for pair in (*world.results_beyond_ns(), *world.rows_beyond_ns()) if pair[1] > 0]
    assert wrong == []
    assert world.results
