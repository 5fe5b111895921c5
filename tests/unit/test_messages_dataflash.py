"""Times of dataflash logs by a .tlog of the same dive: none outside its error, the log as it was."""

import csv
import random
import re

import numpy as np
import pytest
from pymavlink import DFReader

from tests.effort import tries
from tests.unit.dataflash_files import FORMATS, Autopilot, write_log, write_tlog_of
from tests.unit.moving_clocks import MovingClock, exchanges_of
from tests.unit.recorded_clock import CLOCKS, timeline_of, write_session
from tests.unit.test_messages_mcap_damage import damaged
from tests.unit.tracks import START, S
from tidesync.command_line import run
from tidesync.sessions.correction.formats import output_of
from tidesync.sessions.correction.prepared import prepare
from tidesync.sessions.correction.session import Options
from tidesync.sessions.correction.stamps.options import StampOptions
from tidesync.sessions.correction.table import Job
from tidesync.sessions.errors import NoTimestampError, UnusableFileError
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.messages.driver import correct_messages


def corrected(path, timeline, since="flight.tlog"):
    job = Job(path, "rov1", stamps=StampOptions(since=since))
    return correct_messages(job, timeline, lambda _: None)


def rows_of(path):
    with output_of(path).open(newline="") as stream:
        return list(csv.DictReader(stream))


def outside(rows, truth):
    """How many answered rows are wrong by more than their error; `truth` by TimeUS."""
    return sum(
        abs(int(row["timestamp_topside"]) * 1000 - truth[row["TimeUS"]])
        > float(row["time_max_error_ms"]) * 1e6
        for row in rows
        if row["time_state"] == "ok"
    )


