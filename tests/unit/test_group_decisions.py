"""A group's members decide alone, and yet each vehicle has one owner: generated histories of members."""

import math
from collections import Counter

import pytest

from tests.effort import tries
from tests.unit.group_world import STEP_NS, S, World
from topside_agent.group.ownership import ranked, score

HOLD_DOWN_NS = 5 * S


def test_the_hash_is_the_same_in_every_process_and_version():
    assert score("north", "rov1", "laptop", 1.0) == pytest.approx(SCORE, rel=1e-12)
    assert score("north", "rov1", "laptop", 3.0) == pytest.approx(3 * SCORE, rel=1e-12)


SCORE = 1.686959612860005


@pytest.mark.parametrize(
    "weights", [{"a": 1.0, "b": 1.0, "c": 1.0}, {"a": 0.5, "b": 1.0, "c": 2.5, "d": 8.0}]
)
def test_shares_follow_the_weights_within_three_standard_deviations(weights):
    count, total = 3000, sum(weights.values())
    for place in (0, 1):  # owners, and standbys among what is left
        owners = Counter(ranked("north", f"rov{number}", weights)[place] for number in range(count))
        for name, weight in weights.items():
            share = weight / total
            if place == 1:
                share = sum(
                    other / total * weight / (total - other) for n, other in weights.items() if n != name
                )
            assert abs(owners[name] - count * share) < 3 * math.sqrt(count * share * (1 - share))


def test_who_goes_leaves_its_own_vehicles_to_their_standbys_and_moves_no_other():
    weights = {"a": 1.0, "b": 2.0, "c": 3.0}
    left = {name: weight for name, weight in weights.items() if name != "b"}
    for number in range(300):
        before = ranked("north", f"rov{number}", weights)
        after = ranked("north", f"rov{number}", left)
        assert after == [name for name in before if name != "b"]


def check_covered(world):
    """Each vehicle is measured within 5 s of whatever happened, on every side that has somebody."""
    for vehicle in world.vehicles:
        if all(world.owners(vehicle, side) for side in world.sides()):
            world.uncovered_ns[vehicle] = world.now_ns
        since_ns = max(world.uncovered_ns[vehicle], world.event_ns)
        assert world.now_ns - since_ns <= HOLD_DOWN_NS, (vehicle, world.now_ns)


def check_single(world):
    """No vehicle is measured twice on a side for longer than the hold-down after whatever happened."""
    for vehicle in world.vehicles:
        for side in (0, 1):
            if len(world.owners(vehicle, side)) < 2:
                world.twice_ns[vehicle, side] = world.now_ns
            since_ns = max(world.twice_ns.get((vehicle, side), 0), world.event_ns)
            assert world.now_ns - since_ns <= HOLD_DOWN_NS + STEP_NS, (vehicle, side, world.now_ns)


def check(world):
    check_covered(world)
    check_single(world)


@pytest.mark.parametrize("seed", range(tries(12)))
def test_whatever_happens_each_vehicle_is_measured_within_5_s_and_soon_by_one_only(seed):
    world = World(seed)
    world.start("a")
    world.start("b", 2.0)
    for _ in range(12):
        world.run(world.random.choice([1, 2, 5, 12]), check)
        world.any_event()
    world.run(15, check)


def test_a_group_is_settled_within_10_s_of_a_start_and_each_has_its_share():
    world = World(1, vehicles=60)
    for name in "abc":
        world.start(name)
        world.run(1)
    world.run(9)
    assert {len(world.owners(vehicle)) for vehicle in world.vehicles} == {1}
    weights = dict.fromkeys("abc", 1.0)
    assert all(world.owners(v) == ranked("north", v, weights)[:1] for v in world.vehicles)
    world.start("d")
    world.run(10)
    weights["d"] = 1.0
    assert all(world.owners(v) == ranked("north", v, weights)[:1] for v in world.vehicles)


def unmeasured_s(world, vehicles):
    """For how long one of them is measured by nobody, from now until all are again."""
    since_ns = world.now_ns
    while not all(map(world.owners, vehicles)):
        world.run(STEP_NS / S)
    return (world.now_ns - since_ns) / S


def settled_pair():
    world = World(1)
    for name in "ab":
        world.start(name)
    world.run(12)
    return world, [vehicle for vehicle in world.vehicles if "a" in world.owners(vehicle)]


def test_who_was_stopped_leaves_all_to_the_others_and_listens_as_one_that_has_just_come():
    world, own = settled_pair()
    world.stop("a")
    world.run(9)
    world.resume("a")
    for _ in range(11):
        world.run(STEP_NS / S)
        assert {tuple(world.owners(vehicle)) for vehicle in world.vehicles} == {("b",)}
    world.run(3, check_single)
    assert all(world.owners(vehicle) == ["a"] for vehicle in own)


def test_who_was_stopped_for_so_short_that_nobody_has_noticed_goes_on():
    world, own = settled_pair()
    world.stop("a")
    world.run(1)
    world.resume("a")
    for _ in range(20):
        world.run(STEP_NS / S)
        assert all(world.owners(vehicle) == ["a"] for vehicle in own)


def test_when_all_were_away_nobody_waits_for_those_who_would_have_taken_its_vehicles():
    world, _ = settled_pair()
    for name in "ab":
        world.stop(name)
    world.run(9)
    for name in "ab":
        world.resume(name)
    world.run(STEP_NS / S)
    assert 1 <= unmeasured_s(world, world.vehicles) <= 2


def test_who_is_alone_measures_on_after_it_was_stopped():
    world, _ = settled_pair()
    world.kill("b")
    world.run(9)
    world.stop("a")
    world.run(9)
    world.resume("a")
    world.run(STEP_NS / S)
    assert all(world.owners(vehicle) == ["a"] for vehicle in world.vehicles)


def test_who_finds_the_others_gone_measures_as_soon_as_one_that_has_just_come():
    world, _ = settled_pair()
    world.stop("a")
    world.run(9)
    world.kill("b")
    world.run(6)
    world.resume("a")
    world.run(STEP_NS / S)
    assert 1 <= unmeasured_s(world, world.vehicles) <= 3.25
