"""A topside with more to do than time measures every vehicle less often, equally, and says so."""

import itertools
import json
import random
from collections import Counter

import pytest

from bench.cost.in_process import S, SimulatedFleet
from topside_agent.measuring.pace import MANY, BusyTime, Pace, PingTime
from topside_agent.measuring.timing import PingSchedule
from topside_agent.settings import TopsideSettings

VEHICLES = 100
MS = 1_000_000


def fleet(vehicles=VEHICLES, **settings):
    return SimulatedFleet(
        TopsideSettings(topside="laptop", **{"rate": 1, "burst": 8} | settings), vehicles, keeps=True
    )


def counted(simulated, seconds):
    """Of each vehicle, how many exchanges finished meanwhile, and the results that were published."""
    simulated.published_messages.clear()
    simulated.run(seconds)
    exchanges, results = Counter(), []
    for _, message in simulated.published_messages:
        if "/exchange/" in message.topic:
            exchanges[message.topic] += len(json.loads(message.payload)["exchanges"])
        elif "/offset/" in message.topic:
            results.append(json.loads(message.payload))
    return exchanges, results


def timeouts(simulated):
    return sum(snapshot.timeouts for snapshot in simulated.agent.counts().vehicles)


def test_a_topside_that_cannot_keep_up_measures_every_vehicle_at_the_rate_that_it_says():
    slow = fleet()
    slow.cost_ns = 16 * MS  # of 100 exchanges a second it can make 62
    slow.run(25)
    exchanges, results = counted(slow, 20)
    shown = {result["rate"] for result in results}
    assert 0.3 < min(shown) <= max(shown) < 0.7
    assert len(exchanges) == VEHICLES
    assert min(shown) * 20 - 2 <= min(exchanges.values()) <= max(exchanges.values()) <= max(shown) * 20 + 2
    assert timeouts(slow) == 0
    assert {result["error"] for result in results} == {None}
    assert {result["state"] for result in results} == {"locked"}


def test_it_measures_as_often_as_set_again_once_it_can():
    slow = fleet()
    slow.cost_ns = 16 * MS
    slow.run(18)
    assert slow.agent._vehicles.pace.rate < 0.7
    slow.cost_ns = 0
    slow.run(10)
    exchanges, results = counted(slow, 10)
    assert {result["rate"] for result in results} == {1.0}
    assert {9 <= count <= 11 for count in exchanges.values()} == {True}
    assert timeouts(slow) == 0


def test_a_topside_that_keeps_up_says_the_rate_that_is_set_and_that_results_come_each_second():
    quick = fleet(4)
    quick.run(5)
    exchanges, results = counted(quick, 10)
    assert {(result["rate"], result["interval_s"]) for result in results} == {(1.0, 1.0)}
    assert set(exchanges.values()) == {10}


def test_a_burst_at_the_start_is_no_overload():
    started = fleet(20, burst=32)
    started.cost_ns = 2 * MS
    started.run(6)
    assert started.agent._vehicles.pace.slowdown == 1


def test_many_resting_vehicles_have_their_results_within_five_seconds_and_say_so():
    many = fleet(MANY + 1)
    many.run(8)
    exchanges, results = counted(many, 10)
    by_vehicle = Counter(result["vehicle"] for result in results)
    assert {result["interval_s"] for result in results} == {5.0}
    assert set(by_vehicle.values()) == {2}
    assert min(exchanges.values()) >= 9


def test_what_is_waited_is_no_work_whatever_ends_it():
    busy = BusyTime()
    assert busy.period(0) is None
    busy.waits(0)
    busy.woke(400 * MS)  # a message came
    busy.waits(500 * MS)
    busy.woke(1000 * MS)
    busy.woke(1000 * MS)
    assert busy.period(1000 * MS) == pytest.approx((0.1, 1.0))
    assert busy.period(1100 * MS) is None


def paced(rate=2, vehicles=100):
    pace = Pace(TopsideSettings(topside="laptop", rate=rate))
    pace.measures(vehicles)
    return pace


def worked(pace, busy_s, pings):
    """A period of a second."""
    return pace.worked(busy_s, pings, 1.0, 0)


def test_the_pace_changes_by_lasting_overload_alone():
    pace = paced()
    assert not worked(pace, 1.0, 100)
    assert not worked(pace, 0.5, 200)
    assert not worked(pace, 1.0, 100)
    assert worked(pace, 1.0, 100)
    assert pace.rate == 1.0, "at most half at once"
    assert worked(pace, 1.0, 100)
    assert pace.rate == pytest.approx(0.8)  # 10 ms each: 80 a second take 0.8 s
    assert not any(worked(pace, cost, 80) for cost in (0.8, 0.9, 0.7, 0.85) * 9)
    assert not any(worked(pace, cost, 80) for cost in (0.3, 0.3, 0.3, 0.3, 0.84, 0.3, 0.4, 0.3, 0.4))
    assert worked(pace, 0.4, 80)
    assert pace.rate == pytest.approx(1.68)  # at which the dearest of five periods would take 0.84 s
    assert [worked(pace, 0.3, 80) for _ in range(5)] == [False] * 4 + [True]
    assert pace.rate == 2


def test_work_that_does_not_depend_on_the_rate_leaves_no_time_unused():
    pace = paced(rate=1, vehicles=3000)

    def busy_s():
        return 0.5 + pace.rate * 3000 * 150e-6

    for _ in range(4):
        worked(pace, 2.0, round(3000 * pace.rate))
    assert busy_s() < 0.7
    for _ in range(60):
        worked(pace, busy_s(), round(3000 * pace.rate))
    assert 0.8 < busy_s() < 0.84


def test_a_burst_in_which_each_ping_costs_little_is_no_overload():
    pace = paced()
    assert not any(worked(pace, 1.0, 1000) for _ in range(9))


def test_the_rate_does_not_fall_without_limit_and_a_lock_outlasts_the_time_between_pings():
    pace = paced()
    for _ in range(9):
        worked(pace, 1.0, 1)
    assert pace.rate == pytest.approx(0.05)
    assert pace.silence_ns == 50 * S


def test_while_the_pace_changes_as_many_pings_are_sent_as_it_reports_and_they_stay_spread():
    chance = random.Random(17)
    schedules = [PingSchedule(f"rov{n}", interval_ns=S, burst=1, burst_interval_ns=S) for n in range(200)]
    pace_time, reported, sent = PingTime(grid_ns=25 * MS), 0.0, []
    for second in range(300):
        if second % 3 == 0:
            pace_time = pace_time.slowed(chance.uniform(1.0, 1.6), second * S)
        reported += len(schedules) / pace_time.slowdown
        for each in schedules:
            while each.due_ns < (second + 1) * S:
                sent.append(each.due_ns)
                each.sent(each.due_ns, pace_time)
    assert len(sent) == pytest.approx(reported, rel=0.02)
    phases = sorted(pace_time.at(at_ns) % S for at_ns in sent[-len(schedules) :])
    assert max(later - former for former, later in itertools.pairwise(phases)) < 50 * MS
