"""Hardware stamps over a simulated network: none is wrong beyond its resolution, whatever its clock does."""

import random

import pytest

from tests.effort import tries
from tests.simulation.direct_world import MS, US, Network, margins
from tests.simulation.hardware_world import Hardware, HardwareWorld, drawn_with_hardware

SEEDS = range(tries(2))
KINDS = ("origin_stamp", "receive_stamp", "transmit_stamp", "destination_stamp")


def right(world):
    """Whether every exchange holds the truth; the share of stamps of each kind that the hardware took."""
    wrong = [pair for pair in zip(margins(world), world.exchanges, strict=True) if min(pair[0]) < 0]
    assert not wrong, (len(wrong), wrong[:3])
    assert all(late_ns <= 2 for late_ns in unsafe(world))
    exchanges = [exchange for exchange, _ in world.exchanges]
    return [sum(getattr(e, kind) == "hardware" for e in exchanges) / len(exchanges) for kind in KINDS]


def unsafe(world):
    """By how much each stamp of the hardware is on the wrong side of the wire, ns; negative: it is not."""
    for exchange, (t1, t2, t3, t4) in world.exchanges:
        for kind, stamp_ns, true_ns, sign in (
            (exchange.origin_stamp, exchange.origin_raw_ns, world.topside.raw_at(t1), 1),
            (exchange.receive_stamp, exchange.receive_raw_ns, world.pi.raw_at(t2), -1),
            (exchange.transmit_stamp, exchange.transmit_raw_ns, world.pi.raw_at(t3), 1),
            (exchange.destination_stamp, exchange.destination_raw_ns, world.topside.raw_at(t4), -1),
        ):
            if kind == "hardware":
                yield sign * (stamp_ns - true_ns)


def widths(world):
    """Of what each exchange leaves open, ns."""
    return sorted(above + below for above, below in margins(world))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("reads_raw", [True, False])
def test_hardware_at_both_ends_stamps_nearly_all_and_leaves_the_wire_alone(seed, reads_raw):
    hardware = {
        "pi": Hardware(reads_raw=reads_raw),
        "topside": Hardware(offset_ns=0, ppm=-40.0, reads_raw=reads_raw),
    }
    world = HardwareWorld(seed, hardware, pi={"drift_ppm": 30.0}).run(20)
    assert min(right(world)) > 0.85
    without = HardwareWorld(seed, {}, pi={"drift_ppm": 30.0}).run(20)
    assert max(right(without)) == 0
    assert widths(world)[len(world.exchanges) // 2] < 0.6 * widths(without)[len(without.exchanges) // 2]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("side", ["pi", "topside"])
def test_hardware_at_one_end_is_right_with_the_kernels_stamps_at_the_other(side, seed):
    world = HardwareWorld(seed, {side: Hardware(lost=0.3)}).run(15)
    shares = right(world)
    mine, others = ((1, 2), (0, 3)) if side == "pi" else ((0, 3), (1, 2))
    assert min(shares[place] for place in mine) > 0.4
    assert max(shares[place] for place in others) == 0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("side", ["pi", "topside"])
@pytest.mark.parametrize("size_ns", [5 * US, -30 * US, -3 * MS, 37 * 10**9])
def test_a_hardware_clock_that_is_set_puts_no_stamp_wrong(side, size_ns, seed):
    steps = tuple((3 + 2.317 * index + 0.01 * (index % 7), size_ns) for index in range(8))
    shares = right(HardwareWorld(seed, {side: Hardware(steps=steps)}, rate=20.0).run(20))
    assert 0.1 < max(shares) < 0.9


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("ppm", [0.05, 1.0, 40.0, 900.0])
def test_a_hardware_clock_that_is_disciplined_puts_no_stamp_wrong(ppm, seed):
    """As ptp4l does: another rate eight times a second."""
    chance = random.Random(seed)
    slews = tuple((at / 8, (at + 1) / 8, chance.uniform(-ppm, ppm)) for at in range(160))
    hardware = {"pi": Hardware(slews=slews), "topside": Hardware(slews=slews[::-1])}
    shares = right(HardwareWorld(seed, hardware, rate=20.0).run(20))
    assert ppm > 1 or min(shares) > 0.5


@pytest.mark.parametrize("seed", SEEDS)
def test_realtime_that_is_set_and_slewed_ends_what_is_read_beside_it(seed):
    realtime = {
        "steps": tuple((3 + 1.1 * at, -(5**at)) for at in range(12)),
        "notice_ns": 0,
        "slews": ((5, 9, 400.0), (12, 13, -90_000.0)),
    }
    hardware = {"pi": Hardware(reads_raw=False), "topside": Hardware(reads_raw=False)}
    world = HardwareWorld(seed, hardware, pi=realtime, topside=realtime).run(20)
    assert max(right(world)) > 0.1


@pytest.mark.parametrize(
    "fault", [{"device": 3}, {"device": 0}, {"other_ns": 10**9}, {"other_ns": -(10**9)}, {"lost": 1.0}]
)
def test_stamps_of_another_clock_are_not_used(fault):
    hardware = {"pi": Hardware(**fault), "topside": Hardware(**fault)}
    assert max(right(HardwareWorld(1, hardware).run(12))) == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_hardware_that_vanishes_leaves_the_kernels_stamps(seed):
    hardware = {"pi": Hardware(vanishes_s=8), "topside": Hardware(vanishes_s=11)}
    world = HardwareWorld(seed, hardware).run(20)
    shares = right(world)
    assert all(0.1 < share < 0.6 for share in shares)
    last = [exchange for exchange, _ in world.exchanges[-40:]]
    assert {getattr(e, kind) for e in last for kind in KINDS} == {"kernel"}


@pytest.mark.parametrize("loss", [0.1, 0.3])
def test_losses_duplicates_and_reordering_put_no_stamp_wrong(loss):
    delay = lambda chance: round(chance.choice([0.2, 0.3, 5, 60]) * MS * chance.uniform(1, 1.5))  # noqa: E731
    network = Network(out=delay, back=delay, loss=loss, duplicates=0.1)
    hardware = {"pi": Hardware(lost=0.1), "topside": Hardware(lost=0.1)}
    assert min(right(HardwareWorld(1, hardware, network=network).run(30))) > 0.2


@pytest.mark.parametrize("seed", SEEDS)
def test_machines_that_sleep_and_programs_that_get_no_processor_put_no_stamp_wrong(seed):
    lazy = {
        "interrupted": 0.2,
        "preempted": 0.02,
        "wakes_in": lambda chance: round(chance.expovariate(1 / MS)),
    }
    sleepy = lazy | {"sleeps": ((5, 6.5), (9, 9.2))}
    hardware = {"pi": Hardware(), "topside": Hardware(ppm=-80.0)}
    world = HardwareWorld(seed, hardware, pi=sleepy, topside=lazy).run(20)
    assert max(right(world)) > 0.2


@pytest.mark.parametrize("seed", range(tries(4)))
def test_no_result_and_no_row_is_off_by_more_than_its_bound_while_kinds_of_stamp_come_and_go(seed):
    world = drawn_with_hardware(seed, 12).run(12)
    wrong = [pair for pair in (*world.results_beyond_ns(), *world.rows_beyond_ns()) if pair[1] > 0]
    assert wrong == []
    assert len(world.results) > 20
    assert not list(unsafe(world)) or max(unsafe(world)) <= 2
