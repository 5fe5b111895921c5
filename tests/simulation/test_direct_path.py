"""Direct exchanges over a simulated network: no stamp is wrong beyond its resolution, whatever happens."""

import random
from itertools import pairwise

import pytest

from tests.effort import tries
from tests.simulation.direct_world import MS, US, DirectWorld, Network, margins

SEEDS = range(tries(2))


def right(world):
    """Whether every exchange holds the truth; how many have all four stamps from the kernels."""
    wrong = [pair for pair in zip(margins(world), world.exchanges, strict=True) if min(pair[0]) < 0]
    assert not wrong, (len(wrong), wrong[:3])
    return [e for e, _ in world.exchanges if e.receive_stamp == e.transmit_stamp == "kernel"]


def read_wrong(world):
    """By how much more than its resolution each exchange's realtime − RAW is wrong at its two last stamps."""
    for exchange, (_, _, t3, t4) in world.exchanges:
        for machine, left_ns, raw_ns, stated_ns in (
            (world.topside, t4, exchange.destination_raw_ns, exchange.topside_realtime_minus_raw_ns),
            (world.pi, t3, exchange.transmit_raw_ns, exchange.pi_realtime_minus_raw_ns),
        ):
            at_ns = left_ns + raw_ns - machine.raw_at(left_ns)
            true_ns = machine.realtime_at(at_ns) - machine.raw_at(at_ns)
            yield abs(stated_ns - true_ns) - exchange.resolution_ns


