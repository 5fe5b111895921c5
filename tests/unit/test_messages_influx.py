"""Corrected line protocol: no answered timestamp outside its error, and every other byte as it was."""

import contextlib
import csv
import random
import re

import pytest

from tests.effort import tries
from tests.unit.line_files import instants, iso
from tests.unit.recorded_clock import CLOCKS, timeline_of
from tests.unit.test_json_lines import unix_ns
from tests.unit.test_messages_mcap_damage import KINDS, damaged
from tidesync.sessions.correction.driver import correct
from tidesync.sessions.correction.formats import output_of, sidecar_of, unanswered_of
from tidesync.sessions.correction.stamps.options import StampOptions
from tidesync.sessions.correction.table import Job, TextLayout
from tidesync.sessions.errors import NoTimestampError, UnusableFileError
from tidesync.sessions.messages.driver import correct_messages
from tidesync.sessions.messages.influx_stamps import InfluxFinder

UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000}
FIELDS = (
    b"ctd,rov=a t=4.5,n=%di",
    b'log,to=b\\ c text="at 12, \\"= 1777",n=%di',
    b'm\\,x n=%di,s="\xc3\xa9"',
)


def write_lp(path, clock, unit_ns=1, rate=3, seconds=120):
    truth, lines = instants(clock, rate=rate, seconds=seconds), [b"# a comment"]
    for number, at_ns in enumerate(truth):
        stamp = b"%d" % (int(clock.shows(at_ns)) // unit_ns)
        lines += [FIELDS[number % 3] % number + b" " + stamp] + [b""] * (number % 7 == 0)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return truth


def corrected(path, timeline, **stated):
    return correct_messages(Job(path, "rov1", **stated), timeline, lambda _: None)


def rows_of(path):
    with sidecar_of(output_of(path)).open(newline="") as stream:
        return list(csv.DictReader(stream))


def by_number(path):
    """The bytes before the timestamp, and the timestamp, of each line by the number in it."""
    found = {}
    for line in path.read_bytes().splitlines() if path.exists() else ():
        if number := re.search(rb"n=(\d+)i", line):
            found[int(number[1])] = line.rsplit(b" ", 1)
    return found


@pytest.mark.parametrize(
    ("unit", "name"), [*(("ns", name) for name in CLOCKS), ("us", "back"), ("ms", "back")]
)
def test_no_answered_timestamp_is_outside_its_error_and_every_other_byte_is_kept(
    unit, name, tmp_path, tmp_path_factory
):
    path = tmp_path / "ctd.lp"
    truth = write_lp(path, CLOCKS[name], UNITS[unit])
    original = path.read_bytes()
    result = corrected(path, timeline_of(name, tmp_path_factory))
    assert path.read_bytes() == original
    assert (result.rows, result.malformed) == (len(truth), 0)
    assert result.corrected > 0.8 * len(truth)
    before, after, left = (
        by_number(each) for each in (path, output_of(path), unanswered_of(output_of(path)))
    )
    for number, row in enumerate(rows_of(path)):
        if row["time_state"] not in {"ok", "holdover"}:
            assert left.pop(number) == before[number]
            continue
        text, stamp = after.pop(number)
        assert text == before[number][0]
        topside_ns = int(stamp) * (UNITS[unit] if unit == "us" else 1)
        assert abs(topside_ns - truth[number]) <= float(row["time_max_error_ms"]) * 1e6
    assert (after, left) == ({}, {})


@pytest.mark.parametrize(
    ("line", "stamp"),
    [
        (b"m f=1 1777636800123456789", b"1777636800123456789"),
        (b'm,a=b\\ c f="x y" 17', b"17"),
        (b"m f=1", b""),
        (b"m f=1 17.5", b""),
        (b"m f=1 17776368m f=2 1777636800123456789", b""),
        (b'second" 1777636800123456789', b""),
        (b'm f="first', b""),
        (b"1777636800 12", b""),
    ],
)
def test_a_line_has_three_parts_or_no_timestamp(line, stamp):
    place = InfluxFinder().find(line, ended=True)
    assert line[place.begin : place.end] == stamp
    assert place.clear == bool(stamp)
    assert not InfluxFinder().find(line, ended=False).clear


def test_lines_without_a_timestamp_are_counted_and_left_as_they_are(tmp_path, tmp_path_factory):
    path = tmp_path / "a.lp"
    truth = write_lp(path, CLOCKS["drift"], rate=1)
    odd = b'm f=1\nm f="two\nlines" 1777636850000000000\n' + b"m f=1 1777636850000000"
    path.write_bytes(path.read_bytes() + odd)
    result = corrected(path, timeline_of("drift", tmp_path_factory))
    assert (result.corrected, result.malformed) == (len(truth), 4)
    assert unanswered_of(output_of(path)).read_bytes() == odd


def test_what_is_no_line_protocol_is_named(tmp_path, tmp_path_factory):
    path, timeline = tmp_path / "a.lp", timeline_of("drift", tmp_path_factory)
    for content in (b"", b"timestamp,x\n1,2\n" * 9, bytes(5_000)):
        path.write_bytes(content)
        with pytest.raises(
            NoTimestampError, match="no line is a measurement, fields and an integer timestamp"
        ):
            corrected(path, timeline)
    write_lp(path, CLOCKS["drift"], rate=1)
    with pytest.raises(UnusableFileError, match="expected --unit s, ms, us or ns"):
        corrected(path, timeline, stamps=StampOptions(since="2026-05-01T12:00:00Z"), unit="ns")
    assert [each.name for each in tmp_path.iterdir()] == ["a.lp"]


def test_damage_costs_the_lines_that_it_hit(tmp_path, tmp_path_factory):
    path, timeline = tmp_path / "a.lp", timeline_of("back", tmp_path_factory)
    truth = write_lp(path, CLOCKS["back"], seconds=90)
    whole, chance = path.read_bytes(), random.Random(8)
    originals = {*whole.splitlines()}
    for number in range(tries(8)):
        path.write_bytes(damaged(whole, KINDS[number % 4], chance))
        with contextlib.suppress(UnusableFileError):
            corrected(path, timeline)
            lines = path.read_bytes().splitlines()
            for row in rows_of(path):
                line = lines[int(row["line"]) - 1]
                if row["time_state"] == "ok" and line in originals:
                    off_ns = (
                        int(row["timestamp_topside"]) * 1000 - truth[int(re.search(rb"n=(\d+)i", line)[1])]
                    )
                    assert abs(off_ns) <= float(row["time_max_error_ms"]) * 1e6


def test_annotated_csv_is_a_table_with_comments(tmp_path, tmp_path_factory):
    path, clock = tmp_path / "a.csv", CLOCKS["drift"]
    truth = instants(clock, rate=1)
    head = (
        "#datatype,string,long,dateTime:RFC3339,double\r\n#default,_result,,,\r\n,result,table,_time,_value"
    )
    rows = [f",,0,{iso(clock.shows(at_ns))},{number}" for number, at_ns in enumerate(truth)]
    path.write_bytes("\r\n".join([head, *rows, ""]).encode())
    job = Job(path, "rov1", column="_time", layout=TextLayout(comment="#"))
    assert correct(job, timeline_of("drift", tmp_path_factory), lambda _: None).corrected == len(truth)
    lines = output_of(path).read_text().splitlines()
    assert lines[:2] == head.splitlines()[:2]
    for row, at_ns in zip(csv.DictReader(lines[2:]), truth, strict=True):
        error_ns = float(row["time_max_error_ms"]) * 1e6
        assert abs(unix_ns(row["timestamp_topside"]) - at_ns) <= error_ns
