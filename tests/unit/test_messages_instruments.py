"""Sea-Bird's .cnv and RBR's .rsk: no answered time outside its error, the files as they were."""

import csv
import random
import sqlite3
from fractions import Fraction

import pytest

from tests.effort import tries
from tests.unit.instrument_files import TIMES, corrected, timeline_with, write_cnv, write_rsk
from tests.unit.recorded_clock import CLOCKS, write_session
from tests.unit.test_messages_mcap_damage import KINDS, damaged
from tidesync.command_line import run
from tidesync.sessions.correction.formats import is_output, output_of
from tidesync.sessions.correction.stamps.options import StampOptions
from tidesync.sessions.errors import NoTimestampError, UnusableFileError

CAST = b"* cast   1  30 Apr 2026 08:00:00 samples 1 to 40, avg = 1\r\n"
WIDE = 10_000_000_000
"""An error that a start of a second keeps."""


def rows_of(path):
    with output_of(path).open(newline="") as stream:
        return list(csv.DictReader(stream))


def known(rows):
    return [(place, row) for place, row in enumerate(rows) if row["time_max_error_ms"]]


def check(rows, truth):
    """How many rows have an instant; none is outside its error."""
    found = known(rows)
    for place, row in found:
        off_ns = abs(int(row["timestamp_topside"]) * 1_000 - truth[place])
        assert off_ns <= float(row["time_max_error_ms"]) * 1e6, (place, off_ns, row)
    return len(found)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *((kind, "back") for kind in TIMES),
        *(("timeS", name) for name in CLOCKS),
        *(("timeJ", name) for name in CLOCKS),
        *(("timeY", name) for name in CLOCKS),
    ],
)
def test_no_scan_of_a_cnv_is_outside_its_error(kind, name, tmp_path):
    path = tmp_path / "cast.cnv"
    truth = write_cnv(path, CLOCKS[name], kind)
    original = path.read_bytes()
    result = corrected(path, timeline_with(path, name, tmp_path / "session"))
    assert path.read_bytes() == original
    assert result.output.name == "cast.cnv.topside.csv"
    assert (result.rows, result.malformed) == (len(truth), 0)
    rows = rows_of(path)
    assert check(rows, truth) >= 0.9 * len(truth)
    assert [row["scan"] for row in rows] == [str(1 + place) for place in range(len(truth))]
    lines = original.split(b"*END*")[1].split(b"\r\n")[1:]
    assert [row[kind] for row in rows] == [line.split()[1].decode() for line in lines if line]
    written = output_of(path).read_bytes()
    corrected(path, timeline_with(path, name, tmp_path / "session"))
    assert output_of(path).read_bytes() == written


def test_time_since_the_start_needs_the_start_alone(tmp_path):
    """The vehicle's clock is set back within the cast; the instrument's goes on."""
    path = tmp_path / "cast.cnv"
    truth = write_cnv(path, CLOCKS["back"], seconds=90)
    timeline = timeline_with(path, "back", tmp_path / "session")
    stated = StampOptions(zone="UTC", resolution_ms=1_000)
    result = corrected(path, timeline, stamps=stated, sample_clock_ppm=60)
    assert result.counts["outside"] == len(truth)  # by a second: with --max-error-ms they are answered
    errors = [float(row["time_max_error_ms"]) for row in rows_of(path)]
    assert 1_000 < errors[0] < errors[-1] < 1_200
    assert errors[-1] - errors[0] == pytest.approx(90 * 0.06, abs=0.5)
    assert result.remarks[-1].endswith("if its sample clock is within 60 ppm (--sample-clock-ppm)")
    assert "--max-error-ms" in result.form.hint


