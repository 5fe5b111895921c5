"""Readings of a wall clock beside a bound that may be narrower: nothing that they resolve counts as rest."""

import random

import numpy as np
import pytest

from schemas.exchange import MQTT, UDP, Exchange
from tests.effort import tries
from topside_agent.estimator import OffsetEstimator, smooth
from topside_agent.estimator.direct_slews import (
    DirectPiReadings,
    follows_at_once,
    is_blunt,
    slew_of,
    unexplained_ns,
)
from topside_agent.estimator.exchanges import Exchanges
from topside_agent.estimator.recent_readings import RecentReadings
from topside_agent.estimator.slews import FASTEST, Reading

S, MS, US = 1_000_000_000, 1_000_000, 1_000
SHARP_NS = 200


def readings(*differences_ns, every_ns=S // 10, resolution_ns=SHARP_NS):
    return [Reading(at * every_ns, each, resolution_ns) for at, each in enumerate(differences_ns)]


def test_a_clock_that_shows_no_move_is_as_fast_as_its_readings_leave_open():
    assert slew_of(readings(0, 100, -200)) == pytest.approx((0.0, 700 / (S // 10)))


def test_a_slew_of_less_than_twenty_microseconds_between_readings_has_its_rate():
    rate, most = slew_of(readings(0, 5_000, 10_100))
    assert rate == pytest.approx(51e-6)
    assert 55e-6 < most < 60e-6


def test_a_rate_that_changes_or_is_not_known_may_have_been_the_fastest():
    assert slew_of([]) == slew_of(readings(0)) == (0.0, FASTEST)
    assert slew_of(readings(0, 0, 5_000))[1] == FASTEST
    assert slew_of(readings(0, 5_000, 0))[1] == FASTEST
    assert slew_of(readings(0, 5_000, 10_000, every_ns=3 * S))[1] == FASTEST
    assert slew_of(readings(0, S)) == (0.0, FASTEST)  # a step shows no rate


def test_what_the_rate_before_does_not_explain_counts_with_what_both_readings_resolve():
    assert unexplained_ns(readings(0)) == 0
    assert unexplained_ns(readings(0, 300)) == 0
    assert unexplained_ns(readings(0, 0, 1_000)) == 1_400
    assert unexplained_ns(readings(0, 5_000, 10_000)) == 0
    assert unexplained_ns(readings(0, 5_000, 13_000)) == 8_400
    assert unexplained_ns(readings(0, 300), blurred=True) == 700


def test_a_reading_beside_another_or_a_blunt_one_shows_no_rate_unless_the_clock_moved():
    first = Reading(0, 0, SHARP_NS)
    assert follows_at_once(first, Reading(MS, 300, SHARP_NS), 100 * US)
    assert follows_at_once(first, Reading(50 * MS, 300, SHARP_NS), 80 * MS)
    assert not follows_at_once(first, Reading(50 * MS, 300, SHARP_NS), 100 * US)
    assert not follows_at_once(first, Reading(MS, 5_000, SHARP_NS), 100 * US)
    assert is_blunt(first, Reading(S // 10, 0, 9 * US))
    assert not is_blunt(first, Reading(5 * S, 0, 9 * US))
    recent = RecentReadings()
    for each in (first, Reading(S // 10, 0, 9 * US), Reading(S // 5, 1_000, SHARP_NS)):
        recent.add_directly(each, cut=False, delay_ns=100 * US, direct=True)
    assert recent.unexplained_ns == 1_400  # not hidden behind the blunt one


def test_a_move_of_which_an_answer_that_overtook_another_tells_is_in_that_ones_row():
    """It is read between two that show none: the clock was set, and set back."""
    made = [exchange for exchange, _ in exchanges((0, 0), trains=20)]
    last = made[29]
    late = last.model_copy(update={"seq": 900, "destination_ns": last.destination_ns + 100 * MS})
    step_ns = 2 * MS
    origin_ns = last.origin_ns + 50 * MS
    between = last.model_copy(
        update={
            "seq": 901,
            "origin_ns": origin_ns,
            "receive_ns": origin_ns + 300 * US + step_ns,
            "transmit_ns": origin_ns + 300 * US + step_ns,
            "destination_ns": origin_ns + 600 * US,
            "pi_realtime_minus_raw_ns": step_ns,
        }
    )
    (row,) = (
        row for row in smooth([*made, late, between]).rows if row.topside_unix_ns == late.destination_ns
    )
    assert row.upper_ns >= step_ns


def exchanges(step, *, side="pi", trains=60, way_ns=(300 * US, 300 * US), rate=0.0):
    """Trains of three that are under way together; `step`: (ns after the first origin, ns) of one clock."""
    at_ns, size_ns = step

    def difference_ns(which, now_ns):
        return round(now_ns * rate) * (which == "pi") + size_ns * (which == side and now_ns >= at_ns)

    made = []
    for seq in range(3 * trains):
        origin = (seq // 3) * S // 4 + seq % 3 * 20 * US
        turned, arrived = origin + way_ns[0], origin + sum(way_ns)
        pi, topside = difference_ns("pi", turned), difference_ns("topside", arrived)
        exchange = Exchange(
            vehicle="rov1",
            topside="surface",
            method=UDP.name,
            seq=seq,
            boot_id="boot",
            origin_ns=S + origin + topside,
            receive_ns=S + turned + pi,
            transmit_ns=S + turned + pi,
            destination_ns=S + arrived + topside,
            pi_realtime_minus_raw_ns=pi,
            topside_realtime_minus_raw_ns=topside,
            resolution_ns=SHARP_NS,
        )
        made.append(
            (exchange, [difference_ns("pi", at) - difference_ns("topside", at) for at in (turned, arrived)])
        )
    return made


def drawn(chance):
    """Exchanges of a clock that is slewed and set, some late, blunt, repeated or over MQTT; in any order."""
    made, at_ns, difference_ns, rate = [], S, chance.choice([0, -9 * 10**18, 1_700_000_000 * S]), 0.0
    for seq in range(60):
        step_ns = chance.choice([0, 0, 20 * US, 3 * MS, S // 10, S // 4, 3 * S])
        at_ns, difference_ns = at_ns + step_ns, difference_ns + round(step_ns * rate)
        if chance.random() < 0.1:
            rate = chance.choice([0.0, 50e-6, -500e-6, 0.1])
        if chance.random() < 0.05:
            difference_ns += chance.choice([300, -5 * US, 3 * MS, S, 18 * 10**18 - 2 * max(difference_ns, 0)])
            difference_ns = max(min(difference_ns, 9 * 10**18), -9 * 10**18)
        resolution_ns = chance.choice([100, 200, 900, 30 * US])
        read_ns = difference_ns + chance.randint(-resolution_ns, resolution_ns)
        direct = chance.random() < 0.9
        made.append(
            Exchange(
                vehicle="rov1",
                topside="surface",
                method=(UDP if direct else MQTT).name,
                seq=seq,
                boot_id="boot",
                origin_ns=at_ns,
                receive_ns=max(at_ns + 300 * US + read_ns, 0),
                transmit_ns=max(at_ns + 300 * US + read_ns, 0),
                destination_ns=at_ns + 600 * US,
                pi_realtime_minus_raw_ns=read_ns if chance.random() < 0.98 else None,
                topside_realtime_minus_raw_ns=0,
                resolution_ns=resolution_ns,
            )
        )
    return made if chance.random() < 0.5 else sorted(made, key=lambda each: each.seq + chance.choice([0, 3]))


@pytest.mark.parametrize("seed", range(tries(40)))
def test_all_readings_at_once_show_what_each_shows_alone(seed):
    chance = random.Random(seed)
    made = drawn(chance)
    found = DirectPiReadings(Exchanges.of(made))
    blurred = np.array([chance.random() < 0.2 for _ in made])
    fastest, unexplained = found.shown(blurred)
    columns = [column.tolist() for column in found._columns]
    for index, places in enumerate(zip(*found._places(slice(None)), strict=True)):
        near = [Reading(*(column[place] for column in columns)) for place in sorted(set(map(int, places)))]
        assert fastest[index] == pytest.approx(slew_of(near)[1], rel=1e-15, abs=0)
        if found.after[index] > index:
            alone = unexplained_ns(near, blurred=blurred[index])
            assert unexplained[index] == pytest.approx(alone, rel=1e-15, abs=0)


@pytest.mark.parametrize("size_ns", [1_500, -20 * US, 3 * MS, -S])
@pytest.mark.parametrize("seed", range(tries(4)))
def test_a_step_while_a_train_is_under_way_makes_no_row_wrong_and_few_wide(size_ns, seed):
    at_ns = 30 * S // 4 + random.Random(seed).randrange(280 * US, 700 * US)
    made = exchanges((at_ns, size_ns))
    truths = {exchange.destination_ns: arrived for exchange, (_, arrived) in made}
    rows = [row for row in smooth([exchange for exchange, _ in made]).rows if row.state == "ok"]
    assert all(row.lower_ns <= truths[row.topside_unix_ns] <= row.upper_ns for row in rows)
    assert sum(row.max_error_ns < 310 * US for row in rows) >= len(made) - 15


@pytest.mark.parametrize("rate", [0.0, 60e-6])
@pytest.mark.parametrize("seed", range(tries(4)))
def test_a_step_of_topside_on_the_way_back_is_within_the_result(rate, seed):
    at_ns = 30 * S // 4 + random.Random(seed).randrange(310 * US, 640 * US)
    estimator = OffsetEstimator()
    for exchange, (turned, _) in exchanges((at_ns, 5 * US), side="topside", rate=rate):
        estimator.add(exchange)
        found = estimator.estimate()
        assert found.lower_ns <= turned <= found.upper_ns


@pytest.mark.parametrize("rate", [0.08, -0.08, 500e-6])
def test_a_result_holds_after_a_slew_of_topside_that_ended_just_before_a_long_way_back(rate):
    """Too late for the readings to show it; all others took 2 µs each way, so that their bound is narrow."""
    ended_ns = 10 * S - 5 * MS
    estimator = OffsetEstimator()
    for number in range(41):
        sent_ns = number * S // 4
        back_ns = 900 * US if number == 40 else 2 * US
        slewed_ns = round(rate * min(sent_ns + 2 * US + back_ns, ended_ns))
        exchange = Exchange(
            vehicle="rov1",
            topside="surface",
            method=UDP.name,
            seq=number,
            boot_id="boot",
            origin_ns=S + sent_ns + slewed_ns,
            receive_ns=S + sent_ns + 2 * US,
            transmit_ns=S + sent_ns + 2 * US,
            destination_ns=S + sent_ns + 2 * US + back_ns + slewed_ns,
            pi_realtime_minus_raw_ns=0,
            topside_realtime_minus_raw_ns=slewed_ns,
            resolution_ns=SHARP_NS,
        )
        assert estimator.add(exchange).accepted
    found, true_ns = estimator.estimate(), -round(rate * ended_ns)
    assert found.lower_ns <= true_ns <= found.upper_ns
    assert not found.conditional
    assert found.max_error_ns < MS