@pytest.mark.parametrize("seed", SEEDS)
def test_on_a_quiet_network_nearly_every_exchange_is_stamped_by_both_kernels_to_a_quarter_microsecond(seed):
    world = DirectWorld(seed, pi={"drift_ppm": 30.0, "offset_ns": -(10**9)}).run(20)
    full = right(world)
    assert len(world.exchanges) > 180
    assert len(full) > 0.97 * len(world.exchanges)
    assert sorted(e.resolution_ns for e in full)[len(full) // 2] < 250
    delays = [e.destination_raw_ns - e.origin_raw_ns for e in full]
    assert min(delays) < 450 * US  # the processing on the vehicle is not in it twice


@pytest.mark.parametrize("loss", [0.01, 0.1, 0.3])
def test_losses_duplicates_and_reordering_leave_every_exchange_right_and_hold_nothing_up(loss):
    delay = lambda chance: round(chance.choice([0.2, 0.3, 5, 60]) * MS * chance.uniform(1, 1.5))  # noqa: E731
    world = DirectWorld(1, network=Network(out=delay, back=delay, loss=loss, duplicates=0.1)).run(40)
    full = right(world)
    assert len(world.exchanges) > 40 * 10 * (1 - loss) ** 2 * 0.4
    assert len(full) > len(world.exchanges) * (1 - loss) ** 2 * 0.5
    if loss <= 0.1:
        assert [state.alive for _, state in world.states] == [True]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("side", ["pi", "topside"])
@pytest.mark.parametrize("size_ns", [30, -400, 5 * US, -3 * MS, 10**10])
def test_a_step_of_realtime_puts_no_stamp_wrong(side, size_ns, seed):
    steps = tuple((3 + 0.0317 * index, size_ns) for index in range(100))
    world = DirectWorld(seed, **{side: {"steps": steps, "notice_ns": 0}}, rate=50.0).run(6)
    assert right(world)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("side", ["pi", "topside"])
@pytest.mark.parametrize(
    ("kind", "ppm"),
    [("slews", 0.5), ("slews", -500.0), ("slews", 80_000.0), ("adjusts", 0.5), ("adjusts", -500.0)],
)
def test_a_slewed_realtime_puts_no_stamp_wrong(side, kind, ppm, seed):
    slews = tuple((3 + 2.03 * index, 4.1 + 2.03 * index, ppm) for index in range(3))
    world = DirectWorld(seed, **{side: {kind: slews}}, rate=30.0).run(9)
    full = right(world)
    assert len(full) > 0.5 * len(world.exchanges)
    assert max(read_wrong(world)) <= 0


@pytest.mark.parametrize("seed", range(tries(2)))
@pytest.mark.parametrize("ppm", [-500.0, 80_000.0])
def test_a_slew_that_begins_or_ends_while_an_answer_is_made_or_waits_is_in_its_resolution(ppm, seed):
    slews = tuple((1 + 1.211 * index, 1.62 + 1.211 * index, ppm) for index in range(13))
    interrupted = {
        "slews": slews,
        "wakes_in": lambda chance: round(chance.uniform(0.01, 20) * MS),
        "interrupted": 0.3,
    }
    network = Network(loss=0.2)
    world = DirectWorld(seed, pi=interrupted, topside=interrupted, rate=50.0, network=network).run(17)
    assert right(world)
    assert max(read_wrong(world)) <= 0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("ppm", [0.0, 20.0, -500.0, 80_000.0])
@pytest.mark.parametrize("most_ms", [1, 300])
def test_a_program_that_gets_no_processor_has_realtime_as_it_was_at_its_stamps(most_ms, ppm, seed):
    def wakes_in(chance):
        return round(chance.uniform(0, most_ms) * MS if chance.random() < 0.2 else chance.uniform(3, 30) * US)

    both = {"slews": ((0, 100, ppm),), "wakes_in": wakes_in, "interrupted": 0.1}
    world = DirectWorld(seed, pi=both, topside=both).run(20)
    assert right(world)
    assert max(read_wrong(world)) <= 0


@pytest.mark.parametrize("seed", range(tries(4)))
@pytest.mark.parametrize("stamps", [True, False])
def test_nor_is_it_another_one_where_the_rate_changed_before_the_program_looked(stamps, seed):
    chance = random.Random(seed)
    at_s = [
        0,
        *(2.0 * each + chance.uniform(0, 0.8) for each in range(1, 10)),
        100,
    ]  # none shorter than looks
    slews = tuple((*span, chance.choice([0, 20, -500, 80_000, -100_000])) for span in pairwise(at_s))

    def wakes_in(chance):
        return round(chance.uniform(0, 300) * MS if chance.random() < 0.2 else chance.uniform(3, 30) * US)

    both = {"slews": slews, "wakes_in": wakes_in, "interrupted": 0.1, "stamps": stamps}
    world = DirectWorld(seed, pi=both, topside=both, lost_stamps=0.1).run(20)
    assert max(read_wrong(world)) <= 0


@pytest.mark.parametrize("side", ["pi", "topside"])
def test_a_machine_that_sleeps_puts_no_stamp_wrong(side):
    sleeps = tuple((3 + 1.0137 * index, 3.3 + 1.0137 * index) for index in range(6))
    network = Network(out=lambda _: 60 * MS)
    world = DirectWorld(2, **{side: {"sleeps": sleeps}}, rate=50.0, network=network).run(10)
    if side == "pi":
        assert right(world)
    else:
        spans = [(t1, t4) for _, (t1, _, _, t4) in world.exchanges]
        assert not any(t1 < start * 10**9 < t4 for t1, t4 in spans for start, _ in sleeps)
        assert world.path.counts.refused["slept"] > 2
    assert len(world.exchanges) > 100


def test_without_the_kernels_stamps_the_programs_are_used():
    world = DirectWorld(3, pi={"stamps": False}, topside={"reports_rate": False}).run(10)
    assert right(world) == []
    assert len(world.exchanges) > 80
    assert {e.receive_stamp for e, _ in world.exchanges} == {"user"}


def test_lost_transmit_stamps_make_single_exchanges_coarser():
    world = DirectWorld(4, lost_stamps=0.3).run(20)
    full = right(world)
    assert 0.5 < len(full) / len(world.exchanges) < 0.85


def test_a_path_that_dies_is_lost_within_two_seconds_and_back_within_two():
    world = DirectWorld(5, network=Network(dead=((5.0, 12.0), (20.0, 20.3))), rate=4.0).run(30)
    right(world)
    (first, up), (lost_s, lost), (again_s, again) = world.states
    assert [state.alive for state in (up, lost, again)] == [True, False, True]
    assert lost.reason == "silent"
    assert first < 1
    assert 5.5 < lost_s < 7
    assert 12 <= again_s < 17.1


def drawn(chance, until_s):
    """What may happen to a machine's clock."""
    at_s = sorted(chance.uniform(2, until_s) for _ in range(12))
    slews = [(start, end, chance.choice([0.01, 3, -80, 500, -60_000])) for start, end in pairwise(at_s[::2])]
    return {
        "offset_ns": chance.randrange(-(10**12), 10**12),
        "drift_ppm": chance.uniform(-80, 80),
        "steps": [(at, round(chance.choice([-1, 1]) * 10 ** chance.uniform(3, 10))) for at in at_s[:3]],
        "slews": slews[::2],
        "adjusts": [(start, end, 500.0) for start, end, _ in slews[1::2]],
        "sleeps": [(at, min(at + chance.uniform(0.02, 1), at_s[8])) for at in at_s[6:7]],
        "stamps": chance.random() < 0.9,
        "wakes_in": lambda source: 3 * US + round(source.expovariate(1 / (200 * US))),
    }


@pytest.mark.parametrize("seed", range(tries(8)))
def test_whatever_happens_to_both_clocks_and_the_network_no_exchange_is_wrong(seed):
    chance = random.Random(seed)
    network = Network(
        out=lambda source: round(source.lognormvariate(12, 1.5)),
        back=lambda source: round(source.lognormvariate(13, 1)),
        loss=chance.choice([0, 0.02, 0.2]),
        duplicates=chance.choice([0, 0.1]),
        dead=((4.0, 6.5),) if chance.random() < 0.3 else (),
    )
    pi, topside = drawn(chance, 12), drawn(chance, 12) | {"sleeps": ()}
    world = DirectWorld(seed, pi=pi, topside=topside, network=network, lost_stamps=0.05).run(12)
    right(world)
    assert len(world.exchanges) > 10