def test_a_sample_clock_that_is_stated_too_well_shows(tmp_path):
    path = tmp_path / "cast.cnv"
    truth = write_cnv(path, CLOCKS["drift"], ppm=20_000)
    corrected(path, timeline_with(path, "drift", tmp_path / "session"), sample_clock_ppm=0)
    with pytest.raises(AssertionError):
        check(rows_of(path), truth)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({b"[System UTC, header]": b"[NMEA time, header]"}, "which is time of GPS"),
        ({b"# start_time = May": b"# start_time = Mai"}, "has no timestamp .received 'Mai 01"),
        ({b"# start_time = May": b"# start_time ="}, "start_time: expected such as Nov"),
        ({b"# bad_flag =": b"# start_time = May 01 2026 12:07:00\r\n# bad_flag ="}, "contradict each other"),
        (
            {b"[System UTC, header]": b"[System UpLoad Time]", b"* FileName": CAST + b"* FileName"},
            "is when it was uploaded: its cast is of 30 Apr 2026 08:00:00",
        ),
        ({b"-9.990e-29": b"none"}, "bad_flag: expected a number, received 'none'"),
        ({b"# file_type = ascii": b"# file_type = binary"}, "its scans are binary"),
        ({b"skipover = 0": b"skipover = 24"}, "begin before 24 scans after its start"),
        ({b"# name 1 = timeS": b"# name 1 = timeQ"}, "timeQ is time of GPS"),
        ({b"# name 2 = flag": b"# name 3 = flag"}, "does not name each of its columns"),
        ({b"*END*\r\n": b""}, "its header does not end"),
        ({b"* Sea-Bird": b"Sea-Bird"}, "it is no .cnv: it begins with"),
    ],
)
def test_what_a_header_does_not_say_is_refused(change, reason, tmp_path):
    path = tmp_path / "cast.cnv"
    write_cnv(path, CLOCKS["drift"], seconds=10)
    content = path.read_bytes()
    for before, after in change.items():
        assert before in content
        content = content.replace(before, after)
    path.write_bytes(content)
    with pytest.raises((UnusableFileError, NoTimestampError), match=reason):
        corrected(path, timeline_with(path, "drift", tmp_path / "session"))
    assert not output_of(path).exists()


def test_a_start_that_is_not_in_the_measured_time_answers_no_scan(tmp_path):
    path = tmp_path / "cast.cnv"
    truth = write_cnv(path, CLOCKS["drift"], seconds=10)
    path.write_bytes(
        path.read_bytes().replace(b"start_time = May 01 2026 12", b"start_time = May 01 2026 19")
    )
    result = corrected(path, timeline_with(path, "drift", tmp_path / "session"))
    assert result.counts["outside"] == len(truth)
    assert result.remarks[-1] == "its start, May 01 2026 19:00:19, is outside"
    assert known(rows_of(path)) == []


def test_a_start_without_a_zone_is_local_until_it_is_stated(tmp_path):
    path = tmp_path / "cast.cnv"
    truth = write_cnv(path, CLOCKS["drift"], by="Instrument's time stamp")
    timeline = timeline_with(path, "drift", tmp_path / "session")
    with pytest.raises(UnusableFileError, match=r"states no zone, .*--zone"):
        corrected(path, timeline, zone=None)
    path.write_bytes(path.read_bytes().replace(b"May 01 2026 12:00", b"May 01 2026 14:00"))
    with pytest.raises(UnusableFileError, match="--zone"):
        corrected(path, timeline, zone=None)
    corrected(path, timeline, zone="+02:00")
    assert check(rows_of(path), truth) == len(truth)


def test_columns_without_a_space_between_are_read_by_their_width(tmp_path):
    path = tmp_path / "cast.cnv"
    truth = write_cnv(path, CLOCKS["drift"], seconds=30)
    head, _, scans = path.read_bytes().partition(b"*END*\r\n")
    lines = [line[:22] + b"-1234567.89" for line in scans.split(b"\r\n") if line]
    lines[4] = lines[4][:20]
    lines[7] = lines[7][:11] + b"-9.990e-29".rjust(11) + lines[7][22:]
    path.write_bytes(head + b"*END*\r\n" + b"\r\n".join(lines))
    result = corrected(path, timeline_with(path, "drift", tmp_path / "session"))
    assert [each.place for each in result.shown] == [5, 8]
    assert check(rows_of(path), truth) == len(truth) - 2


