"""A short soak: the same as `make soak-recorder`, with fewer kills in less time, and patience at its stop."""

import pytest

from bench.soak_recorder.run import Soak
from bench.soak_recorder.setup import Plan
from tests.network.brokers import MOSQUITTO


@pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")
def test_a_recorder_killed_at_any_moment_loses_nothing_and_leaves_the_metadata_whole(tmp_path):
    verdict = Soak(Plan(kills=8, seconds=24.0, stop_wait_s=30.0), tmp_path, print).run()
    assert verdict.failures == []
    assert verdict.figures["kills"] == 9
    assert verdict.figures["finished within the session"] > 200
