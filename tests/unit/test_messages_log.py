"""Corrected logs of stamped lines: no answered stamp outside its error, and every other byte as it was."""

import contextlib
import csv
import gzip
import json
import random
import re

import numpy as np
import pytest

from runtime import files
from tests.effort import tries
from tests.unit.line_files import decimal_s, iso, write_log
from tests.unit.recorded_clock import CLOCKS, timeline_of, write_session
from tests.unit.test_json_lines import unix_ns
from tests.unit.test_messages_mcap_damage import KINDS, damaged
from tests.unit.tlog_files import write_tlog
from tidesync.command_line import run
from tidesync.sessions.correction.formats import output_of, sidecar_of, unanswered_of
from tidesync.sessions.correction.stamps.options import StampOptions
from tidesync.sessions.correction.table import Job
from tidesync.sessions.errors import NoTimestampError, UnusableFileError
from tidesync.sessions.messages import log_file
from tidesync.sessions.messages.driver import correct_messages
from tidesync.sessions.messages.log_stamps import StampFinder

WRITTEN = {
    "iso": iso,
    "iso ms in brackets": lambda ns: f"[{iso(ns, 3)}]",
    "with a space and a comma": lambda ns: iso(ns, 3, "").replace("T", " ").replace(".", ","),
    "with a zone": lambda ns: iso(ns + 7_200_000_000_000, 6, "+02:00"),
    "s": decimal_s,
    "ms": lambda ns: str(int(ns) // 1_000_000),
}
NUMBER = re.compile(rb"no (\d+) ")


def corrected(path, timeline, **stated):
    return correct_messages(Job(path, "rov1", **stated), timeline, lambda _: None)


def rows_of(path):
    with sidecar_of(output_of(path)).open(newline="") as stream:
        return list(csv.DictReader(stream))


def stamp_of(line):
    return re.match(r"\[?([^] ]+)", line.decode())[1]


def by_number(path):
    """Each stamped line with those that go with it, by the number in it."""
    found, last = {}, None
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
        last = int(NUMBER.search(line)[1]) if NUMBER.search(line) else last
        found[last] = found.get(last, b"") + line
    return found


@pytest.mark.parametrize(
    ("form", "name"),
    [*((form, name) for form in WRITTEN for name in ("back", "reboot")), *(("iso", name) for name in CLOCKS)],
)
def test_no_answered_stamp_is_outside_its_error_and_every_other_byte_is_kept(
    form, name, tmp_path, tmp_path_factory
):
    path = tmp_path / "gps.nmea"
    truth = write_log(path, CLOCKS[name], WRITTEN[form], rate=3)
    original = path.read_bytes()
    stated = StampOptions(zone="UTC") if "comma" in form else StampOptions()
    timeline = timeline_of(name, tmp_path_factory)
    result = corrected(path, timeline, stamps=stated)
    assert path.read_bytes() == original
    assert (result.rows, result.malformed) == (len(truth), 0)
    assert result.corrected > 0.8 * len(truth)
    before, after, left = (
        by_number(path),
        by_number(output_of(path)),
        by_number(unanswered_of(output_of(path))),
    )
    rows = rows_of(path)
    answered = [number for number, row in enumerate(rows) if row["time_state"] in {"ok", "holdover"}]
    assert [number for number in after if number is not None] == answered
    assert after[None] == before[None] == b"# a head\r\n"
    for number in answered:
        found, error_ns = after[number], float(rows[number]["time_max_error_ms"]) * 1e6
        stamp = stamp_of(found).replace(",", ".")
        topside_ns = unix_ns(stamp, "ms" if form == "ms" else "s")
        assert abs(topside_ns - truth[number]) <= error_ns
        assert abs(int(rows[number]["timestamp_topside"]) * 1000 - truth[number]) <= error_ns
        end = before[number].index(
            b"]" if "brackets" in form else b" $" if b" $" in before[number] else b" !"
        )
        assert found.endswith(before[number][end:])
        assert len(found.removesuffix(before[number][end:])) <= 29
    assert left == {number: before[number] for number in range(len(truth)) if number not in after}
    assert result.outcome.notes[0].startswith(
        f"{original.count(b'which goes') + 1} lines without a timestamp"
    )
    written = output_of(path).read_bytes()
    corrected(path, timeline, stamps=stated)
    assert output_of(path).read_bytes() == written


@pytest.mark.parametrize(
    ("line", "stamp", "clear"),
    [
        ("2026-05-01T12:00:00.123Z $GPGGA", "2026-05-01T12:00:00.123Z", True),
        (" [2026/05/01 12:00:00,123] x", "2026/05/01 12:00:00,123", True),
        ("2026-05-01 12:00:00+0530,x", "2026-05-01 12:00:00+0530", True),
        ("20260501T120000.5Z;x", "20260501T120000.5Z", True),
        ("2026-05-01 12:00:00.5: -12 dBm", "2026-05-01 12:00:00.5", True),
        ("2026-05-01 12:00:00 -12.5", "2026-05-01 12:00:00", True),
        ("1777636800.25 -1200 Pa", "1777636800.25", True),
        ("1777636800123 x", "1777636800123", True),
        ("2026-05-01 12:00:00.5 +0200 x", "2026-05-01 12:00:00.5", False),
        ("2026-05-01 12:00:00.5 UTC+1 x", "2026-05-01 12:00:00.5", False),
        ("2026-05-01T12:00:00,17,3", "2026-05-01T12:00:00", False),
        ("2026-05-01T12:00:00,123,4", "2026-05-01T12:00:00", False),
        ("1777636800,17", "1777636800", False),
        ("2026-05-01T12:00:00.123", None, False),
        ("2026-05-01T12:00:0", None, False),
        ("2026-05-01 12:00 x", None, False),
        ("2026-05-01T12:00:00.123abc", None, False),
        ("12345 x", None, False),
        ("x 2026-05-01T12:00:00Z y", None, False),
        ("", None, False),
    ],
)
def test_where_a_stamp_ends_is_clear_or_it_is_none(line, stamp, clear):
    place = StampFinder(StampOptions()).find(line.encode(), ended=True)
    assert (place and line[place.begin : place.end]) == stamp
    assert (place is not None and place.clear) == clear


def test_options_say_how_stamps_are_written(tmp_path, tmp_path_factory):
    path, clock, timeline = tmp_path / "a.log", CLOCKS["drift"], timeline_of("drift", tmp_path_factory)

    def shown(ns):
        return str(np.datetime64(int(ns), "us").item().strftime("%d.%m.%Y %H:%M:%S.%f"))

    truth = write_log(path, clock, lambda ns: shown(int(ns) // 1000), rate=1)
    with pytest.raises(UnusableFileError, match="--time-format day-first or --time-format month-first"):
        corrected(path, timeline)
    for stated in ("day-first", "%d.%m.%Y %H:%M:%S.%f"):
        result = corrected(path, timeline, stamps=StampOptions(time_format=stated, zone="UTC"))
        assert result.corrected == len(truth)
    start = int(clock.shows(truth[0])) - 123_456_789
    write_log(path, clock, lambda ns: f"[{(int(ns) - start) / 1e9:12.6f}]", rate=1)
    stated = StampOptions(since=iso(start, 9))
    assert corrected(path, timeline, stamps=stated, unit="s").corrected == len(truth)
    with pytest.raises(UnusableFileError, match="a log has no columns"):
        corrected(path, timeline, stamps=StampOptions(since="start"))


def test_lines_whose_stamp_is_not_clear_are_counted_and_left_as_they_are(tmp_path, tmp_path_factory):
    path = tmp_path / "a.log"
    truth = write_log(path, CLOCKS["drift"], rate=1)
    stamp = iso(CLOCKS["drift"].shows(truth[50]), 0, "")
    odd = f"{stamp},17,3\n2026-05-01T12:61:00 x\n".encode()
    path.write_bytes(path.read_bytes() + odd)
    result = corrected(path, timeline_of("drift", tmp_path_factory))
    assert (result.corrected, result.malformed) == (len(truth), 2)
    assert unanswered_of(output_of(path)).read_bytes() == odd
    assert [each.value for each in result.shown] == odd.decode().splitlines()


def test_damage_costs_the_lines_that_it_hit(tmp_path, tmp_path_factory):
    path, timeline = tmp_path / "a.log", timeline_of("back", tmp_path_factory)
    truth = write_log(path, CLOCKS["back"], seconds=90, rate=4)
    whole, chance = path.read_bytes(), random.Random(7)
    lines = whole.splitlines()
    for number in range(tries(8)):
        path.write_bytes(damaged(whole, KINDS[number % 4], chance))
        with contextlib.suppress(UnusableFileError):
            corrected(path, timeline)
            damaged_lines = path.read_bytes().splitlines()
            outputs = output_of(path), unanswered_of(output_of(path))
            assert sum(len(each.read_bytes().splitlines()) for each in outputs if each.exists()) == len(
                damaged_lines
            )
            for row in rows_of(path):
                line = damaged_lines[int(row["line"]) - 1]
                if row["time_state"] == "ok" and line in lines:
                    at_ns = truth[int(NUMBER.search(line)[1])]
                    off_ns = int(row["timestamp_topside"]) * 1000 - at_ns
                    assert abs(off_ns) <= float(row["time_max_error_ms"]) * 1e6


@pytest.mark.parametrize(
    "content", [b"", b"$GPGGA,120000\r\n" * 50, bytes(5_000), b"started\n12 x\n", b"\xfe" * 99]
)
def test_what_has_no_stamped_lines_is_named_and_nothing_is_written(content, tmp_path, tmp_path_factory):
    path = tmp_path / "a.log"
    path.write_bytes(content)
    with pytest.raises(NoTimestampError, match="no line begins with a date and a time of day"):
        corrected(path, timeline_of("drift", tmp_path_factory))
    assert [each.name for each in tmp_path.iterdir()] == ["a.log"]


def test_parts_in_which_a_file_is_read_and_compression_change_nothing(
    tmp_path, tmp_path_factory, monkeypatch
):
    path, timeline = tmp_path / "a.log", timeline_of("back", tmp_path_factory)
    write_log(path, CLOCKS["back"], rate=4)
    corrected(path, timeline)
    outputs = output_of(path), unanswered_of(output_of(path)), sidecar_of(output_of(path))
    expected = [each.read_bytes() for each in outputs]
    monkeypatch.setattr("tidesync.sessions.correction.text_lines._BLOCK_BYTES", 60)
    corrected(path, timeline)
    assert [each.read_bytes() for each in outputs] == expected
    packed = tmp_path / "b.log.1.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    corrected(packed, timeline)
    assert output_of(packed).name == "b.topside.log.1.gz"
    assert gzip.decompress(output_of(packed).read_bytes()) == expected[0]
    assert gzip.decompress(unanswered_of(output_of(packed)).read_bytes()) == expected[1]
    assert sidecar_of(output_of(packed)).read_bytes() == expected[2]


def test_a_sensors_log_is_found_and_one_of_a_program_is_left(tmp_path, capsys):
    session = tmp_path / "session_1"
    write_session(session, CLOCKS["step"])
    (session / "in-water_7").mkdir()
    truth = write_log(session / "in-water_7" / "gps.log", CLOCKS["step"], rate=1)
    (session / "in-water_7" / "recorder.log").write_text("started\nstopped\n")
    for _ in range(2):
        assert run(["-q", "correct", str(session), "--sensor", "inWater=rov1", "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert [each["rows"] for each in document["files"]] == [len(truth)]
        assert ["recorder.log: no line begins" in each for each in document["left"]] == [True]
    names = sorted(path.name for path in (session / "in-water_7").iterdir())
    assert names == [
        "gps.log",
        "gps.log.topside.csv",
        "gps.topside.log",
        "gps.unanswered.log",
        "recorder.log",
    ]
    (session / "in-water_7" / "gps.log.topside.csv").write_text("mine\n")
    assert run(["-q", "correct", str(session), "--sensor", "inWater=rov1"]) == 1
    assert (session / "in-water_7" / "gps.log.topside.csv").read_text() == "mine\n"


def test_a_log_without_a_zone_is_not_said_to_have_columns(tmp_path, tmp_path_factory):
    path, timeline = tmp_path / "a.log", timeline_of("drift", tmp_path_factory)
    path.write_text("2020-05-01T12:00:00.125 $A\n2020-05-01T12:00:01.371 $A\n")
    with pytest.raises(UnusableFileError, match="it has times without a zone") as refused:
        corrected(path, timeline)
    assert "column" not in str(refused.value)


def test_a_surveyed_part_is_bounded(tmp_path, tmp_path_factory, monkeypatch):
    path, timeline = tmp_path / "a.log", timeline_of("drift", tmp_path_factory)
    truth = write_log(path, CLOCKS["drift"], rate=1)
    monkeypatch.setattr(log_file, "_SURVEYED", 20)
    assert corrected(path, timeline).corrected == len(truth)


class Killed(BaseException):
    """As SIGKILL between two renames."""


@pytest.mark.parametrize("renamed", range(3))
@pytest.mark.parametrize("suffix", [".nmea", ".tlog"])
def test_outputs_of_a_killed_run_are_known_to_be_ours(
    suffix, renamed, tmp_path, tmp_path_factory, monkeypatch
):
    path, timeline = tmp_path / f"dive{suffix}", timeline_of("back", tmp_path_factory)
    if suffix == ".tlog":
        write_tlog(path, CLOCKS["back"])
    else:
        write_log(path, CLOCKS["back"], iso, rate=3)
    done, rename = [], files._rename

    def renaming(new, path):
        if len(done) == renamed:
            raise Killed
        rename(new, path)
        done.append(path)

    monkeypatch.setattr(files, "_rename", renaming)
    with pytest.raises(Killed):
        corrected(path, timeline)
    monkeypatch.undo()
    assert len(done) == renamed
    assert corrected(path, timeline).corrected
    assert {path.name for path in done} <= {path.name for path in tmp_path.iterdir()}
    assert unanswered_of(output_of(path)).exists()
