"""Exchanges and rows held as columns are what they were as objects, to the last bit."""

import random

import numpy as np
import pytest

from tests.unit.test_estimator_any_lines import START, S, exchange_at
from topside_agent.estimator import Exchanges, PackedExchanges, PackedRows, Row, Rows, in_order, smooth
from topside_agent.estimator.packed import pack, unpack

NULLS = ("pi_realtime_minus_raw_ns", "topside_realtime_minus_raw_ns", "boot_id", "instance_id")


def drawn(count, seed=1):
    """Exchanges of two vehicles, some without what may be absent; several have one destination."""
    chance = random.Random(seed)
    found = []
    for seq in range(count):
        one, _ = exchange_at(chance.randrange(9) * S, 10**6, 10**5, 10**6, seq=seq)
        absent = dict.fromkeys(name for name in NULLS if chance.random() < 0.3)
        named = {"vehicle": f"rov{chance.randint(1, 2)}", "receive_stamp": "kernel", "topside_boot_id": "t"}
        found.append(one.model_copy(update={**named, **absent}))
    return found


def way(chance):
    """How long a message takes, ns: mostly milliseconds, sometimes half an hour."""
    few, some, many = (chance.randint(0, most) for most in (2_000_000, 2 * S, 1500 * S))
    return chance.choice([0, few, few, some, many])


def test_exchanges_come_out_as_they_went_in():
    listed = drawn(5000)
    columns = Exchanges.of(listed)
    assert columns == listed
    assert [one.encode() for one in columns] == [one.encode() for one in listed]
    assert (columns[-1], columns[7:9]) == (listed[-1], listed[7:9])
    assert columns != [*listed[1:], listed[0]]


def test_compressed_exchanges_come_out_as_they_went_in():
    listed = drawn(1500) + [exchange_at(at * S, 10**6, 10**5, 10**6, seq=at)[0] for at in range(1500)]
    packed = PackedExchanges()
    for one in listed:
        packed.add(one)
    assert len(packed) == len(listed)
    assert packed.unpacked() == packed.unpacked() == listed
    assert {labels.vehicle for labels in packed.labels} == {one.vehicle for one in listed}
    assert PackedExchanges().unpacked() == []


def test_any_bits_can_be_compressed():
    words = np.frombuffer(random.Random(2).randbytes(8 * 7 * 77), dtype=np.int64).reshape(77, 7)
    for before in ({}, {2: 1, 3: 2}, {2: 1, 3: 1}):
        assert (unpack(pack(words, before), 7, before) == words).all()


def test_compressed_exchanges_keep_the_order_that_they_are_in():
    listed = drawn(700)
    mixed = Exchanges.of(listed).at(np.arange(700)[::-1])
    packed = PackedExchanges.of(mixed)
    assert packed.unpacked() == listed[::-1]
    assert packed.unpacked().labels == mixed.labels


def test_compressed_rows_come_out_as_they_went_in():
    rows = smooth(exchange_at(at * S, 10**6, 10**5, 10**6, seq=at)[0] for at in range(600)).rows
    for each in (rows, rows[:3], rows[:0], rows.at(np.arange(600)[::-1])):
        unpacked = PackedRows(each).unpacked()
        assert unpacked == each
        assert (unpacked.realtime_ns == each.realtime_ns).all()


def test_labels_choose_the_same_as_a_loop():
    listed = drawn(500)
    columns = Exchanges.of(listed)
    unnamed = columns.labelled(lambda labels: labels.boot_id is None)
    assert columns.at(unnamed) == [one for one in listed if one.boot_id is None]


def test_an_exchange_is_found_by_its_destination_the_last_of_several():
    listed = drawn(100)
    found = Exchanges.of(listed).by_destination()
    assert dict(found) == {one.destination_ns: one for one in listed}
    assert found.get(5) is None


def test_rows_come_out_as_they_went_in_and_know_their_errors():
    made = [
        Row("rov1", "t", START + at, START + at - 7, -7, -9 - at, 5, None if at % 2 else at, at // 3, state)
        for at, state in enumerate(("ok", "holdover", "ambiguous", "outside") * 3)
    ]
    rows = Rows.of(made)
    assert (rows, rows[-1], rows[2:5]) == (made, made[-1], made[2:5])
    assert rows.max_error_ns.tolist() == [row.max_error_ns for row in made]
    assert rows.in_states("ok", "outside") == [row for row in made if row.state in {"ok", "outside"}]


def test_a_bound_beyond_all_clocks_is_limited_to_64_bits():
    row = Row("rov1", "t", START, START + 3, 3, -(10**30), 10**30, None, 0, "ok")
    (kept,) = Rows.of([row])
    assert (kept.lower_ns, kept.offset_ns, kept.upper_ns) == (-(2**63), 3, 2**63 - 1)
    assert Rows.of([row]).max_error_ns.tolist() == [kept.max_error_ns]


@pytest.mark.slow
def test_every_exchange_has_one_row_also_where_later_ones_contradict_it():
    for seed in range(80, 125):
        chance = random.Random(seed)
        listed = [
            exchange_at(
                chance.randint(0, 200 * S),
                way(chance),
                chance.randint(0, 50_000_000),
                way(chance),
                seq=seq,
                drift=chance.uniform(-190e-6, 190e-6),
            )[0]
            for seq in range(chance.randint(1, 60))
        ]
        track = smooth(listed)
        instants = [row.topside_unix_ns for row in track.rows]
        assert len(instants) == len(set(instants)) == len(in_order(listed)) - track.rejected
