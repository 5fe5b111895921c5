"""A minute of `make soak-fleet`: a fleet under random faults, with more patience for busy machines."""

import pytest

from bench.soak_fleet.plan import Plan
from bench.soak_fleet.run import Soak
from tests.network.brokers import MOSQUITTO


@pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")
def test_a_fleet_under_random_faults_loses_nothing_states_nothing_wrong_and_heals(tmp_path):
    verdict = Soak(Plan(seconds=60.0, seed=11, heal_s=45.0), tmp_path, print).run()
    assert verdict.failures == []
    assert verdict.figures["held against the truth"] > 200
