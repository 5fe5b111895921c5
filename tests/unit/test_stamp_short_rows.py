"""A timestamp with fewer digits than others is complete only where its writer is seen to drop zeros."""

import csv

import numpy as np
import pytest

from tests.effort import tries
from tests.unit.test_correction_csv import corrected, path
from tests.unit.test_stamp_survey import NOON, S, at_once, column
from tidesync.sessions.correction.stamps.survey import survey

__all__ = ["path"]


def texts_of(at_ns, digits, *, drop=False, padded=True):
    """Unix seconds cut off to so many decimals (an array or one number)."""
    found = []
    for ns, places in zip(at_ns.tolist(), np.broadcast_to(digits, at_ns.shape).tolist(), strict=True):
        fraction = f"{ns % S:09d}"[:places]
        fraction = fraction.rstrip("0") if drop else fraction if padded else str(int(fraction))
        found.append(f"{ns // S}.{fraction}".rstrip("."))
    return found


def instants(seed, count):
    return NOON + np.sort(np.random.default_rng(seed).integers(0, 600 * S, count))


def read(texts):
    """The instants that are read, one by one and at once, and what each resolves (ns)."""
    form = survey(texts, column())
    found, block = form.read([text.encode() for text in texts]), at_once(form, texts)
    assert found.readable.all()
    assert all(np.array_equal(one, many) for one, many in zip(found, block, strict=True))
    return found.unix_ns, np.maximum(found.resolution_ns, form.resolution_ns)


@pytest.mark.parametrize(("fine", "coarse"), [(3, 0), (6, 0), (6, 3), (6, 1), (9, 3)])
@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("count", [1, 3])
def test_a_few_coarser_rows_have_the_resolution_in_which_they_are_written(fine, coarse, drop, count):
    for seed in range(tries(4)):
        for size in (12, 64 + count, 600):
            at_ns = instants(seed, size)
            digits = np.full(size, fine)
            digits[np.random.default_rng(seed).choice(size, count, replace=False)] = coarse
            shown, resolution_ns = read(texts_of(at_ns, digits, drop=drop))
            assert (at_ns - shown < resolution_ns).all(), (seed, size)


def test_rows_one_or_two_digits_coarser_are_noticed_unless_zeros_are_dropped():
    for seed in range(tries(10)):
        at_ns, digits = instants(seed, 300), np.full(300, 3)
        digits[100:200:33] = (2, 1, 2, 1)
        shown, resolution_ns = read(texts_of(at_ns, digits))
        assert (at_ns - shown < resolution_ns).all()
        assert (resolution_ns[digits == 3] <= 2_100_000).mean() > 0.99
    at_ns, digits = instants(1, 2000), np.full(2000, 3)
    digits[[700, 702, 704, *range(1200, 1240, 2)]] = [1] * 3 + [2] * 20
    shown, resolution_ns = read(texts_of(at_ns, digits, drop=True))
    assert (at_ns - shown < resolution_ns).all()


@pytest.mark.slow
def test_a_logger_that_drops_zeros_keeps_its_resolution():
    at_ns = instants(3, 4_000)
    for digits, kept in ((2, 0.98), (3, 0.98), (4, 0.88), (6, 0.88)):
        texts = texts_of(at_ns, digits, drop=True)
        _, resolution_ns = read(texts)
        assert (resolution_ns <= 2.1 * 10 ** (9 - digits)).mean() > kept
        assert (resolution_ns <= 25_000_000).mean() > 0.98


def test_a_short_fraction_of_a_few_rows_may_be_decimals_or_a_count():
    for seed in range(tries(60)):
        at_ns = instants(seed, 2 + seed % 12)
        for padded in (True, False):
            texts = texts_of(at_ns, 3, drop=padded, padded=padded)
            form = survey(texts, column())
            found = form.read([text.encode() for text in texts])
            resolution_ns = np.maximum(found.resolution_ns, form.resolution_ns)
            several = len({len(text) for text in texts}) > 1
            known = found.readable & several
            assert (np.abs(found.unix_ns - at_ns) < resolution_ns)[known].all(), texts
    form = survey(["1777636812.5", "1777636813.482"], column())
    assert "their error covers" in form.described[-1]
    assert form.read([b"1777636812.5", b"1777636813.482"]).resolution_ns.tolist() == [S, 0]


