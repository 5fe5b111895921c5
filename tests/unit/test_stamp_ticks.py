"""A clock's tick that all timestamps may have been read from is in their error, however they are written."""

from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
import pytest

from tests.effort import tries
from tests.unit.test_stamp_survey import NOON, S, read
from tidesync.sessions.correction.stamps.column import form_of_numbers
from tidesync.sessions.correction.stamps.options import StampOptions
from tidesync.sessions.correction.stamps.ticks import ticks_of
from tidesync.sessions.correction.table import Job

EXCEL = StampOptions(time_format="excel", zone="UTC").checked()
SPAN = [(NOON, NOON + 600 * S)]


def cut(at, tick_s):
    """Instants (ns) as a clock shows them that ticks every `tick_s`."""
    tick_ns = Fraction(tick_s) * S
    return [floor(ns / tick_ns) * tick_ns for ns in map(Fraction, at)]


ROUND = {"cut off": floor, "half up": lambda x: floor(x + Fraction(1, 2)), "half even": round}


def written(shown, digits, how="cut off", way="s"):
    """Unix s with so many decimals, as text."""
    counts = [ROUND[how](ns * 10**digits / S) for ns in shown]
    parts = [divmod(count, 10**digits) for count in counts]
    fractions = [f".{part:0{digits}d}" if digits else "" for _, part in parts]
    if way == "s":
        return [f"{whole}{part}" for (whole, _), part in zip(parts, fractions, strict=True)]
    if way == "float":
        return [repr(count / 10**digits) for count in counts]
    seconds = np.array([whole for whole, _ in parts]).astype("datetime64[s]").astype(str).tolist()
    fractions = [part.rstrip("0").rstrip(".") if way == "short" else part for part in fractions]
    return [f"{at}{part}Z" for at, part in zip(seconds, fractions, strict=True)]


def instants(seed, count, seconds=530):
    return (NOON + 60 * S + np.sort(np.random.default_rng(seed).integers(0, seconds * S, count))).tolist()


def assert_within(at, texts, **context):
    form, found = read(texts, **context)
    off_ns = np.abs(found.unix_ns - np.array(at))
    error_ns = np.maximum(found.resolution_ns, form.resolution_ns)
    assert (off_ns <= error_ns)[found.readable].all(), (off_ns.max(), error_ns.max(), texts[:3])
    return form


@pytest.mark.parametrize(
    ("tick_s", "digits", "count"),
    [
        *[(tick, 6, count) for tick in ("1/50", "1/20", "2") for count in (4, 9)],
        *[(tick, digits, 30) for tick in ("1/60", "1/3", "1/1024") for digits in (3, 6, 9)],
        *[("7/200", 2, 30), ("60", 0, 3), ("1/1500", 3, 200), ("1/1024", 3, 200)],
    ],
)
@pytest.mark.parametrize("how", ROUND)
def test_a_clocks_tick_and_the_last_digit_are_both_in_the_error(tick_s, digits, count, how):
    for seed in range(tries(5)):
        at = instants(seed, count, 530 if tick_s != "60" else 7_000)
        assert_within(at, written(cut(at, tick_s), digits, how), seconds=7_200)


def random_table(seed):
    """A clock's ticks, how often a second or a minute or how many ms or s, and a table of what it showed."""
    chance = np.random.default_rng([17, seed])
    kind = chance.choice(["Hz", "Hz", "binary", "s", "ms", "decimal", "odd"])
    digits, count = int(chance.integers(0, 10)), int(chance.choice([2, 2, 3, 4, 5, 12, 50, 200]))
    if kind == "Hz":
        tick = Fraction(1, int(chance.integers(1, 2_001)))
    elif kind == "ms":
        tick, digits = Fraction(int(chance.integers(1, 1_001)), 1_000), max(digits, 1)
    elif kind == "s":
        tick = Fraction(int(chance.choice([1, 2, 3, 4, 5, 6, 7, 10, 11, 15, 20, 30])))
    elif kind == "odd":
        ticks = ("1001/60000", "1001/30000", "1001/24000", "2/25", "7/2", "17")
        tick, digits = Fraction(str(chance.choice(ticks))), max(digits, 1)
    else:
        tick = Fraction(1, int({"binary": 2, "decimal": 5}[kind] ** chance.integers(0, 8) * 2**7))
    at = instants(seed, count)
    way = chance.choice(["s", "iso", "short", "float"])
    return at, written(cut(at, tick), digits, chance.choice([*ROUND]), way)


def test_random_ticks_and_digits_are_in_the_error():
    answered = 0
    for seed in range(tries(400)):
        at, texts = random_table(seed)
        if len({*texts}) > 1:
            assert_within(at, texts)
            answered += 1
    assert answered > tries(400) * 0.9


@pytest.mark.parametrize(
    ("digits", "count", "most_ms"),
    [
        (2, 10, 27),
        (3, 2, 30),
        (3, 3, 15),
        (3, 10, 3.5),
        (3, 30, 2.5),
        (6, 2, 1),
        (6, 5, 0.03),
        (6, 30, 0.003),
        (2, 30, 22),
    ],
)
def test_ordinary_tables_of_a_few_rows_do_not_become_much_coarser(digits, count, most_ms):
    found = [
        read(written(map(Fraction, instants(seed, count)), digits))[0].resolution_ns
        for seed in range(tries(60))
    ]
    assert min(found) >= 2 * 10 ** (9 - digits)
    assert np.quantile(found, 0.9) <= most_ms * 1e6


