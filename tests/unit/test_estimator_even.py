"""Realtimes that run evenly: the stamps alone bound their offset, and not where one was set or slewed."""

import numpy as np
import pytest

from runtime.realtime_line import Even, RawStamp
from schemas.exchange import UDP, Exchange
from topside_agent.estimator import OffsetEstimator, smooth
from topside_agent.estimator.constraints import constraint_of
from topside_agent.estimator.exchanges import Exchanges
from topside_agent.estimator.smoother_even import EvenStretches

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


def rows_of(exchanges, **changes):
    """Least and greatest offset of each row, afterwards."""
    rows = smooth([each.model_copy(update=changes) for each in exchanges]).rows
    return [(row.lower_ns, row.upper_ns) for row in rows]


def test_rows_are_narrower_where_the_realtimes_ran_on_beyond_those_beside_them():
    made = [exchange(seq, way_ns=300 + 100 * (seq % 3)) for seq in range(20)]
    even, uneven = rows_of(made), rows_of(made, even_ns=0)
    assert all(lower <= 0 <= upper for lower, upper in even)
    # In the row of the first a rate of before may count; when the last request left, the others had arrived.
    assert [now == then for now, then in zip(even, uneven, strict=True)] == [True, *[False] * 17, True, True]
    for now, then in list(zip(even, uneven, strict=True))[2:18]:
        assert then[0] <= now[0] < now[1] <= then[1]
        assert now[1] - now[0] < then[1] - then[0] - 250


def test_a_row_at_the_end_of_a_stretch_holds_a_step_on_the_way_back():
    """The Pi was set by 2 µs after its answer had left, which the next one shows."""
    step_ns = 2 * US
    before = [exchange(seq) for seq in range(20)]
    after = [
        each.model_copy(update={"pi_realtime_minus_raw_ns": each.pi_realtime_minus_raw_ns + step_ns})
        for each in (
            exchange(seq, offset_ns=step_ns, even_ns=50 * MS + 100 * MS * (seq - 20)) for seq in range(20, 40)
        )
    ]
    rows = smooth([*before, *after]).rows
    assert rows[19].upper_ns >= step_ns
    assert all(row.upper_ns < US for row in rows[2:18])
    assert all(US < row.lower_ns <= step_ns <= row.upper_ns for row in rows[22:38])


def test_no_row_counts_on_a_realtime_that_moved_unseen():
    """By 1 µs, within the bound on RAW."""
    before = [exchange(seq) for seq in range(20)]
    made = [*before, *(exchange(seq, offset_ns=1000) for seq in range(20, 400))]
    assert rows_of(made) == rows_of(made, even_ns=0)


def test_a_row_on_raw_is_as_wide_as_the_readings_leave_open():
    """Corrections by clock histories take the differences of realtime and RAW off again."""
    off_ns = 140
    made = [
        exchange(seq, pi_realtime_minus_raw_ns=LEVEL - 30 * S + off_ns * (-1) ** seq) for seq in range(20)
    ]
    rows = smooth(made).rows
    more_ns = rows.realtime_ns
    assert (more_ns[2:18] < -off_ns).all()
    on_raw = [(row.lower_ns + more, row.upper_ns - more) for row, more in zip(rows, more_ns, strict=True)]
    for seq, (lower, upper) in enumerate(on_raw):
        assert lower <= off_ns * (-1) ** seq <= upper


def widths_ns(exchanges, **changes):
    return [upper - lower for lower, upper in rows_of(exchanges, **changes)]


def test_a_row_allows_for_what_its_stamps_may_be_off_as_its_neighbours_do():
    made = [exchange(seq) for seq in range(20)]
    wider = zip(widths_ns(made, even_within_ns=64)[2:18], widths_ns(made)[2:18], strict=True)
    assert all(wide - narrow >= 4 * 60 for wide, narrow in wider)


@pytest.mark.parametrize(("ppm", "narrower"), [(500, True), (5_000, False)])
def test_of_realtimes_that_run_far_apart_no_row_counts(ppm, narrower):
    """Their stamps' instants on RAW are not known well enough."""
    made = []
    for seq in range(20):
        moved_ns = 100 * US * seq * ppm // 1000
        pi_ns = LEVEL - 30 * S + moved_ns
        made.append(exchange(seq, offset_ns=moved_ns, pi_realtime_minus_raw_ns=pi_ns))
    pairs = list(zip(widths_ns(made), widths_ns(made, even_ns=0), strict=True))[2:18]
    assert all(now < then - 250 if narrower else now == then for now, then in pairs)


def test_a_stretch_that_contradicts_a_row_counts_for_none_and_nothing_does_for_a_minute():
    made = [exchange(seq, even_ns=50 * MS if seq in (20, 40, 720) else 4 * S) for seq in range(740)]
    passed = EvenStretches(OffsetEstimator().even)
    for place, each in enumerate(made):
        constraint = constraint_of(each)
        passed._even.take(constraint, cut=False)
        passed.add(place, constraint)
    narrow, wide = (
        smooth([each.model_copy(update=also) for each in made]).rows for also in ({}, {"even_ns": 0})
    )
    wide._table["lower_ns"][30] = 900
    passed.narrow(wide, np.arange(len(made)), Exchanges.of(made))
    found, as_ever = ((each.column("upper_ns") - each.column("lower_ns")) for each in (wide, narrow))
    assert (found[2:18] == as_ever[2:18]).all()
    assert (found[[*range(20, 30), *range(31, 640)]] > 1_000).all()
    assert (found[725:735] == as_ever[725:735]).all()


def test_offsets_decades_apart_leave_the_rows_as_they_are():
    far_ns = 2**62
    made = [exchange(seq, offset_ns=far_ns) for seq in range(20)]
    assert rows_of(made) == rows_of(made, even_ns=0)
