"""Both agents publish their clocks' histories: the pieces hold the truth, through outages, and come again."""

from itertools import product

import pytest

from runtime.clock import Step
from schemas import topics
from schemas.clock_history import ClockResendCommand, numbered
from tests.effort import few
from tests.simulation.simulated import ROOT
from tests.simulation.test_moving_clocks import jittery, simulated

CHRONY = {"slews": ((40, 64, 83_333),), "steps": (Step(80.05, 300_000_000),)}
SIDES = {
    "pi": (topics.VEHICLE_CLOCK, topics.VEHICLE_COMMAND, {"vehicle": "rov1"}),
    "topside": (topics.TOPSIDE_CLOCK, topics.TOPSIDE_COMMAND, {"topside": "topside"}),
}


def heard(simulation, side):
    """Each message of that side's history, and when it came."""
    return [(m.at_s, m.body) for m in simulation.broker.log if m.topic.kind is SIDES[side][0]]


def missed_by(simulation, side, pieces):
    """The worst that a piece misses realtime by beyond its half-width, ns, and the RAW that pieces cover."""
    clock = simulation.vehicle if side == "pi" else simulation.topside_clock
    worst, covered = 0, 0
    for tenth in range(round(simulation.now_s * 10)):
        at_ns = simulation.start_ns + tenth * 100_000_000
        raw_ns, realtime_ns = clock.raw_at(at_ns), clock.realtime_at(at_ns)
        for piece in pieces:
            if piece.from_raw_ns <= raw_ns <= piece.to_raw_ns and piece.to_raw_ns > piece.from_raw_ns:
                rise = piece.to_realtime_ns - piece.from_realtime_ns
                part = (raw_ns - piece.from_raw_ns) * rise // (piece.to_raw_ns - piece.from_raw_ns)
                error_ns = abs(piece.from_realtime_ns + part - realtime_ns) - piece.half_width_ns
                worst, covered = max(worst, error_ns), covered + 1
    return worst, covered


@pytest.mark.parametrize(("side", "down"), few(product(SIDES, [(), ((30, 100),)])))
def test_the_pieces_hold_the_truth_and_those_of_an_outage_follow(side, down):
    simulation = simulated(jittery(down=down), **{side: CHRONY})
    simulation.run(130)
    pieces = {number: piece for _, body in heard(simulation, side) for number, piece in numbered(body)}
    worst, covered = missed_by(simulation, side, pieces.values())
    assert worst <= 2
    assert covered > 1180
    assert [piece.begins for piece in pieces.values() if piece.begins] == ["start", "step"]


@pytest.mark.parametrize("side", SIDES)
def test_they_come_every_second_while_it_moves_every_ten_at_rest_and_at_once_at_a_step(side):
    simulation = simulated(jittery(), **{side: CHRONY})
    simulation.run(100)
    times = [at_s for at_s, _ in heard(simulation, side)]
    assert len([at for at in times if 5 < at < 39]) in {3, 4}
    assert 22 <= len([at for at in times if 40 < at < 64]) <= 27
    assert [at for at in times if 80.05 <= at < 80.4]


@pytest.mark.parametrize("side", SIDES)
def test_they_are_sent_again_on_request(side):
    simulation = simulated(jittery(), **{side: CHRONY})
    instance = []

    def ask():
        body = heard(simulation, side)[-1][1]
        instance.append(body.instance_id)
        fields = {"request_id": "r", "instance_id": body.instance_id, "from": 0, "to": 2}
        topic = topics.build(ROOT, SIDES[side][1], **SIDES[side][2])
        simulation.broker.publish(topic, ClockResendCommand(**fields).encode(), 1, retain=False)

    simulation.at(95.2, ask)
    simulation.run(96)
    again = [body for at_s, body in heard(simulation, side) if at_s >= 95.2]
    assert again
    assert again[0].first == 0
    assert {body.instance_id for body in again} == set(instance)