@pytest.mark.parametrize("period_ms", [100, 250, 1_000, 2_000])
def test_regular_readings_of_any_phase_are_no_ticks(period_ms):
    for phase_ms in (37, 61, 83, 97):
        at = NOON + phase_ms * 10**6 + np.arange(200) * period_ms * 10**6
        form, _ = read(written(map(Fraction, at.tolist()), 3))
        assert form.resolution_ns <= 18_000_000  # 60 and 80 Hz are usual ticks


def test_readings_at_exact_multiples_resolve_that_step():
    at = (NOON + np.arange(50) * 100_000_000).tolist()
    assert read(written(map(Fraction, at), 6))[0].resolution_ns == 200_000_000
    form, _ = read(written(map(Fraction, at), 6), resolution_ms=0.01)
    assert form.resolution_ns == 10_000


def test_elapsed_time_ticks_from_its_start():
    ticks = [f"{20 * count}" for count in np.random.default_rng(1).integers(0, 29_000, 40).tolist()]
    form, _ = read(ticks, since="2026-05-01T12:00:00.123456789Z", unit="ms")
    assert 20_000_002 <= form.resolution_ns <= 20_100_000
    rows = [f"2026-05-01T12:00:00.123456Z {each}" for each in ticks]
    form, _ = read(rows, since="started", name="started,elapsed (ms)")
    assert form.resolution_ns == 20_002_000


def test_the_summary_says_what_was_taken_and_how_to_override_it():
    at = instants(1, 200)
    shown = {
        (3, "1/10000"): "stamps resolve 2.",
        (0, "1"): "stamps resolve 1 s (--resolution-ms overrides)",
        (
            6,
            "1/60",
        ): "stamps resolve 16.668 ms (written to 1 us; all fit a clock that ticks every 16.667 ms; ",
    }
    for (digits, tick), text in shown.items():
        form, _ = read(written(cut(at, tick), digits))
        assert form.described[0].startswith(text), form.described
        assert "--resolution-ms overrides" in form.described[0]
    form, _ = read(written(cut(at, "1/60"), 3), resolution_ms=20)
    assert form.described[0] == "stamps resolve 20 ms (--resolution-ms)"


def test_zones_of_quarters_of_an_hour_do_not_hide_hours():
    local = np.array([3_600, 7_200, 18_000]) * S + 1_800 * S
    assert max(tick.ns for tick in ticks_of(local, 60 * S)) == 3_600 * S
    assert ticks_of(np.array([NOON + 5]), S // 1000) == ticks_of(np.array([NOON + 5, NOON + 5]), S // 1000)


def test_a_tick_of_doubles_is_found_too():
    at = instants(5, 40)
    shown = np.array([float(ns / S) for ns in cut(at, "1/60")])
    form = assert_within(at, [repr(each) for each in shown.tolist()])
    assert form.resolution_ns < 17_000_000


DAY_S = 86_400


def in_days(at, tick_s, digits, how):
    """The days of Excel that a clock of such a tick shows, written in so many decimals of a second."""
    shown = [round(Fraction(text) * S) for text in written(cut(at, tick_s), digits, how)]
    return [Fraction(ns, DAY_S * S) + 25_569 for ns in shown]


@pytest.mark.parametrize("places", [4, 5, 6, 7, 8, 9, (5, 6), (7, 8), (9, 10)])
@pytest.mark.parametrize(
    ("tick_s", "digits"), [("1/30", 3), ("1/64", 2), ("379/1000", 2), ("1/8", 1), ("7", 2), ("1", 0)]
)
def test_a_clocks_tick_decimals_of_a_second_and_those_of_a_day_add_up(tick_s, digits, places):
    each = places if isinstance(places, tuple) else (places,)
    for seed in range(tries(4)):
        at = instants(seed, (2, 3, 5, 40)[seed % 4])
        days = in_days(at, tick_s, digits, [*ROUND][seed % 3])
        texts = [f"{float(day):.{each[row % len(each)]}f}" for row, day in enumerate(days)]
        if len({*texts}) > 1:
            assert_within(at, texts, time_format="excel", zone="UTC")


@pytest.mark.parametrize("places", [5, 6, 7, 8])
@pytest.mark.parametrize("count", [3, 40])
def test_decimals_of_a_day_are_seen_in_doubles_too(places, count):
    for seed in range(tries(3)):
        at = instants(seed, count)
        doubles = np.array([round(float(day), places) for day in in_days(at, "1/64", 0, "cut off")])
        form = form_of_numbers(Job(Path("t.parquet"), "rov1", stamps=EXCEL), SPAN, doubles)
        off_ns = np.abs(form.read_numbers(doubles, np.ones(count, dtype=bool)).unix_ns - np.array(at))
        assert off_ns.max() <= form.resolution_ns


def test_doubles_of_days_that_are_not_rounded_resolve_microseconds():
    days = np.array([float(day) for day in in_days(instants(1, 200), "1/10000000", 9, "cut off")])
    form = form_of_numbers(Job(Path("t.parquet"), "rov1", stamps=EXCEL), SPAN, days)
    assert form.resolution_ns < 20_000


@pytest.mark.parametrize("count", [3, 5, 40])
def test_a_row_that_lost_digits_does_not_hide_the_tick_of_the_others(count):
    for seed in range(tries(5)):
        at = instants(seed, count)
        texts = written(cut(at, "1/60"), 6)
        texts[count // 2] = texts[count // 2][:-5]
        assert_within(at, texts)
