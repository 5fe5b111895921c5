"""Realtimes that run evenly: the stamps alone bound their offset, and not where one was set or slewed."""

import pytest

from runtime.realtime_line import Even, RawStamp
from schemas.exchange import UDP, Exchange
from topside_agent.estimator import OffsetEstimator

S, MS, US = 10**9, 10**6, 10**3
LEVEL = 1_700_000_000 * S


def exchange(seq, *, at_ns=None, way_ns=400, offset_ns=0, even_ns=4 * S, **changes):
    """One of a train, every 100 ms, by way of `way_ns` each way; the readings of RAW resolve 150 ns."""
    origin_ns = LEVEL + (100 * MS * seq if at_ns is None else at_ns)
    receive_ns = origin_ns + way_ns + offset_ns
    values = {
        "vehicle": "rov1",
        "topside": "surface",
        "method": UDP.name,
        "seq": seq,
        "boot_id": "boot",
        "origin_ns": origin_ns,
        "receive_ns": receive_ns,
        "transmit_ns": receive_ns + 90 * US,
        "destination_ns": origin_ns + 2 * way_ns + 90 * US,
        "pi_realtime_minus_raw_ns": LEVEL - 30 * S,
        "topside_realtime_minus_raw_ns": LEVEL - 20 * S,
        "resolution_ns": 150,
        "even_ns": even_ns,
        "even_within_ns": 4,
    }
    return Exchange(**values | changes)


def estimated(exchanges):
    estimator = OffsetEstimator()
    for each in exchanges:
        assert estimator.add(each).accepted
    return estimator.estimate()


def width_ns(found):
    return found.upper_ns - found.lower_ns


def test_what_a_reading_resolves_widens_nothing():
    even = estimated([exchange(seq) for seq in range(20)])
    uneven = estimated([exchange(seq, even_ns=0) for seq in range(20)])
    assert even.lower_ns <= 0 <= even.upper_ns
    assert width_ns(uneven) > 800 + 4 * 150
    assert width_ns(even) < 800 + 40
    assert even.offset_ns + even.measured_at_ns == exchange(19).transmit_ns


def test_what_was_bounded_before_a_rate_changed_does_not_count():
    """Its last exchange says so; those before had a shorter way."""
    before = [exchange(seq) for seq in range(20)]
    goes_on = estimated([*before, exchange(20, way_ns=5 * US)])
    changed = estimated([*before, exchange(20, way_ns=5 * US, even_ns=99 * MS)])
    alone = estimated(
        [*(each.model_copy(update={"even_ns": 0}) for each in before), exchange(20, way_ns=5 * US)]
    )
    assert width_ns(goes_on) < width_ns(changed) - 300
    assert changed == alone


@pytest.mark.parametrize("side", ["pi_realtime_minus_raw_ns", "topside_realtime_minus_raw_ns"])
def test_readings_that_differ_are_not_taken_for_a_move(side):
    """The held line moved within what is known of it; the stamps are the same."""
    moved = exchange(20)
    moved = moved.model_copy(update={side: getattr(moved, side) + 70})
    found = estimated([*(exchange(seq) for seq in range(20)), moved])
    assert found.lower_ns <= 0 <= found.upper_ns
    assert width_ns(found) < 800 + 40


def test_exchanges_that_contradict_each_other_are_not_used_for_a_while():
    """A move of 1 µs that no kernel reported: within the bound on RAW, not within the other one."""
    before = [exchange(seq) for seq in range(20)]
    after = [exchange(seq, offset_ns=1000) for seq in range(20, 40)]
    found = estimated([*before, *after])
    without = estimated([each.model_copy(update={"even_ns": 0}) for each in (*before, *after)])
    assert found == without


def test_one_that_was_overtaken_adds_nothing():
    late = exchange(5, at_ns=18 * 100 * MS - MS, way_ns=200, offset_ns=190)
    exchanges = [exchange(seq) for seq in range(20) if seq != 5]
    assert width_ns(estimated([*exchanges, late])) == width_ns(estimated(exchanges))


def stamp(raw_ns, *, since_ns=S, difference_ns=LEVEL, uneven_ns=1):
    return RawStamp(raw_ns, 60, difference_ns, since_ns, uneven_ns)


def test_two_stamps_on_one_line_are_even_since_it_began():
    found = Even.between(stamp(3 * S), stamp(3 * S + MS, difference_ns=LEVEL + 3), LEVEL + 3)
    assert found == Even(2 * S + MS, 4)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (stamp(3 * S), stamp(3 * S + MS, since_ns=3 * S)),
        (stamp(3 * S, since_ns=0), stamp(3 * S + MS, since_ns=0)),
        (stamp(3 * S)._replace(by_hardware=True), stamp(3 * S + MS)),
        (stamp(3 * S), stamp(3 * S + MS, difference_ns=LEVEL + 70_000)),
    ],
    ids=["two lines", "no line", "not the kernel's", "too far apart"],
)
def test_other_stamps_are_not_known_to_be(first, second):
    assert Even.between(first, second, LEVEL) == Even()


def test_no_more_is_said_than_a_datagram_has_room_for():
    assert Even.between(stamp(90 * S), stamp(91 * S), LEVEL).for_ns == 2**32 - 1
