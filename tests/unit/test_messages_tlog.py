"""Corrected .tlog files: no answered stamp outside its error, and the packets as they were recorded."""

import csv
import struct
from pathlib import Path

import numpy as np
import pytest

from tests.effort import tries
from tests.unit.recorded_clock import CLOCKS, timeline_of, write_session
from tests.unit.test_messages_mcap_damage import damaged
from tests.unit.tlog_files import packets, read_tlog, write_tlog
from tests.unit.tracks import START, S
from tidesync.command_line import run
from tidesync.sessions.correction.formats import output_of, sidecar_of, unanswered_of
from tidesync.sessions.correction.session import Options
from tidesync.sessions.correction.table import Job
from tidesync.sessions.errors import UnusableFileError
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.messages.driver import correct_messages
from tidesync.sessions.report.tables import stamps_of_tables


def corrected(path, timeline):
    return correct_messages(Job(path, "rov1"), timeline, lambda _: None)


def rows_of(path):
    with sidecar_of(output_of(path)).open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("name", CLOCKS)
def test_no_answered_stamp_is_outside_its_error_and_the_packets_are_as_they_were(
    name, tmp_path, tmp_path_factory
):
    path = tmp_path / "flight.tlog"
    truth = write_tlog(path, CLOCKS[name])
    original = path.read_bytes()
    result = corrected(path, timeline_of(name, tmp_path_factory))
    assert path.read_bytes() == original
    assert result.rows == len(truth)
    assert result.corrected > 0.9 * len(truth)
    before, after = read_tlog(path), read_tlog(output_of(path))
    assert len(before) == len(truth)
    rows = rows_of(path)
    assert len(rows) == len(truth)
    answered = [place for place, row in enumerate(rows) if row["time_state"] in {"ok", "holdover"}]
    assert [packet for _, packet in after] == [before[place][1] for place in answered]
    for place, (stamp_us, _) in zip(answered, after, strict=True):
        assert abs(stamp_us * 1000 - truth[place]) <= float(rows[place]["time_max_error_ms"]) * 1e6
        assert abs(stamp_us - int(rows[place]["timestamp_topside"])) < 4
    left = read_tlog(unanswered_of(output_of(path)))
    assert left == [each for place, each in enumerate(before) if place not in set(answered)]


def test_each_packet_is_named_by_its_sender_and_kind(tmp_path, tmp_path_factory):
    path = tmp_path / "flight.tlog"
    write_tlog(path, CLOCKS["drift"], seconds=10)
    corrected(path, timeline_of("drift", tmp_path_factory))
    found = {(row["system"], row["component"], row["message"]) for row in rows_of(path)}
    assert found == {(str(1 + each), str(each), kind) for each in range(3) for kind in ("2", "30", "253")}


def test_bits_of_the_link_are_kept_and_ticks_of_milliseconds_are_in_the_error(tmp_path, tmp_path_factory):
    path, timeline = tmp_path / "flight.tlog", timeline_of("drift", tmp_path_factory)
    truth = write_tlog(path, CLOCKS["drift"], seconds=60, link=2)
    assert corrected(path, timeline).max_error_ns < 1_000_000
    assert {us & 3 for us, _ in read_tlog(output_of(path))} == {2}
    errors = [float(row["time_max_error_ms"] or "inf") * 1e6 for row in rows_of(path)]
    kept = [place for place, error_ns in enumerate(errors) if error_ns < 1e9]
    for place, (us, _) in zip(kept, read_tlog(output_of(path)), strict=True):
        assert abs(us * 1000 - truth[place]) <= errors[place]
    write_tlog(path, CLOCKS["drift"], seconds=60, tick_us=1000)  # as QGroundControl
    assert corrected(path, timeline).max_error_ns > 1_000_000


