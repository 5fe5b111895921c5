"""Timestamps with lost or doubled characters are none where their writer fixes how many there are."""

import numpy as np
import pytest

from tests.effort import tries
from tests.unit.test_correction_csv import corrected, path
from tests.unit.test_stamp_short_rows import instants, texts_of
from tests.unit.test_stamp_survey import NOON, S, at_once, column
from tidesync.sessions.correction.stamps.options import StampOptions
from tidesync.sessions.correction.stamps.survey import survey

__all__ = ["path"]

PAIR = StampOptions(columns=("sec", "nsec")).checked()


def readable(texts, **options):
    """Which are read, one by one and at once."""
    form = survey(texts, column(**options))
    found, block = form.read([text.encode() for text in texts]), at_once(form, texts)
    assert np.array_equal(found.readable, block.readable)
    return found.readable, form


@pytest.mark.parametrize("digits", [2, 3, 6, 9])
@pytest.mark.parametrize("iso", [True, False])
def test_a_fraction_longer_than_all_others_is_no_timestamp_and_changes_no_other(digits, iso):
    for seed in range(tries(5)):
        at_ns = instants(seed, (5, 12, 300)[seed % 3])
        texts = texts_of(at_ns, digits)
        if iso:
            texts = [
                f"{np.datetime64(int(ns), 'ns')}"[: 20 + digits] + "Z" for ns in at_ns
            ]  # cut off to so many decimals
        _, others = readable(texts[:3] + texts[4:])
        place = texts[3].index(".") + 1
        texts[3] = texts[3][: place + 1] + texts[3][place:]
        known, damaged = readable(texts)
        assert np.flatnonzero(~known).tolist() == [3]
        assert damaged.resolution_ns == others.resolution_ns


def test_a_whole_second_without_its_fraction_is_a_timestamp_of_a_second():
    at_ns = instants(1, 400)
    texts = [f"{np.datetime64(int(ns), 'us')}" for ns in at_ns // 1000]
    texts[200] = texts[200].partition(".")[0]
    known, form = readable(texts, zone="UTC")
    assert known.all()
    assert form.read([text.encode() for text in texts]).resolution_ns[200] == S


def test_tenths_that_lack_their_sign_and_a_digit_may_be_off_by_seconds():
    at_ns = NOON + S + np.arange(0, 600, 20) * S + np.random.default_rng(2).integers(0, 10, 30) * S // 10
    at_ns[15] = NOON + 301 * S + 8 * S // 10
    texts = texts_of(at_ns, 1)
    assert any(text.endswith("0") for text in texts)
    texts[15] = texts[15].replace("1.8", "8")
    form = survey(texts, column())
    found = form.read([text.encode() for text in texts])
    apart = np.abs(found.unix_ns - at_ns) < np.maximum(found.resolution_ns, form.resolution_ns)
    assert apart[found.readable].all()
    assert found.readable[15]


def test_a_date_that_lacks_a_digit_is_none_where_others_have_zeros_in_front():
    texts = [f"2026-05-0{day} 12:00:{second:02d}.5" for day in (1, 2) for second in range(20)]
    texts[7] = texts[7].replace("05-01", "5-01")
    texts[9] = texts[9].replace("05-01", "05-1")
    known, _ = readable(texts, zone="UTC", seconds=200_000)
    assert np.flatnonzero(~known).tolist() == [7, 9]
    unpadded = [f"2026/5/{day} {hour}:00:05" for day in (9, 10) for hour in range(7, 13)]
    known, _ = readable(unpadded, zone="UTC", begin=NOON + 7 * 86_400 * S, seconds=3 * 86_400)
    assert known.all()


@pytest.mark.parametrize("padded", [True, False])
def test_a_part_of_a_second_that_lacks_a_digit_is_none_or_that_is_shown(padded):
    at_ns = instants(3, 300)
    parts = [f"{ns % S:09d}" if padded else str(ns % S) for ns in at_ns.tolist()]
    texts = [f"{ns // S} {part}" for ns, part in zip(at_ns.tolist(), parts, strict=True)]
    texts[150] = texts[150][:-1]
    form = survey(texts, column(columns=("sec", "nsec")))
    known = form.read([text.encode() for text in texts]).readable
    assert known[150] == (not padded)
    assert known.sum() >= 299
    assert any("fewer digits" in line for line in form.described) == (not padded)


def test_a_digit_of_a_padded_part_that_became_a_sign_makes_it_none():
    at_ns = instants(3, 300)
    texts = [f"{ns // S} {ns % S:09d}" for ns in at_ns.tolist()]
    texts[150] = texts[150][:11] + "+" + texts[150][12:]
    form = survey(texts, column(columns=("sec", "nsec")))
    assert np.flatnonzero(~form.read([text.encode() for text in texts]).readable).tolist() == [150]


@pytest.mark.parametrize("reverse", [1, -1])
def test_a_shorter_timestamp_that_is_out_of_order_is_none(reverse):
    at_ns = NOON + np.arange(0, 300 * S, S // 10) + np.random.default_rng(4).integers(0, S // 20, 3000)
    texts = texts_of(at_ns, 6, drop=True)
    assert readable(texts)[0].all()
    row = next(row for row in range(1500, 3000) if texts[row][11] != "0" and len(texts[row]) == 17)
    texts[row] = texts[row][:11] + texts[row][12:]
    known, form = readable(texts[::reverse])
    assert np.flatnonzero(~known).tolist() == ([row] if reverse > 0 else [2999 - row])
    assert any("fewer digits" in line for line in form.described)


def test_a_part_of_a_second_that_ends_the_file_may_be_torn(path):
    at_ns = NOON + np.arange(3, 60) * S + np.random.default_rng(2).integers(10**8, S, 57)
    rows = [f"{row},{ns // S},{ns % S}" for row, ns in enumerate(at_ns.tolist())]
    for row in range(10, 57):
        content = "k,sec,nsec\n" + "\n".join([*rows[:row], rows[row][:-4]])
        result, _ = corrected(path, content.encode(), stamps=PAIR)
        assert result.malformed == 1
    result, _ = corrected(path, ("k,sec,nsec\n" + "\n".join(rows)).encode(), stamps=PAIR)
    assert result.malformed == 0


@pytest.mark.parametrize("least", [1, 10])
def test_milliseconds_without_zeros_in_front_of_one_length_may_be_decimals(least):
    for seed in range(tries(10)):
        chance = np.random.default_rng(seed)
        counts = chance.integers(least, min(10 * least, 60), (4, 30, 300)[seed % 3])
        at_ns = NOON + np.arange(counts.size) * S + counts * 1_000_000
        texts = [f"{ns // S}.{ns % S // 1_000_000}" for ns in at_ns.tolist()]
        form = survey(texts, column())
        found = form.read([text.encode() for text in texts])
        resolution_ns = np.maximum(found.resolution_ns, form.resolution_ns)
        assert (np.abs(found.unix_ns - at_ns) < resolution_ns)[found.readable].all()
        assert any("%f" in line for line in form.described)


@pytest.mark.parametrize("digits", [1, 2, 4, 7])
def test_decimals_of_one_length_keep_their_resolution(digits):
    for seed in range(tries(5)):
        at_ns = instants(seed, 400)
        form = survey(texts_of(at_ns, digits), column())
        resolution_ns = form.read([text.encode() for text in texts_of(at_ns, digits)]).resolution_ns
        assert form.resolution_ns <= 2.1 * 10 ** (9 - digits)
        assert (resolution_ns == 0).mean() > 0.95
