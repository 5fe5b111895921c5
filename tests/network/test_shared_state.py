"""`tidesync.interval` beside a topside that runs: now, of the past, and after it was killed."""

import subprocess
import sys

import pytest

from tests.command_line import PROGRAM
from tests.deadline import until
from tidesync.library.live import SharedState
from topside_agent.settings import TopsideSettings
from topside_agent.shared_state.agent import SharingAgent
from topside_agent.shared_state.writer import SharedFile

S = 1_000_000_000
pytestmark = pytest.mark.slow


def test_a_stamp_made_now_and_one_made_before_were_within_the_interval(mosquitto_boat, tmp_path):
    boat, path = mosquitto_boat, tmp_path / "state"
    settings = TopsideSettings(broker=boat.url)
    topside = boat.start(SharingAgent(settings, boat.clock, SharedFile.create(path)))
    boat.vehicle("rov1", offset_ns=-3 * S)
    state, stamps = SharedState([path]), []

    def answer():
        """Of a stamp made now; it is right, or there is none."""
        before_ns = boat.clock.realtime_ns()
        stamp = boat.clocks["rov1"].realtime_ns()
        stamps.append((before_ns, stamp, boat.clock.realtime_ns()))
        return right(*stamps[-1])

    def right(before_ns, stamp, after_ns):
        found = state.interval(stamp, "rov1")
        if found is None or found.lower_ns is None:
            return None
        assert found.lower_ns <= after_ns
        assert before_ns <= found.upper_ns
        return found.state

    def settled():
        answer()
        return "ok" in {right(*each) for each in stamps}

    until(answer, what="an answer")
    until(settled, 20, what="a past stamp over which both histories reach")
    topside.stop()
    assert right(*stamps[0]) is None


def test_the_command_shares_its_state_and_nothing_once_it_was_killed(mosquitto_boat, tmp_path):
    boat, path = mosquitto_boat, tmp_path / "shared" / "state"
    command = [sys.executable, *PROGRAM, "topside", "--broker", boat.url, "--shared-state", str(path)]
    boat.vehicle("rov1", offset_ns=-3 * S)
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as topside:
        try:
            state = SharedState([path])
            until(lambda: state.interval(0, "rov1") is not None)
        finally:
            topside.kill()
    until(lambda: state.interval(0, "rov1") is None, 5)
    assert path.exists()