@pytest.mark.parametrize("digits", [5, 8])
def test_fractions_of_five_or_eight_digits_may_lack_a_zero_in_front(digits):
    counts = np.random.default_rng(digits).integers(10 ** (digits - 1), 10**digits, 40)
    texts = [f"{NOON // S + row}.{count}" for row, count in enumerate(counts.tolist())]
    for torn in ([], [f"{NOON // S + 40}.3"]):
        shown, resolution_ns = (each[:40] for each in read([*texts, *torn]))
        for places in (digits, digits + 1):
            true_ns = NOON + np.arange(40) * S + counts * 10 ** (9 - places)
            assert (np.abs(true_ns - shown) < resolution_ns).all()
    _, resolution_ns = read([*texts, f"{NOON // S + 50}.{12:0{digits}d}"])
    assert (resolution_ns[:40] <= 2 * 10 ** (9 - digits)).mean() > 0.9


@pytest.mark.parametrize("digits", [3, 6, 9])
def test_a_timestamp_that_lacks_characters_in_its_middle_is_within_its_error(digits):
    for seed in range(tries(20)):
        at_ns, chance = instants(seed, 200), np.random.default_rng(seed)
        texts = texts_of(at_ns, digits)
        place, lost = chance.integers(11, 11 + digits), chance.integers(1, 4)
        texts[77] = texts[77][:place] + texts[77][place + lost :]
        form = survey(texts, column())
        found = form.read([text.encode() for text in texts])
        known = found.readable
        assert known.sum() >= 199
        resolution_ns = np.maximum(found.resolution_ns, form.resolution_ns)
        assert (np.abs(at_ns - found.unix_ns) < resolution_ns)[known].all(), texts[77]


ZONES = {"+05:30": "+05", "+0545": "+05", " UTC+10": " UTC+1", "-03:30": "-03"}


@pytest.mark.parametrize("zone", ZONES)
def test_a_zone_with_fewer_digits_than_others_is_torn(zone):
    texts = [f"2026-05-01T12:00:{second:02d}.5{zone}" for second in range(10, 15)]
    torn = [*texts, texts[2].removesuffix(zone) + ZONES[zone], texts[2].removesuffix(zone) + "Z"]
    form = survey(torn, column(begin=NOON - 86_400 * S, seconds=2 * 86_400))
    expected = [*[True] * 5, False, True]
    assert form.read([text.encode() for text in torn]).readable.tolist() == expected
    assert at_once(form, torn).readable.tolist() == expected


def test_a_logger_of_a_steady_phase_is_seen_to_drop_zeros():
    phase_ns = np.random.default_rng(1).normal(0.537, 0.004, 300) * S
    at_ns = NOON + np.arange(300) * S + phase_ns.astype(np.int64)
    shown, resolution_ns = read(texts_of(at_ns, 3, drop=True))
    assert (at_ns - shown < resolution_ns).all()
    assert (resolution_ns <= 2_200_000).mean() > 0.95


@pytest.mark.parametrize("digits", [3, 6])
@pytest.mark.parametrize("size", [8, 200])
def test_a_timestamp_that_was_torn_within_its_decimals_is_within_its_error(path, digits, size):
    for seed in range(tries(6)):
        at_ns = 1_777_636_800 * S + np.linspace(3 * S, 97 * S, size).astype(np.int64) + 123_456_789
        at_ns += np.random.default_rng(seed).integers(0, S // 10, size)
        texts = texts_of(at_ns, digits, drop=True)
        row = size // 2
        texts[row] = texts[row][: -1 - seed % (digits + 1)]
        content = "k,timestamp\n" + "".join(f"{k},{text}\n" for k, text in enumerate(texts))
        _, written = corrected(path, content.encode())
        found = {int(each["k"]): each for each in csv.DictReader(written.decode().splitlines())}[row]
        if found["timestamp_topside"]:
            whole = content.replace(f"{row},{texts[row]}\n", f"{row},{at_ns[row] / 1e9:.9f}\n")
            _, written = corrected(path, whole.encode())
            true = list(csv.DictReader(written.decode().splitlines()))[row]
            apart_ms = abs(float(found["timestamp_topside"]) - float(true["timestamp_topside"])) * 1e3
            assert apart_ms <= float(found["time_max_error_ms"])
