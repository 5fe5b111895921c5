"""Some faults of `make soak-group`: topsides of a group, killed and stopped, with patience."""

import pytest

from bench.soak_group.run import Soak
from bench.soak_group.setup import Plan
from tests.deadline import BUSY
from tests.effort import tries
from tests.network.brokers import MOSQUITTO


@pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")
def test_a_group_under_random_faults_measures_every_vehicle_and_states_nothing_wrong(tmp_path):
    plan = Plan(faults=tries(2), vehicles=45, seed=3, patience=BUSY)
    verdict = Soak(plan, tmp_path, print).run()
    assert verdict.failures == []
    assert verdict.figures["results held against the truth"] > 200
