"""A recorder that stood still, longer than the broker waits for it, catches up and misses nothing."""

import signal

from tests.deadline import until
from tests.network.recording import assert_complete, start, stop


def test_a_recorder_that_stood_still_until_the_broker_gave_it_up_catches_up(place, topside):
    place.record("--keepalive-s", "2")
    assert start(place, "--sensor", "inWater=rov1")[0] == 0
    until(lambda: len(place.recorded()) > 20, 10, "exchanges")
    place._process.send_signal(signal.SIGSTOP)
    try:
        begun = len(topside.finished)
        until(lambda: len(topside.finished) > begun + 300, 30, "six seconds of exchanges")
    finally:
        place._process.send_signal(signal.SIGCONT)
    until(lambda: place.recorded()[-1].seq > begun + 300, 30, "exchanges from after it stood still")
    assert stop(place)[0] == 0
    assert_complete(place, topside)
    assert place.metadata()["timeSync"]["tidesync"]["vehicles"]["rov1"]["missing"] == 0