@pytest.mark.parametrize("stated", [b"-9.990e-29", b"-9.990e-029", None])
def test_a_bad_flag_is_a_number(stated, tmp_path):
    path = tmp_path / "cast.cnv"
    truth = write_cnv(path, CLOCKS["drift"], seconds=30)
    head, _, scans = path.read_bytes().partition(b"*END*\r\n")
    line = b"# bad_flag = -9.990e-29\r\n"
    head = head.replace(line, b"" if stated is None else line.replace(b"-9.990e-29", stated))
    lines = [line for line in scans.split(b"\r\n") if line]
    for row, text in ((3, b"-9.990e-29"), (4, b"-9.99e-29"), (5, b"-9.990e-029")):
        lines[row] = lines[row][:11] + text.rjust(11) + lines[row][22:]
    path.write_bytes(head + b"*END*\r\n" + b"\r\n".join(lines))
    result = corrected(path, timeline_with(path, "drift", tmp_path / "session"))
    assert [each.place for each in result.shown] == [4, 5, 6]
    assert check(rows_of(path), truth) == len(truth) - 3


@pytest.mark.parametrize("cast", [b"", b"01 May 2026 {}", b"05/01 {}"])
def test_a_start_at_an_upload_is_taken_where_no_cast_is_against_it(cast, tmp_path):
    path = tmp_path / "cast.cnv"
    truth = write_cnv(path, CLOCKS["drift"], by="System UpLoad Time")
    content = path.read_bytes()
    time = content.partition(b"# start_time = May 01 2026 ")[2][:8]
    line = b"* cast 1 " + cast.replace(b"{}", time) + b" samples 1 to 40\r\n* FileName"
    path.write_bytes(content.replace(b"* FileName", line) if cast else content)
    result = corrected(path, timeline_with(path, "drift", tmp_path / "session"))
    assert "(System UpLoad Time, header)" in result.remarks[-1]
    assert check(rows_of(path), truth) == len(truth)


def test_damage_of_a_cnv_is_contained(tmp_path):
    path = tmp_path / "cast.cnv"
    truth = write_cnv(path, CLOCKS["back"], "timeS", seconds=40)
    timeline = timeline_with(path, "back", tmp_path / "session")
    by_text = {TIMES["timeS"](number * 10**9 // 4, 0): at for number, at in enumerate(truth)}
    whole, chance = path.read_bytes(), random.Random(7)
    for number in range(tries(12)):
        path.write_bytes(content := damaged(whole, KINDS[number % len(KINDS)], chance))
        head = content.partition(b"*END*")[0]
        try:
            corrected(path, timeline)
        except (UnusableFileError, NoTimestampError):
            continue
        if head != whole.partition(b"*END*")[0]:
            continue  # another start is another start
        for _, row in known(rows_of(path)):
            if row["timeS"] in by_text:  # a digit that became another one cannot be seen
                off_ns = abs(int(row["timestamp_topside"]) * 1_000 - by_text[row["timeS"]])
                assert off_ns <= float(row["time_max_error_ms"]) * 1e6


@pytest.mark.parametrize("name", CLOCKS)
def test_no_sample_of_an_rsk_is_outside_its_error(name, tmp_path):
    path = tmp_path / "logger.rsk"
    truth = write_rsk(path, CLOCKS[name])
    original = path.read_bytes()
    result = corrected(path, timeline_with(path, name, tmp_path / "session"))
    assert path.read_bytes() == original
    assert (result.rows, result.malformed) == (len(truth), 0)
    rows = rows_of(path)
    assert check(rows, truth) > 0.85 * len(truth)
    with sqlite3.connect(path) as database:
        assert [int(row["tstamp"]) for row in rows] == [
            at for (at,) in database.execute("SELECT tstamp FROM data ORDER BY rowid")
        ]
    assert result.max_error_ns < 4_000_000


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "it is no .rsk: it is empty"), (b"tstamp,x\n1,2\n", "it is no .rsk: it begins with")],
)
def test_what_is_no_rsk_is_named(content, reason, tmp_path):
    path = tmp_path / "logger.rsk"
    path.write_bytes(content)
    with pytest.raises(UnusableFileError, match=reason):
        corrected(path, timeline_with(path, "drift", tmp_path / "session"))


def test_an_rsk_that_was_only_downloaded_is_left(tmp_path):
    path = tmp_path / "logger.rsk"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE downloads (data BLOB)")
    with pytest.raises(NoTimestampError, match="Ruskin makes it"):
        corrected(path, timeline_with(path, "drift", tmp_path / "session"))


