"""Handshakes over HTTP: no RAW, no boot id, no report of a step, and still no bound without the truth."""

import random

import pytest

from schemas.exchange import HTTP, Exchange
from tests.effort import tries
from topside_agent.estimator import online, smooth

MS = 1_000_000
S = 1_000_000_000
START_NS = 1_777_636_800 * S
MIDDLE_S = 100


def handshakes(seed, step_ns):
    """One every 2 s; the Pi's clock drifts by 20 ppm and is stepped once, which nobody reports."""
    source = random.Random(seed)

    def offset_ns(at_s):
        return round(-3 * S + 20_000 * at_s) + (step_ns if at_s >= MIDDLE_S else 0)

    made = []
    for number in range(100):
        out_s, back_s = 0.001 + source.expovariate(200), 0.001 + source.expovariate(200)
        sent_s = 2 * number + 0.5
        read_s, arrived_s = sent_s + out_s, sent_s + out_s + back_s
        pi_ns = START_NS + round(read_s * S) + offset_ns(read_s)
        exchange = Exchange(
            vehicle="rov1",
            topside="laptop",
            method=HTTP.name,
            seq=number,
            boot_id=None,
            origin_ns=START_NS + round(sent_s * S),
            receive_ns=pi_ns,
            transmit_ns=pi_ns,
            destination_ns=START_NS + round(arrived_s * S),
            pi_realtime_minus_raw_ns=None,
            topside_realtime_minus_raw_ns=0,
            receive_stamp="http",
            transmit_stamp="http",
            resolution_ns=1000,
        )
        made.append((exchange, offset_ns(arrived_s)))
    return made


@pytest.mark.parametrize("estimate", [online, smooth])
@pytest.mark.parametrize("step_ms", [-50, -5, -1, 1, 2, 5, 50])
def test_a_step_that_nobody_reports_leaves_every_bound_true(estimate, step_ms):
    for seed in range(tries(8)):
        made = handshakes(seed, step_ms * MS)
        truth_ns = {exchange.destination_ns: offset_ns for exchange, offset_ns in made}
        rows = estimate([exchange for exchange, _ in made]).rows
        missed = [row for row in rows if not row.lower_ns <= truth_ns[row.topside_unix_ns] <= row.upper_ns]
        assert len(rows) == len(made)
        assert missed == []