def test_damage_costs_the_packets_it_hit_and_is_stated(tmp_path, tmp_path_factory):
    path, timeline = tmp_path / "flight.tlog", timeline_of("back", tmp_path_factory)
    truth = write_tlog(path, CLOCKS["back"], seconds=90, rate=10)
    whole, chance = path.read_bytes(), np.random.default_rng(4)
    bits = type("Chance", (), {"randrange": staticmethod(lambda *ends: int(chance.integers(*ends)))})
    for number in range(tries(12)):
        kind = ("cut", "flip", "zeros", "missing")[number % 4]
        path.write_bytes(damaged(whole, kind, bits))
        result = corrected(path, timeline)
        cut = path.stat().st_size / len(whole)
        assert len(truth) * cut - 120 <= result.rows <= len(truth)
        assert result.outcome.losses or kind == "flip" or result.rows >= len(truth) * cut - 1
        answered = [row for row in rows_of(path) if row["time_state"] == "ok"]
        known = {int(CLOCKS["back"].shows(at_ns)) // 1000: at_ns for at_ns in truth}
        for row in answered:
            if kind != "flip" or int(row["timestamp"]) in known:  # a flipped bit of a stamp cannot be seen
                error_ns = float(row["time_max_error_ms"]) * 1e6
                assert abs(int(row["timestamp_topside"]) * 1000 - known[int(row["timestamp"])]) <= error_ns


def test_a_file_without_its_last_bytes_loses_one_packet(tmp_path, tmp_path_factory):
    path = tmp_path / "flight.tlog"
    truth = write_tlog(path, CLOCKS["drift"], seconds=10)
    path.write_bytes(path.read_bytes()[:-3])
    result = corrected(path, timeline_of("drift", tmp_path_factory))
    assert result.rows == len(truth) - 1
    assert [each.reason for each in result.outcome.losses] == ["a packet is cut off"]


@pytest.mark.parametrize("content", [b"", b"timestamp,value\n1,2\n" * 50, bytes(5_000), b"\xfe" * 5_000])
def test_what_is_no_tlog_is_named_and_nothing_is_written(content, tmp_path, tmp_path_factory):
    path = tmp_path / "flight.tlog"
    path.write_bytes(content)
    with pytest.raises(UnusableFileError, match=r"it is no \.tlog"):
        corrected(path, timeline_of("drift", tmp_path_factory))
    assert [each.name for each in tmp_path.iterdir()] == ["flight.tlog"]


def test_records_are_found_across_the_parts_in_which_a_file_is_read(tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.setattr("tidesync.sessions.messages.mavlink_packets._PART", 2_000)
    path = tmp_path / "flight.tlog"
    truth = write_tlog(path, CLOCKS["drift"], seconds=30)
    result = corrected(path, timeline_of("drift", tmp_path_factory))
    assert (result.rows, result.outcome.losses) == (len(truth), [])
    assert [row["packet"] for row in rows_of(path)] == [str(1 + each) for each in range(len(truth))]


def test_whose_clock_it_is_has_to_be_stated(tmp_path, capsys):
    session = tmp_path / "session_1"
    write_session(session, CLOCKS["drift"])
    path = session / "flight.tlog"
    stamp = struct.pack(">Q", int(CLOCKS["drift"].shows(START + 5 * S)) // 1000)
    path.write_bytes(b"".join(stamp + packet for packet in packets(5)))
    assert run(["-q", "correct", str(session), "--file", str(path)]) == 2
    assert "say with --vehicle whose clock stamped it" in capsys.readouterr().err
    for _ in range(2):
        assert run(["-q", "correct", str(session), "--file", str(path), "--vehicle", "rov1"]) == 0
    names = [Path(each).name for each in sorted(map(str, session.iterdir()))]
    assert names == ["flight.tlog", "flight.tlog.topside.csv", "flight.topside.tlog", "time_sync"]
    (session / "flight.tlog.topside.csv").write_text("mine\n")
    assert run(["-q", "correct", str(session), "--file", str(path), "--vehicle", "rov1"]) == 1
    assert (session / "flight.tlog.topside.csv").read_text() == "mine\n"


def test_a_report_says_what_the_stamps_of_messages_resolve(tmp_path, tmp_path_factory):
    session = tmp_path / "session_1"
    write_session(session, CLOCKS["drift"])
    (session / "in-water_7").mkdir()
    write_tlog(session / "in-water_7" / "flight.tlog", CLOCKS["drift"], tick_us=1000)
    (session / "in-water_7" / "1.bin").write_bytes(b"\xa3\x95")
    spans = {"rov1": timeline_of("drift", tmp_path_factory).measured}
    found = stamps_of_tables(SessionFolder(session), spans, Options(sensors={"inWater": "rov1"}))
    assert [(each.path, each.resolution_ns) for each in found] == [("in-water_7/flight.tlog", 2_000_000)]