def by_time(autopilot, truth):
    return {str(int(autopilot.boot_ns(at_ns)) // 1000): at_ns for at_ns in truth}


@pytest.mark.parametrize("timesync", [False, True])
@pytest.mark.parametrize("name", CLOCKS)
def test_no_answered_time_is_outside_its_error(name, timesync, tmp_path, tmp_path_factory):
    path, autopilot = tmp_path / "00000012.BIN", Autopilot()
    truth = write_log(path, autopilot)
    write_tlog_of(tmp_path / "flight.tlog", autopilot, CLOCKS[name], timesync=timesync)
    original = path.read_bytes()
    result = corrected(path, timeline_of(name, tmp_path_factory))
    assert path.read_bytes() == original
    assert result.output.name == "00000012.BIN.topside.csv"
    assert result.rows == len(truth)
    assert result.counts["ok"] > 0.75 * len(truth)
    rows = rows_of(path)
    assert outside(rows, by_time(autopilot, truth)) == 0
    bounded = timesync and name != "reboot"  # nothing bounds it while the recorder was off
    basis = (
        "bounded by TIMESYNC" if bounded else "if the fastest packets of any 10 s took no longer than 10 ms"
    )
    (note,) = result.outcome.notes
    assert basis in note
    if name == "drift":
        assert result.max_error_ns < (20 if timesync else 15) * 1_000_000
        assert -50 < float(note.split("drift ")[1].split(" ppm")[0]) < -20


def test_each_record_is_named_as_pymavlink_reads_it(tmp_path, tmp_path_factory):
    path, autopilot = tmp_path / "1.bin", Autopilot()
    write_log(path, autopilot, seconds=30)
    write_tlog_of(tmp_path / "flight.tlog", autopilot, CLOCKS["drift"], seconds=30)
    corrected(path, timeline_of("drift", tmp_path_factory))
    log, expected = DFReader.DFReader_binary(str(path)), []
    while (message := log.recv_msg()) is not None:
        if hasattr(message, "TimeUS"):
            expected.append((message.get_type(), str(message.TimeUS)))
    log.close()
    assert [(row["type"], row["TimeUS"]) for row in rows_of(path)] == expected
    data = path.read_bytes()
    assert {FORMATS[data[int(row["byte"]) + 2]][0] == row["type"] for row in rows_of(path)} == {True}


def test_a_tlog_of_topside_needs_no_vehicle_clock(tmp_path, tmp_path_factory):
    path, autopilot = tmp_path / "1.bin", Autopilot()
    truth = write_log(path, autopilot)

    class Topside:
        def shows(self, at_ns):
            return at_ns

        def off(self, _at_s):
            return False

    write_tlog_of(tmp_path / "flight.tlog", autopilot, Topside())
    result = corrected(path, timeline_of("back", tmp_path_factory), since="topside:flight.tlog")
    assert result.corrected == len(truth)
    assert outside(rows_of(path), by_time(autopilot, truth)) == 0


def test_the_start_is_chosen_by_its_attitudes_and_another_dive_is_refused(tmp_path, tmp_path_factory):
    path, autopilot, timeline = tmp_path / "1.bin", Autopilot(), timeline_of("drift", tmp_path_factory)
    truth = write_log(path, autopilot, seconds=60)
    write_tlog_of(tmp_path / "flight.tlog", autopilot, CLOCKS["drift"], seconds=60)
    other = Autopilot(booted_s=62.0, turn=1.7)
    write_tlog_of(tmp_path / "other.tlog", other, CLOCKS["drift"])
    with pytest.raises(UnusableFileError, match=r"nothing shows that .*other\.tlog is of the same start"):
        corrected(path, timeline, since="other.tlog")
    own, later = ((tmp_path / f"{name}.tlog").read_bytes() for name in ("flight", "other"))
    (tmp_path / "both.tlog").write_bytes(own + later)
    result = corrected(path, timeline, since="both.tlog")
    assert result.counts["ok"] > 0.9 * len(truth)
    assert outside(rows_of(path), by_time(autopilot, truth)) == 0


def test_of_two_vehicles_in_one_tlog_the_one_of_the_log_is_taken(tmp_path, tmp_path_factory):
    path, autopilot, timeline = tmp_path / "1.bin", Autopilot(), timeline_of("step", tmp_path_factory)
    truth = write_log(path, autopilot)
    other = Autopilot(booted_s=2.5, turn=0.7)
    write_tlog_of(tmp_path / "flight.tlog", autopilot, CLOCKS["step"])
    write_tlog_of(tmp_path / "other.tlog", other, CLOCKS["step"], system=2)
    with pytest.raises(UnusableFileError, match="nothing shows that"):
        corrected(path, timeline, since="other.tlog")
    both = [(tmp_path / f"{name}.tlog").read_bytes() for name in ("flight", "other")]
    (tmp_path / "both.tlog").write_bytes(b"".join(both))
    result = corrected(path, timeline, since="both.tlog")
    assert result.counts["ok"] > 0.75 * len(truth)
    assert outside(rows_of(path), by_time(autopilot, truth)) == 0


def test_a_log_of_two_starts_is_refused(tmp_path, tmp_path_factory):
    path, timeline = tmp_path / "1.bin", timeline_of("drift", tmp_path_factory)
    first, second = Autopilot(), Autopilot(booted_s=2.9, turn=1.4)
    write_tlog_of(tmp_path / "flight.tlog", first, CLOCKS["drift"], seconds=60)
    parts = []
    for autopilot, seconds in ((first, 30), (second, 120)):
        write_log(path, autopilot, seconds=seconds)
        parts.append(path.read_bytes())
    path.write_bytes(b"".join(parts))
    with pytest.raises(UnusableFileError, match=r"begin again near byte \d+: it is of two starts") as refused:
        corrected(path, timeline)
    assert abs(int(re.search(r"byte (\d+)", str(refused.value))[1]) - len(parts[0])) < 50 * 40
    assert not output_of(path).exists()
    # The second one's times go on where the first one's end: only its attitudes show it.
    write_log(path, Autopilot(booted_s=2.0, turn=1.4), seconds=60)
    later = path.read_bytes()
    path.write_bytes(parts[0] + later[later.index(b"a note", len(later) // 2) - 3 :])
    with pytest.raises(UnusableFileError, match="° in a part of them"):
        corrected(path, timeline)


def test_what_cannot_be_checked_is_refused(tmp_path, tmp_path_factory):
    path, timeline = tmp_path / "1.bin", timeline_of("drift", tmp_path_factory)
    still, later = Autopilot(turn=0.0), Autopilot(booted_s=-500.0)
    write_log(path, still)
    write_tlog_of(tmp_path / "flight.tlog", still, CLOCKS["drift"])
    with pytest.raises(UnusableFileError, match="the vehicle lay still"):
        corrected(path, timeline)
    write_log(path, later)
    write_tlog_of(tmp_path / "flight.tlog", Autopilot(), CLOCKS["drift"])
    with pytest.raises(UnusableFileError, match="0 at the same boot times, expected at least 20"):
        corrected(path, timeline)


@pytest.mark.parametrize("early_ms", [3, 9, 60, 5_000])
def test_one_stamp_that_is_too_early_moves_nothing(early_ms, tmp_path, tmp_path_factory):
    path, autopilot, timeline = tmp_path / "1.bin", Autopilot(), timeline_of("drift", tmp_path_factory)
    truth = write_log(path, autopilot)
    write_tlog_of(tmp_path / "flight.tlog", autopilot, CLOCKS["drift"], early={700: early_ms})
    result = corrected(path, timeline)
    assert result.counts["ok"] > (0.9 if early_ms < 1_000 else 0.5) * len(truth)
    assert outside(rows_of(path), by_time(autopilot, truth)) == 0


def test_what_it_needs_is_named(tmp_path, tmp_path_factory):
    path, timeline = tmp_path / "1.bin", timeline_of("drift", tmp_path_factory)
    write_log(path, Autopilot(), seconds=10)
    with pytest.raises(NoTimestampError, match=r"say with --since FILE\.tlog"):
        corrected(path, timeline, since=None)
    for since in ("none.tlog", "2026-05-01T12:00:00Z", "1.bin"):
        with pytest.raises(UnusableFileError, match=rf"--since {since}: expected a \.tlog"):
            corrected(path, timeline, since=since)
    for content, reason in ((b"", "it is empty"), (b"PNG", "it is no dataflash log")):
        path.write_bytes(content)
        with pytest.raises(NoTimestampError, match=reason):
            corrected(path, timeline)


def test_damage_costs_the_records_it_hit_and_is_stated(tmp_path, tmp_path_factory):
    path, autopilot, timeline = tmp_path / "1.bin", Autopilot(), timeline_of("drift", tmp_path_factory)
    truth = by_time(autopilot, write_log(path, autopilot, seconds=60))
    write_tlog_of(tmp_path / "flight.tlog", autopilot, CLOCKS["drift"], seconds=60)
    whole, chance = path.read_bytes(), random.Random(8)
    for number in range(tries(8)):
        kind = ("cut", "flip", "zeros", "missing")[number % 4]
        path.write_bytes(damaged(whole, kind, chance))
        if not path.read_bytes().startswith(b"\xa3\x95"):
            continue
        result = corrected(path, timeline)
        rows = rows_of(path)
        assert len(rows) == result.rows
        assert outside([row for row in rows if kind != "flip" or row["TimeUS"] in truth], truth) == 0
        assert result.outcome.losses or kind in {"flip", "cut"}


def test_the_command_leaves_other_files_of_that_suffix_in_a_sensors_folder(tmp_path, capsys):
    session = tmp_path / "session_1"
    write_session(session, CLOCKS["drift"])
    folder = session / "in-water_7"
    folder.mkdir()
    (folder / "firmware.bin").write_bytes(b"\x00\x01")
    write_log(folder / "1.BIN", Autopilot(), seconds=30)
    write_tlog_of(folder / "flight.tlog", Autopilot(), CLOCKS["drift"], seconds=30)
    assert run(["-q", "correct", str(session), "--sensor", "inWater=rov1"]) == 0
    out = capsys.readouterr().out
    assert re.search("firmware.bin +bin +left as it is +it is no dataflash log", out)
    assert re.search("1.BIN +bin +left as it is +its times are since boot", out)
    options = ["--file", str(folder / "1.BIN"), "--vehicle", "rov1", "--since", "flight.tlog"]
    for _ in range(2):
        assert run(["-q", "correct", str(session), *options]) == 0
    assert (folder / "1.BIN.topside.csv").exists()


def test_of_copies_of_a_request_the_first_one_counts(tmp_path, tmp_path_factory):
    path, autopilot, clock = tmp_path / "1.bin", Autopilot(), CLOCKS["drift"]
    truth = write_log(path, autopilot)
    write_tlog_of(tmp_path / "flight.tlog", autopilot, clock, timesync=True, copied_ns=20_000_000)
    result = corrected(path, timeline_of("drift", tmp_path_factory))
    assert "bounded by TIMESYNC" in result.outcome.notes[0]
    assert result.counts["ok"] > 0.9 * len(truth)
    assert outside(rows_of(path), by_time(autopilot, truth)) == 0


TOPSIDES = {
    "slewed": {"slews": [(60, 60.1, 80_000)]},
    "slewed_at_the_end": {"slews": [(109, 126, 80_000)]},
    "step": {"steps": [(60, 0.005)]},
    "back": {"steps": [(60, -0.005)]},
    "far": {"steps": [(60, 3.0)]},
    "far_back": {"steps": [(60, -3.0)]},
    "sleep": {"suspends": [(60, 5.0)]},
}


class _Shows:
    def __init__(self, clock):
        self.clock = clock

    def shows(self, at_ns):
        return self.clock.realtime_ns((np.asarray(at_ns) - START) / S)

    def off(self, at_s):
        return self.clock.asleep(at_s)


@pytest.mark.parametrize("by_topside", [True, False])
@pytest.mark.parametrize("name", TOPSIDES)
def test_what_is_done_to_topsides_own_clock_is_in_the_errors(name, by_topside, tmp_path):
    path, autopilot = tmp_path / "1.bin", Autopilot()
    topside, pi = MovingClock("topside", **TOPSIDES[name]), MovingClock("pi", offset_ns=-1_200_000_000)
    (tmp_path / "time_sync").mkdir()
    lines = (each.model_dump_json() + "\n" for each in exchanges_of(pi, topside, seconds=120))
    (tmp_path / "time_sync" / "exchanges.jsonl").write_text("".join(lines))
    truth = write_log(path, autopilot, rate=10)
    write_tlog_of(tmp_path / "flight.tlog", autopilot, _Shows(topside if by_topside else pi), rate=10)
    prepared = prepare(SessionFolder(tmp_path), Options(files=(path,), vehicle="rov1"))
    since = "topside:flight.tlog" if by_topside else "flight.tlog"
    result = corrected(path, prepared.timelines["rov1"], since)
    showed = _Shows(topside).shows(np.array(truth)).tolist()
    known = dict(zip(by_time(autopilot, truth), showed[::2], strict=True))
    assert outside(rows_of(path), known) == 0
    assert result.counts["ok"] > 0.8 * len(truth)
    assert "was not set or slewed" not in result.outcome.notes[0]