def test_damage_of_an_rsk_is_contained(tmp_path):
    path = tmp_path / "logger.rsk"
    truth = write_rsk(path, CLOCKS["drift"], seconds=60)
    timeline = timeline_with(path, "drift", tmp_path / "session")
    by_ms = {int(CLOCKS["drift"].shows(at)) // 1_000_000: at for at in truth}
    whole, chance = path.read_bytes(), random.Random(8)
    for number in range(tries(12)):
        path.write_bytes(damaged(whole, KINDS[number % len(KINDS)], chance))
        try:
            corrected(path, timeline)
        except (UnusableFileError, NoTimestampError):
            continue
        for _, row in known(rows_of(path)):
            if int(row["tstamp"]) in by_ms:
                off_ns = abs(int(row["timestamp_topside"]) * 1_000 - by_ms[int(row["tstamp"])])
                assert off_ns <= float(row["time_max_error_ms"]) * 1e6


def test_both_are_corrected_where_they_lie_once_their_clock_is_stated(tmp_path, capsys):
    session = tmp_path / "session_1"
    write_session(session, CLOCKS["back"])
    folder = session / "in-water_7"
    folder.mkdir()
    cast, logger = folder / "cast.cnv", folder / "logger.rsk"
    scans, samples = write_cnv(cast, CLOCKS["back"]), write_rsk(logger, CLOCKS["back"])
    table = folder / "session.csv"
    table.write_text("timestamp\n" + "".join(f"{CLOCKS['back'].shows(at) / 1e9:.6f}\n" for at in scans[:90]))
    command = ["-q", "correct", str(session), "--sensor", "inWater=rov1", "--zone", "UTC"]
    assert run(command) == 0
    assert capsys.readouterr().out.count("say with --instrument-clock") == 2
    assert not output_of(cast).exists()
    own = [*command, "--instrument-clock", "vehicle", "--max-error-ms", "1200"]
    assert run(own) == 0
    assert f"cast.cnv.topside.csv: {len(scans)} messages of rov1: {len(scans)} ok" in capsys.readouterr().out
    assert check(rows_of(cast), scans) == len(scans)
    assert check(rows_of(logger), samples) > 0.9 * len(samples)
    assert is_output(output_of(cast))
    assert is_output(output_of(logger))
    assert run(own) == 0
    output_of(cast).write_text("mine\n")
    assert run(own) == 1
    assert output_of(cast).read_text() == "mine\n"
    shown = ["--instrument-clock", "topside-1.2±0.5", "--max-error-ms", "1800"]
    output_of(cast).unlink()
    assert run([*command, *shown]) == 0
    assert check(rows_of(cast), scans) == len(scans)
    apart = [Fraction(row["timestamp"]) - Fraction(row["timestamp_topside"]) for row in rows_of(table)]
    assert {round(each, 2) for each in apart} == {Fraction("-1.2")}  # the vehicle's: it was not meant
    assert run([*command, *shown, "--file", str(table)]) == 0
    assert float(rows_of(table)[0]["time_max_error_ms"]) > 500


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("", "session.topside.csv: 90 rows of rov1: 90 ok; max error 0."),
        ('[correct."in-water_7/session.csv"]\ncolumn = "timestamp"', "90 ok; max error 0."),
        (
            '[correct."in-water_7/session.csv"]\ninstrument_clock = "vehicle+0±0.1"',
            "90 ok; max error 100.",
        ),
        ('[correct]\ninstrument_clock = "vehicle+0±0.1"', "90 ok; max error 0."),
    ],
)
def test_a_table_of_the_vehicles_is_of_another_clock_only_where_it_is_named(
    settings, expected, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    session = tmp_path / "session_1"
    write_session(session, CLOCKS["drift"])
    (session / "in-water_7").mkdir()
    scans = write_cnv(tmp_path / "cast.cnv", CLOCKS["drift"])
    stamps = "".join(f"{CLOCKS['drift'].shows(at) / 1e9:.6f}\n" for at in scans[:90])
    (session / "in-water_7" / "session.csv").write_text(f"timestamp\n{stamps}")
    (tmp_path / "tidesync.toml").write_text(settings, encoding="utf-8")
    command = ["-q", "correct", str(session), "--sensor", "inWater=rov1", "--max-error-ms", "500"]
    own = [] if "[correct]" in settings else ["--instrument-clock", "topside-60±0.2"]
    assert run([*command, *own]) == 0
    assert expected in capsys.readouterr().out
