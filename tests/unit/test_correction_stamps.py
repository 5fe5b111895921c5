"""Timestamps as text: recognised, read exactly, written in the same form."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidesync.sessions.correction.stamps import (
    EARLIEST_NS,
    LATEST_NS,
    UNITS,
    Form,
    StampReader,
    StampWriter,
    milliseconds_up,
)

NOON = 1_777_636_800_000_000_000
INSTANTS = st.integers(EARLIEST_NS // 2, LATEST_NS // 2)


def read(text, unit=None, near=NOON):
    return StampReader(unit, near).read(text)


@pytest.mark.parametrize(
    ("text", "rest_ns"),
    [
        ("2026-05-01T12:00:00Z", 0),
        ("2026-05-01T12:00:00.123456Z", 123_456_000),
        ("2026-05-01 12:00:00.123456789", 123_456_789),
        ("2026-05-01T14:00:00,5+02:00", 500_000_000),
        ("2026-05-01T07:00:00.25-0500", 250_000_000),
        (" 2026-05-01t12:00:00z ", 0),
        ("1777636800", 0),
        ("1777636800.000000001", 1),
        ("1777636800123", 123_000_000),
        ("1777636800123.5", 123_500_000),
        ("1777636800123456", 123_456_000),
        ("1777636800123456789", 123_456_789),
        ("1.7776368e12", 0),
    ],
)
def test_what_is_written_is_recognised_and_read_to_the_nanosecond(text, rest_ns):
    assert read(text) == NOON + rest_ns


def test_a_clock_that_begins_in_1970_is_recognised_by_what_was_measured():
    assert read("5000", near=4_900 * 10**9) == 5_000 * 10**9
    assert read("5000000", near=4_900 * 10**9) == 5_000 * 10**9


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "nan",
        "inf",
        "12:00:00",
        "2026-05-01",
        "2026-13-01T12:00:00Z",
        "2026-05-01T12:00:60Z",
        "9" * 40,
        "1e999",
        "1_000",
        "١٧٧٧٦٣٦٨٠٠",
        "0x10",
        "1" * 5000,
        "9999-12-31T23:59:59Z",
    ],
)
def test_what_is_no_instant_is_none(text):
    assert read(text) is None


def test_the_first_instant_decides_what_the_column_is():
    reader = StampReader(None, NOON)
    assert reader.read("seconds") is None
    assert reader.read("1777636800.5") == NOON + 500_000_000
    assert reader.read("2026-05-01T12:00:00Z") is None
    assert reader.read("1777636800123") is None  # as seconds it is far beyond 2116


def test_a_given_unit_is_not_guessed():
    assert read("1777636800", unit="ms") == 1_777_636_800_000_000
    assert read("2026-05-01T12:00:00Z", unit="s") is None
    assert read("1777636800", unit="iso") is None


@given(INSTANTS, st.sampled_from(UNITS), st.booleans())
def test_what_is_written_reads_back_within_half_a_step(instant, unit, fine):
    form = Form(unit, fine=fine or unit == "ns")
    back = read(StampWriter(form).write(instant), unit=unit)
    assert abs(back - instant) <= form.step_ns // 2


@given(
    st.datetimes(datetime.fromisoformat("1990-01-01"), datetime.fromisoformat("2100-01-01")),
    st.integers(-14 * 60, 14 * 60),
)
def test_iso_with_a_zone_reads_as_python_reads_it(naive, minutes):
    instant = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    since = instant - datetime(1970, 1, 1, tzinfo=UTC)
    assert read(instant.isoformat()) == since // timedelta(microseconds=1) * 1000


def test_neighbours_in_one_second_do_not_share_another_seconds_zone():
    reader = StampReader(None, NOON)
    assert reader.read("2026-05-01T12:00:00Z") == NOON
    assert reader.read("2026-05-01T12:00:00+02:00") == NOON - 7200 * 10**9


@pytest.mark.parametrize(
    ("error_ns", "text"), [(0, "0.000"), (1, "0.001"), (1_000_000, "1.000"), (1_000_001, "1.001")]
)
def test_an_error_is_rounded_up(error_ns, text):
    assert milliseconds_up(error_ns) == text
