"""How a column is written is found by what lies within the session; what is undecided is refused."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.effort import few, tries
from tidesync.sessions.correction.stamps.accepted import ColumnContext
from tidesync.sessions.correction.stamps.options import StampOptions
from tidesync.sessions.correction.stamps.session_span import SessionSpan
from tidesync.sessions.correction.stamps.survey import survey
from tidesync.sessions.correction.stamps.zone_choice import UndecidedError

S = 10**9
NOON = 1_777_636_800 * S
"""2026-05-01T12:00:00Z"""


def column(seconds=600, name="timestamp", unit=None, zone=None, begin=NOON, **options):
    span = SessionSpan.of([(begin, begin + seconds * S)])
    return ColumnContext(name, span, StampOptions(**options).checked(), unit, zone)


def read(texts, **context):
    form = survey(texts, column(**context))
    return form, form.read([text.encode() for text in texts])


def since_noon(texts, **context):
    """Seconds since NOON of the readable ones."""
    _, found = read(texts, **context)
    return ((found.unix_ns - NOON) / S)[found.readable].tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-01T12:04:57,5Z", 297.5),
        ("20260501T120457Z", 297),
        ("20260501120457.25", 297.25),
        ("2026/5/1 12:04:57 UTC", 297),
        ("2026-05-01 13:04:57 UTC+1", 297),
        ("2026-05-01T13:04:57.25+01:00[Europe/Paris]", 297.25),
        ("1 May 2026 12:04:57 GMT", 297),
        ("May 1, 2026 12:04:57 PM", 297),
        ("Fri, 01 May 2026 14:04:57 +0200", 297),
        ("Fri May  1 12:04:57 UTC 2026", 297),
        ("01-May-2026 12:04:57.125", 297.125),
        ("12:04:57.5 2026-05-01", 297.5),
        ("2026-05-01 12:04", 240),
        ("2026-05-01 12:04:57 p.m.", 297),
        ("1777637097.5", 297.5),
        ("1777637097500", 297.5),
        ("1777637097500000", 297.5),
        ("1777637097500000000", 297.5),
    ],
)
def test_common_ways_of_writing_a_time_need_no_option(text, expected):
    assert since_noon([text]) == [expected]


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("01/05/2026 12:04:57", {"time_format": "day-first"}, 297),
        ("1.5.26 12:04:57,25", {"time_format": "day-first"}, 297.25),
        ("05/01/2026 12:04:57 PM", {"time_format": "month-first"}, 297),
        ("2026-121 12:04:57", {"time_format": "%Y-%j %H:%M:%S"}, 297),
        ("12h04m57.5 01.05.2026", {"time_format": "%Hh%Mm%S.%f %d.%m.%Y"}, 297.5),
        ("46143.5034375", {"time_format": "excel"}, 297),
        ("44681.5034375", {"time_format": "excel"}, 297),
        ("740103.5034375", {"time_format": "matlab"}, 297),
        ("2461162.0034375", {"time_format": "julian"}, 297),
        ("61161.5034375", {"time_format": "julian"}, 297),
        ("1461672315.5", {"time_format": "gps"}, 297.5),
        ("1461672315500", {"time_format": "gps"}, 297.5),
        ("2416 475515.5", {"time_format": "gps", "columns": ("week", "tow")}, 297.5),
        ("2416 475515500", {"time_format": "gps", "columns": ("week", "itow")}, 297.5),
        ("2026-05-01 12:04:57.5", {"columns": ("date", "time")}, 297.5),
        ("20260501 120457", {"columns": ("date", "time")}, 297),
        ("1777637097 500000000", {"columns": ("secs", "nsecs")}, 297.5),
        ("1777637097 500000", {"columns": ("sec", "usec")}, 297.5),
        ("1777637097 0.5", {"columns": ("sec", "frac")}, 297.5),
        ("1777637097 500.25", {"columns": ("sec", "part")}, 297.50025),
        ("1777637097 500000.25", {"columns": ("sec", "part")}, 297.5),
        ("1777637097,5", {"decimal": ","}, 297.5),
        ("297.5", {"since": "2026-05-01T12:00:00Z", "unit": "s"}, 297.5),
        ("297500", {"since": "2026-05-01T12:00:00Z", "name": "time_boot_ms"}, 297.5),
        ("2026-05-01T12:00:00Z 297.5", {"since": "started", "name": "started,elapsed (s)"}, 297.5),
        ("1777636800 297500", {"since": "started", "unit": "ms"}, 297.5),
    ],
)
def test_every_other_common_way_can_be_stated(text, options, expected):
    assert since_noon([text], **options) == pytest.approx([expected], abs=1e-5)


@pytest.mark.parametrize("text", ["05/06/2026 12:00:00", "25.06.2026 12:00", "1-2-26 1:00:00"])
def test_day_first_is_never_guessed(text):
    with pytest.raises(UndecidedError, match=r"day-first or --time-format month-first") as refused:
        read([text, text])
    assert text in str(refused.value)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"zone": "Mars/Base"}, "--zone: 'Mars/Base'.*Europe/Berlin"),
        ({"zone": "CET"}, "--zone: 'CET'"),
        ({"time_format": "%H:%M"}, "--time-format '%H:%M'.*year.*excel"),
        ({"time_format": "%Y %Q"}, "%Q is not read"),
        ({"columns": ("a",)}, "--columns.*received 'a'"),
        ({"decimal": ";"}, "--decimal.*received ';'"),
        ({"since": "start", "columns": ("a", "b")}, "--since and --columns"),
        ({"resolution_ms": -1}, "--resolution-ms.*received -1"),
    ],
)
def test_a_wrong_option_is_named_with_what_is_accepted(options, named):
    with pytest.raises(ValueError, match=named):
        StampOptions(**options).checked()


def test_sentinels_do_not_decide_the_unit():
    texts = ["0", "", "-9999", "NaN", "NULL", "0.0", "1777636858802", "1777636859802"]
    form, found = read(texts)
    assert found.readable.tolist() == [True, False, True, False, False, True, True, True]
    assert ((found.unix_ns[-2:] - NOON) / S).tolist() == [58.802, 59.802]
    assert 2_000_000 <= form.resolution_ns <= 20_000_000


def test_what_is_no_timestamp_is_refused_with_what_is_accepted():
    with pytest.raises(UndecidedError, match=r"received 'never', 'x'.*--time-format"):
        read(["never", "", "x"])
    assert read([])[1].unix_ns.size == 0


NAIVE = ["2026-05-01 13:09:58.824", "2026-05-01 13:49:58.920"]


def test_a_naive_time_is_utc_only_if_no_other_zone_fits_as_well():
    with pytest.raises(UndecidedError, match=r"without a zone.*as many.*UTC-.*say --zone"):
        read(NAIVE, seconds=10_800)
    with pytest.raises(UndecidedError, match=r"1 h away.*local time\?.*--zone"):
        read(NAIVE[:1])
    with pytest.raises(
        UndecidedError, match=r"all of its times .* if they were UTC\+01:00 \(--zone \+01:00\)$"
    ):
        read(NAIVE[:1])
    with pytest.raises(UndecidedError, match=r"if they were UTC, UTC-01:00, UTC\+01:00 \(or \d more\)"):
        read([text.replace(" 13", " 14") for text in NAIVE], begin=NOON + 3600 * S, seconds=10_800)
    with pytest.raises(UndecidedError, match=r"1 of 2 of its times would .* UTC-04:30 \(--zone -04:30\)$"):
        read(["2026-05-01 07:39:00", "2026-05-04 02:00:00"])
    form, found = read([text.replace(" 13", " 12") for text in NAIVE], seconds=3_000)
    assert form.described[0] == "read as UTC"
    assert dict(form.summary)["zone_from"] == "assumed"
    assert found.readable.all()


def test_a_logger_that_ran_before_the_session_too_is_not_taken_for_utc():
    sparse = [
        f"2026-05-01 {hour}:{minute:02d}:00.5" for hour in (9, 10, 11, 13) for minute in range(1, 59, 9)
    ]
    local = sparse + [f"2026-05-01 12:{minute:02d}:00.5" for minute in range(1, 59, 4)]
    with pytest.raises(UndecidedError, match=r"15 of 43 lie within.*--zone"):
        read(local, seconds=3_600)


@pytest.mark.parametrize(
    "context",
    [
        {"zone": "+01:00"},
        {"zone": "Africa/Algiers"},
        {"name": "time (UTC+1)"},
        {"name": "Time [GMT+01:00]"},
        {"name": "time [Africa/Algiers]"},
        {"name": "time [+01:00]"},
        {"name": "time +0100"},
        {"name": "time (Etc/GMT-1)"},
        {"name": "date UTC+1,time UTC+01:00"},
    ],
)
def test_a_stated_zone_is_taken(context):
    options = {"zone": None} | context
    stated = options.pop("zone")
    texts = column(seconds=10_800, **options)
    form = survey(NAIVE, ColumnContext(texts.name, texts.span, StampOptions(zone=stated)))
    assert ((form.read([NAIVE[0].encode()]).unix_ns - NOON) / S).tolist() == [598.824]
    assert "read as UTC" not in form.described
    by_metadata = survey(NAIVE, ColumnContext("timestamp", texts.span, StampOptions(), zone="+01:00"))
    assert ((by_metadata.read([NAIVE[0].encode()]).unix_ns - NOON) / S).tolist() == [598.824]


@pytest.mark.parametrize(
    "name",
    [
        *("local_time", "time (local)", "LocalTime", "time (CET)", "Time [EST]", "time (UTC-3.5)"),
        *("time_utc_plus_1", "UTC minus 3", "time (UTC+05 30)", "time UTC:+01:00", "UTC+1/DST"),
        *("UTC+1 (Europe/Berlin)", "Africa/Algiers or Europe/Berlin"),
    ],
)
def test_a_name_that_says_local_or_an_abbreviation_or_more_than_one_zone_is_no_zone(name):
    with pytest.raises(UndecidedError, match="--zone"):
        read([text.replace(" 13", " 12") for text in NAIVE], seconds=3_000, name=name)


def test_a_zoneless_row_among_zoned_ones_is_malformed():
    texts = ["2026-05-01T12:00:01Z", "2026-05-01T12:00:02Z", "2026-05-01T12:00:03"]
    assert read(texts)[1].readable.tolist() == [True, True, False]


@pytest.mark.parametrize("context", [{"name": "time (UTC+1)"}, {"zone": "Europe/Berlin"}])
def test_a_name_or_metadata_do_not_read_a_zoneless_row_among_zoned_ones(context):
    texts = ["2026-05-01T12:00:01Z", "2026-05-01T12:00:02Z", "2026-05-01T12:00:03"]
    stated = column(name=context.get("name", "timestamp"))
    form = survey(texts, ColumnContext(stated.name, stated.span, StampOptions(), zone=context.get("zone")))
    assert form.read([text.encode() for text in texts]).readable.tolist() == [True, True, False]
    form = survey(texts, ColumnContext(stated.name, stated.span, StampOptions(zone="UTC")))
    assert form.read([text.encode() for text in texts]).readable.all()


def test_a_row_without_the_seconds_or_the_half_of_the_day_that_others_have_is_malformed():
    torn = ["2026-05-01T12:04:57.123Z", "2026-05-01T12:04:58.5Z", "2026-05-01T12:05Z"]
    assert read(torn)[1].readable.tolist() == [True, True, False]
    halves = ["1 May 2026 12:01:07 PM", "1 May 2026 12:03:07 PM", "1 May 2026 12:04:07"]
    assert read(halves, zone="UTC")[1].readable.tolist() == [True, True, False]
    digits = ["20260501120457", "2026050112045", "20260501120459"]
    assert read(digits, time_format="%Y%m%d%H%M%S", zone="UTC")[1].readable.tolist() == [True, False, True]


def test_times_that_are_all_hours_away_ask_for_the_zone():
    form, _ = read(["2026-05-01T22:00:01Z", "2026-05-01T22:00:05Z"])
    assert "10 h away: local time? --zone" in form.hint
    assert form.hint.endswith("if they were UTC+10:00 (--zone +10:00)")
    form, _ = read(["2026-05-01 06:00:01", "2026-05-01 06:00:05"], zone="-02:30")
    assert "3 h 30 min away" in form.hint
    assert form.hint.endswith("if they were UTC-06:00 (--zone -06:00)")
    assert "excel" in read(["46143.5034375"])[0].hint


AUTUMN = 1_792_886_400 * S
"""2026-10-25T00:00:00Z: Berlin goes back at 01:00 UTC."""


def test_the_repeated_hour_has_two_instants_and_the_skipped_one_none():
    texts = ["2026-10-25 01:59:59.5", "2026-10-25 02:30:00.5", "2026-10-25 03:00:00.5"]
    _, found = read(texts, begin=AUTUMN - 7200 * S, seconds=14_400, zone="Europe/Berlin")
    assert found.repeated.tolist() == [False, True, False]
    assert ((found.later_ns - found.unix_ns) / S).tolist() == [0, 3600, 0]
    spring = AUTUMN - 210 * 86_400 * S
    texts = ["2026-03-29 01:59:59.5", "2026-03-29 02:30:00.5", "2026-03-29 03:00:00.5"]
    _, found = read(texts, begin=spring, seconds=14_400, zone="Europe/Berlin")
    assert found.readable.tolist() == [True, False, True]


def test_elapsed_time_needs_its_unit_and_an_anchor_with_its_zone():
    with pytest.raises(UndecidedError, match="--unit what 'elapsed'"):
        read(["12.5"], since="2026-05-01T12:00:00Z", name="elapsed")
    with pytest.raises(UndecidedError, match=r"--since '2026-05-01T12:00:00'.*zone"):
        read(["12.5"], since="2026-05-01T12:00:00", unit="s")
    form, _ = read(["12.513"], since="2026-05-01T12:00:00.00Z", unit="s")
    assert form.resolution_ns >= 11 * 10**6


WAYS = {
    "s": lambda ns, digits: f"{ns // S}.{ns % S:09d}"[: (digits and 11 + digits) or 10],
    "iso": lambda ns, digits: str(np.datetime64(ns, "ns"))[: (digits and 20 + digits) or 19] + "Z",
    "ms": lambda ns, digits: str(ns // 10 ** (9 - min(digits, 3)) * 10 ** (3 - min(digits, 3))),
}


@given(
    st.sampled_from(sorted(WAYS)),
    st.integers(0, 9),
    st.integers(0, 3),
    st.lists(st.integers(0, 600 * S - 1), min_size=1, max_size=60, unique=True),
    st.booleans(),
)
def test_what_is_cut_off_and_filled_up_with_zeros_is_within_the_resolution(way, digits, zeros, offsets, drop):
    offsets = sorted(offsets)
    texts = [WAYS[way](NOON + offset, digits) for offset in offsets]
    if way != "ms" and digits:
        texts = [text.rstrip("Z") + "0" * min(zeros, 9 - digits) for text in texts]
        texts = [text.rstrip("0") if drop else text for text in texts]
        texts = [text + "Z" if way == "iso" else text for text in texts]
        texts = [text.replace(".Z", "Z") for text in texts]
    form, found = read(texts)
    assert drop or found.readable.all()  # a fraction longer than all others is refused
    apart = (np.array([NOON + offset for offset in offsets]) - found.unix_ns)[found.readable]
    assert (apart >= 0).all()
    assert (apart < form.resolution_ns).all()


@pytest.mark.parametrize("tick", [1 / 1024, 1 / 16384, 1 / 64, 0.02, 0.005, 0.25])
@pytest.mark.parametrize("cut", [np.floor, np.rint])
def test_a_counters_tick_is_found(tick, cut):
    for seed in range(tries(10)):
        offsets = np.random.default_rng(seed).uniform(0, 600, 40)
        shown = [NOON // 1000 + round(at * tick * 1e6) for at in cut(offsets / tick).tolist()]
        form, found = read([f"{us // 10**6}.{us % 10**6:06d}" for us in shown])
        apart = np.abs((found.unix_ns - NOON) - offsets * 1e9)
        assert (apart <= form.resolution_ns + 1_000).all()
        assert tick * 1e9 <= form.resolution_ns + 1 <= tick * 1e9 * 2.6


@given(st.lists(st.floats(1_777_636_800, 1_777_640_000), min_size=1, max_size=30), st.sampled_from("fgr"))
def test_float32_and_few_digits_are_found_as_text(seconds, kind):
    show = {
        "f": lambda x: f"{np.float32(x):.3f}",
        "g": lambda x: f"{x:.6g}",
        "r": lambda x: str(np.float32(x)),
    }
    form, found = read([show[kind](each) for each in seconds], seconds=3_600)
    apart = np.abs(np.array(seconds) * 1e9 - found.unix_ns)
    assert (apart <= form.resolution_ns).all()


def test_two_loggers_in_one_table_have_the_coarser_ones_resolution():
    chance = np.random.default_rng(1)
    fine = [f"2026-05-01T12:00:{at:09.6f}Z" for at in chance.uniform(10, 59, 30)]
    coarse = [f"2026-05-01T12:00:{at:02.0f}Z" for at in chance.uniform(10, 59, 30)]
    mixed = [text for pair in zip(fine, coarse, strict=True) for text in pair]
    for texts in (fine + coarse, coarse + fine, mixed):
        assert read(texts)[0].resolution_ns >= S
    assert read(fine)[0].resolution_ns <= 10_000


def test_two_loggers_are_distinguished_although_their_seconds_coincide():
    chance = np.random.default_rng(1)
    at = np.sort(chance.uniform(0, 50, 500))
    texts = [f"2026-05-01T12:00:{second:0{2 + 2 * (row % 2)}.{row % 2}f}Z" for row, second in enumerate(at)]
    assert read(texts)[0].resolution_ns == S


def test_a_later_part_of_the_column_may_be_coarser():
    chance = np.random.default_rng(2)
    form, _ = read([f"{NOON // S + at:.6f}" for at in chance.uniform(0, 600, 5000)])
    assert form.resolution_ns == 2_000
    later = [f"{NOON // S + at:.2f}0000".encode() for at in chance.uniform(0, 600, 5000)]
    assert (form.read(later).resolution_ns == 20_000_000).mean() > 0.99


@pytest.mark.parametrize(
    ("fine", "coarse", "count"),
    few(
        [(6, 0, 1), (6, 0, 9), (6, 1, 5), (9, 3, 5), (9, 0, 1), (9, 6, 12), (6, 2, 40), (6, 3, 9), (3, 0, 40)]
    ),
)
@pytest.mark.parametrize("written", ["filled", "short"])
def test_a_few_rows_of_a_coarser_logger_have_its_resolution(fine, coarse, count, written):
    for seed in range(tries(3)):
        chance = np.random.default_rng(seed)
        at_ns = NOON + np.sort(chance.integers(0, 600 * S, 2_000))
        rows = chance.integers(0, 1_900) + np.arange(count)
        digits = np.full(at_ns.size, fine)
        digits[rows] = coarse
        shown = at_ns // 10 ** (9 - digits) * 10 ** (9 - digits)
        width = fine if written == "filled" else coarse
        texts = [f"{ns // S}.{ns % S:09d}"[: 11 + fine] for ns in shown.tolist()]
        for row in rows.tolist():
            texts[row] = texts[row][: 11 + width].rstrip(".")
        form = survey([text for text, usual in zip(texts, digits, strict=True) if usual == fine], column())
        found = form.read([text.encode() for text in texts])
        error_ns = np.maximum(found.resolution_ns, form.resolution_ns)
        assert (np.abs(found.unix_ns - at_ns) < error_ns).all(), (seed, error_ns[rows])
        assert (found.resolution_ns > form.resolution_ns).sum() <= count + 0.01 * at_ns.size


@given(
    st.sampled_from(
        ["%Y-%m-%d %H:%M:%S", "%d %b %Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%Y%m%dT%H%M%S", "%Y-%j %T"]
    ),
    st.integers(0, 2**31),
)
def test_a_strptime_format_reads_what_strftime_wrote(text, second):
    written = np.datetime64(second, "s").item().strftime(text)
    _, found = read([written], begin=second * S - 1, time_format=text, zone="UTC")
    assert found.unix_ns.tolist() == [second * S]


@given(st.data())
def test_what_a_form_writes_it_reads(data):
    text, options = data.draw(
        st.sampled_from(
            [
                ("2026-05-01T12:04:57.123456Z", {}),
                ("1777637097.5", {}),
                ("1777637097,5", {"decimal": ","}),
                ("1777637097500000000", {}),
                ("1777637097500", {}),
                ("46143.5034375", {"time_format": "excel", "zone": "-03:30"}),
                ("2461162.0034375", {"time_format": "julian"}),
                ("1461672315.5", {"time_format": "gps"}),
            ]
        )
    )
    form = survey([text], column(**options))
    instants = np.array(sorted(data.draw(st.lists(st.integers(0, 2**61), min_size=1))), dtype=np.int64)
    back = form.read(form.write(instants))
    assert back.readable.all()
    assert (np.abs(back.unix_ns - instants) <= form.step_ns).all()


SHAPES = st.sampled_from(
    [
        *("2026-05-01T12:0{}:57Z", "2026-05-01 12:00:0{}.{:06d}", "2026-05-01T1{}:00:00,{:03d}+01:00"),
        *("2026-0{}-31T12:00:00Z", "177763680{}.{:09d}", "177763680{}{:03d}", "{}e9", "-{}", "x{}"),
        *("  177763680{} ", "2026-05-01T12:00:0{}.{:012d}Z"),
    ]
)


@given(
    st.lists(st.tuples(SHAPES, st.integers(0, 9), st.integers(0, 999)), min_size=1, max_size=40),
    st.booleans(),
)
def test_a_block_is_read_as_its_texts_are_one_by_one(parts, number):
    texts = [shape.format(first, second).encode() for shape, first, second in parts]
    form = survey(["1777636801.5" if number else "2026-05-01T12:00:01.5Z"], column(zone="UTC"))
    ends = np.cumsum([len(text) + 1 for text in texts]) - 1
    starts = ends - [len(text) for text in texts]
    block = form.read_block(np.frombuffer(b"|".join(texts), dtype=np.uint8), starts, ends)
    for one, many in zip(form.read(texts), block, strict=True):
        assert np.array_equal(np.where(block.readable, one, 0), np.where(block.readable, many, 0))


@pytest.mark.parametrize("digits", [0, 3, 6])
@pytest.mark.parametrize("count", [3, 100, 1000])
def test_a_single_full_hour_is_no_evidence_of_a_logger_of_hours(digits, count):
    at_ns = np.sort(NOON - 1800 * S + np.random.default_rng(count).integers(0, 7200 * S, count))
    at_ns[np.searchsorted(at_ns, NOON) % count] = NOON
    texts = [str(np.datetime64(int(ns), "ns"))[: 20 + digits if digits else 19] + "Z" for ns in at_ns]
    form, found = read(texts, begin=NOON - 1800 * S, seconds=7200)
    assert (np.maximum(found.resolution_ns, form.resolution_ns) <= 60 * S).all()


def at_once(form, texts):
    """The same as `form.read`, by the vectorised reader."""
    ends = np.cumsum([len(text) for text in texts])
    buffer = np.frombuffer("".join(texts).encode(), dtype=np.uint8)
    return form.read_block(buffer, np.append(0, ends[:-1]), ends)


@pytest.mark.parametrize("second", ["%Y-%m-%d %H:%M:%S", "%s"])
@pytest.mark.parametrize("digits", [3, 6])
def test_a_fraction_without_its_zeros_in_front_is_no_decimal(second, digits):
    for seed in range(tries(5)):
        offsets = np.sort(np.random.default_rng(seed).integers(0, 600 * 10**digits, 200))
        whole, counts = np.divmod(offsets, 10**digits)
        start = np.datetime64("2026-05-01T12:00:00")
        seconds = (start + whole.astype("timedelta64[s]")).astype(str)
        if second == "%s":
            seconds = [str(NOON // S + each) for each in whole.tolist()]
        texts = [
            f"{at}.{count}".replace("T", " ") for at, count in zip(seconds, counts.tolist(), strict=True)
        ]
        form, found = read(texts, zone="UTC")
        assert (found.readable == (counts >= 10 ** (digits - 1))).all()
        assert (at_once(form, texts).readable == found.readable).all()
        true_ns = NOON + offsets * 10 ** (9 - digits)
        assert (found.unix_ns == true_ns)[found.readable].all()
        assert "%3f if they count ms" in form.described[-1]
        stated, found = read(texts, zone="UTC", time_format=f"{second}.%{digits}f")
        assert found.readable.all()
        assert (found.unix_ns == true_ns).all()
        assert stated.resolution_ns <= 2.1 * 10 ** (9 - digits)


def test_fractions_whose_zeros_at_the_end_were_dropped_are_decimals():
    offsets = np.random.default_rng(1).integers(0, 600_000, 100).tolist()
    texts = [f"{NOON // S + offset / 1000}" for offset in offsets]
    assert since_noon(texts) == [offset / 1000 for offset in offsets]
    assert since_noon(["1777637097.5", "1777637097.25", "1777637098.125"]) == [297.5, 297.25, 298.125]
    assert since_noon(["1777637097.05", "1777637097.50", "1777637098.5"]) == [297.05, 297.5, 298.5]


@pytest.mark.parametrize(
    ("text", "options", "hint"),
    [
        (
            "260501120457",
            {},
            r"read as ms: 1978-04-\d\dT.*was 2026-05-01T12:00:00Z to.*--time-format",
        ),
        ("619821", {}, "read as .*--unit, --time-format or --since"),
        ("2026-01-05 12:04:57", {"zone": "UTC"}, "2026-01-05T12:04:57Z.*--time-format or --zone"),
    ],
)
def test_times_that_are_all_outside_say_how_they_were_read(text, options, hint):
    assert re.search(hint, read([text, text], **options)[0].hint)


def test_minutes_and_whole_seconds_in_rounded_days_add_up():
    minutes = [f"2026-05-01T12:{minute:02d}Z" for minute in range(10)]
    assert read(minutes)[0].resolution_ns == 60 * S
    days = [f"{46143.5 + number / 86_400:.5f}" for number in range(0, 600, 7)]
    assert 1_432_000_000 <= read(days, time_format="excel", zone="UTC")[0].resolution_ns <= 5_600_000_000
    days = [f"{46143.5 + number / 86_400:.6f}" for number in np.random.default_rng(1).uniform(0, 600, 86)]
    assert 2 * 86_400_000 <= read(days, time_format="excel", zone="UTC")[0].resolution_ns <= 750_000_000


@pytest.mark.parametrize(
    ("texts", "unit", "message"),
    [
        (["12.5"], None, r"say with --unit what 'run' counts"),
        (
            ["12:00:00 1.5"],
            "s",
            r"no row has an instant in column 'start' and a number in 'run'.*12:00:00 1.5",
        ),
    ],
)
def test_a_column_of_starts_is_named_where_it_does_not_suit(texts, unit, message):
    with pytest.raises(UndecidedError, match=message):
        read(texts, since="start", name="start,run", unit=unit)
    assert (
        "another --since"
        in read(["2020-05-01T12:00:00Z 1.5"], since="start", name="start,run", unit="s")[0].hint
    )
