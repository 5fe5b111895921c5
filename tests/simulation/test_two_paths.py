"""Exchanges straight between topside and vehicle beside those over a far broker: no step, and never outside."""

from itertools import pairwise

import pytest

from schemas.exchange import MQTT, UDP
from tests.simulation.simulated import Simulation, jitter, wrong
from tests.simulation.simulated_machines import Link
from tests.simulation.simulated_udp import DirectLink

FAR = {"to_ns": jitter(40, 2), "from_ns": jitter(40, 1)}
"""With topside beside the broker 80 ms for a ping and a pong each."""


def sea(seed=1, *, link=None, **direct):
    return Simulation(
        Link(**(FAR if link is None else link)),
        seed=seed,
        simulated={"offset_ns": -1_234_567_000, "drift_ppm": 18.0},
        direct=DirectLink(out_ns=jitter(0.1, 0.01), back_ns=jitter(0.1, 0.01), **direct),
    )


def test_a_far_brokers_bound_becomes_that_of_the_direct_way():
    published = sea().run(60)
    assert wrong(published) == []
    assert published[-1].result.path == "udp"
    assert published[-1].result.method == UDP.name
    assert max(entry.result.max_error_ms for entry in published if entry.at_s > 10) < 0.3
