"""`tidesync correct --for-cockpit`: the consumer's own arithmetic pairs every row at the true time."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from schemas.compat import from_iso
from tests.unit.fused_sessions import TOPSIDE, make_session, pi, true_ns, write_metadata, write_table
from tests.unit.tracks import S
from tidesync.command_line import run

HEADER = "timestamp,sensor_id,mode,value,TempC,Vin"
WATER_S = np.arange(5, 115, 0.25)
SURFACE_S = WATER_S + 0.0071
WITHIN_MS = 50
CLOCKS = {
    "drift": pi(),
    "slew": pi(slews=[(30, 90, 450)]),
    "step": pi(steps=[(60.03, 3.0)]),
    "step back": pi(steps=[(60.03, -3.0)]),
    "steps and a slew": pi(steps=[(30.03, -7.0), (80.03, 2.5)], slews=[(50, 60, -400)]),
}


def fields(at):
    return f"A1,freerun,{at:.4f},20.5,12.1"


def session_of(folder, clock, **metadata):
    for name, (stamping, at_s) in {
        "in-water_1": (clock, WATER_S),
        "surface_1": (TOPSIDE, SURFACE_S),
    }.items():
        write_table(folder / name / "session.csv", stamping, at_s, fields, HEADER)
    entries = {
        sensor: {"directory": str(folder / name), "sessionCsv": str(folder / name / "session.csv")}
        for sensor, name in (("inWater", "in-water_1"), ("surface", "surface_1"))
    }
    entry = {"method": "mqtt_exchange_v1", "offsetMs": -1200.0, "uncertaintyMs": 0.4, "measuredAt": "x"}
    document = {
        "schemaVersion": 1,
        "mission": "reef-42",
        "unifiedSessionTimestamp": "2026-05-01T12-00-00Z",
        "sensors": entries,
        "fusion": {"status": "complete", "rows": 194},
        "timeSync": {
            "inWater": entry,
            "surface": None,
            "markers": [{"id": 1}],
            "driftModel": {"type": "linear"},
        },
    }
    write_metadata(folder, document | metadata)
    return make_session(folder, clock, {})


def fuse_session_data(folder):
    """The consumer's: column 0 of each sensor's `sessionCsv`, less one constant `offsetMs`, in whole ms.

    For each in-water row the nearest surface row within 50 ms, else the latest one before. Returns for each
    (its time in ms, the surface row's time, and both rows' values).
    """
    document = json.loads((folder / "sync_metadata.json").read_text())
    read = {}
    for sensor in ("inWater", "surface"):
        offset_ms = (document["timeSync"][sensor] or {}).get("offsetMs") or 0
        with Path(document["sensors"][sensor]["sessionCsv"]).open(newline="") as file:
            rows = list(csv.reader(file))[1:]
        read[sensor] = [(from_iso(row[0]).timestamp() * 1e3 - offset_ms, row[3]) for row in rows]
    surface = np.array([at for at, _ in read["surface"]])
    found = []
    for at, value in read["inWater"]:
        apart = np.abs(surface - at)
        index = int(apart.argmin())
        if apart[index] > WITHIN_MS:
            before = np.flatnonzero(surface <= at)
            index = int(before[-1]) if before.size else -1
        if index >= 0:
            found.append((at, surface[index], float(value), float(read["surface"][index][1])))
    return np.array(found)


def wrong_pairs(found):
    """How many in-water rows have not the surface row of 7.1 ms later."""
    return int((np.abs(found[:, 3] - found[:, 2] - 0.0071) > 1e-3).sum())


def for_cockpit(session, *options, code=0):
    target = session.parent / f"{session.name}-cockpit"
    assert run(["-q", "correct", str(session), "--for-cockpit", str(target), *options]) == code
    return target


@pytest.fixture
def session(tmp_path):
    return session_of(tmp_path / "session_1", CLOCKS["step"])


@pytest.mark.parametrize("name", CLOCKS)
def test_every_row_is_paired_at_its_true_time_across_steps_and_drift(name, tmp_path):
    session = session_of(tmp_path / "session_1", CLOCKS[name])
    target = for_cockpit(session)
    found = fuse_session_data(target)
    assert wrong_pairs(found) == 0
    document = json.loads((target / "sync_metadata.json").read_text())
    entry = document["timeSync"]["inWater"]
    true_ms = np.array([true_ns([at])[0] / 1e6 for at in found[:, 2]])
    assert np.abs(found[:, 0] - true_ms).max() <= entry["uncertaintyMs"] + 0.001
    assert (entry["offsetMs"], entry["error"]) == (0, None)
    steps = len(CLOCKS[name].steps)
    assert len(found) >= WATER_S.size - 6 * steps
    if steps:
        assert wrong_pairs(fuse_session_data(session)) > 100


def test_nothing_leads_back_to_the_originals_and_they_are_untouched(session):
    before = {path: path.read_bytes() for path in session.rglob("*") if path.is_file()}
    target = for_cockpit(session)
    assert {path: path.read_bytes() for path in session.rglob("*") if path.is_file()} == before
    document = json.loads((target / "sync_metadata.json").read_text())
    assert str(session) + "/" not in json.dumps(document)
    assert document["sensors"]["inWater"]["sessionCsv"] == str(target / "in-water_1" / "session.csv")
    assert "fusion" not in document
    assert (document["timeSync"]["markers"], document["timeSync"]["driftModel"]) == ([], None)
    assert document["timeSync"]["surface"] is None
    assert document["mission"] == "reef-42"
    surface = target / "surface_1" / "session.csv"
    assert surface.read_bytes() == (session / "surface_1" / "session.csv").read_bytes()


@pytest.mark.parametrize(
    ("directory", "table"),
    [
        ("C:\\dives\\session_1\\in-water_1", "C:\\dives\\session_1\\in-water_1\\session.csv"),
        ("in-water_1", "in-water_1/session.csv"),
        ("reef-42/session_1/in-water_1", "session.csv"),
        (None, None),
    ],
)
def test_paths_of_any_form_lead_to_the_new_tables(tmp_path, directory, table):
    sensors = {"inWater": {"directory": directory, "sessionCsv": table, "bytesMirrored": 7}, "surface": None}
    target = for_cockpit(session_of(tmp_path / "session_1", CLOCKS["drift"], sensors=sensors))
    found = json.loads((target / "sync_metadata.json").read_text())["sensors"]
    assert found["inWater"]["directory"] == str(target / "in-water_1")
    assert found["inWater"]["sessionCsv"] == str(target / "in-water_1" / "session.csv")
    assert found["inWater"]["bytesMirrored"] == 7
    assert wrong_pairs(fuse_session_data(target)) == 0


def test_correct_and_fuse_refuse_a_corrected_session(session, capsys):
    target = for_cockpit(session)
    (target / "time_sync").mkdir()
    exchanges = (session / "time_sync" / "exchanges.jsonl").read_bytes()
    (target / "time_sync" / "exchanges.jsonl").write_bytes(exchanges)
    block = json.loads((target / "sync_metadata.json").read_text())["timeSync"]["tidesync"]
    assert block["corrected"] is True
    assert run(["-q", "correct", str(target)]) == 1
    assert run(["-q", "fuse", str(target), "--every", "1s", "--out", str(target / "f.csv")]) == 1
    assert run(["-q", "correct", str(target), "--for-cockpit", str(session.parent / "again")]) == 1
    assert capsys.readouterr().err.count("its tables have topside's times already") == 3
    assert not (session.parent / "again").exists()


def listed(target):
    path = target / "unanswered.csv"
    return list(csv.DictReader(path.open(newline=""))) if path.exists() else []


def test_rows_without_an_answer_are_left_out_counted_and_listed(session, capsys):
    path = session / "in-water_1" / "session.csv"
    lines = path.read_text().splitlines()
    lines[3] = "yesterday" + lines[3][lines[3].index(",") :]
    lines[9] = "2020-01-01T00:00:00.000123Z" + lines[9][lines[9].index(",") :]
    path.write_text("\n".join(lines) + "\n")
    target = for_cockpit(session, "--json")
    document = json.loads(capsys.readouterr().out)
    water = next(each for each in document["files"] if each["vehicle"] == "rov1")
    rows = listed(target)
    assert [(row["line"], row["reason"]) for row in rows if row["reason"] != "ambiguous"] == [
        ("4", "malformed"),
        ("10", "outside"),
    ]
    assert len(rows) == document["unanswered_rows"] == water["ambiguous"] + 2
    for row in rows:
        assert row["file"] == "in-water_1/session.csv"
        assert lines[int(row["line"]) - 1].startswith(row["timestamp"])
    kept = (target / "in-water_1" / "session.csv").read_text().splitlines()
    assert len(kept) == len(lines) - len(rows)
    left = {int(row["line"]) for row in rows}
    originals = [line for number, line in enumerate(lines, 1) if number not in left]
    assert [line.partition(",")[2] for line in kept] == [line.partition(",")[2] for line in originals]


def test_sync_markers_are_left_out_for_they_would_bring_another_offset(session, capsys):
    path = session / "in-water_1" / "session.csv"
    lines = path.read_text().splitlines()
    for number, mode in ((7, "SYNC_START"), (400, "SYNC_STOP")):
        lines[number] = lines[number].replace("freerun", mode)
    path.write_text("\n".join(lines) + "\n")
    target = for_cockpit(session, "--json")
    document = json.loads(capsys.readouterr().out)
    assert [each["markers"] for each in document["files"] if each["vehicle"]] == [2]
    assert [row["line"] for row in listed(target) if row["reason"] == "marker"] == ["8", "401"]
    assert b"SYNC_ST" not in (target / "in-water_1" / "session.csv").read_bytes()


def test_a_time_that_is_not_in_the_first_column_gets_there(session):
    path = session / "in-water_1" / "session.csv"
    header, *rows = path.read_text().splitlines()
    moved = [f'"a, b";{row.replace(",", ";")}' for row in rows]
    path.write_text("\ufeffnote;" + header.replace(",", ";") + "\r\n" + "\r\n".join(moved) + "\r\n")
    target = for_cockpit(session)
    content = (target / "in-water_1" / "session.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbftimestamp_topside;note;timestamp;")
    first = content.decode("utf-8-sig").split("\r\n")[1]
    assert abs(from_iso(first.split(";")[0]).timestamp() - true_ns([5])[0] / S) < 0.001
    assert first.partition(";")[2] == moved[0]


def test_times_of_another_form_are_written_as_the_consumer_reads_them(session):
    path = session / "in-water_1" / "session.csv"
    header, *rows = path.read_text().splitlines()
    numbers = [f'"{from_iso(row.split(",")[0]).timestamp():.6f}",{row.partition(",")[2]}' for row in rows]
    path.write_text("\n".join([header, *numbers]) + "\n")
    target = for_cockpit(session)
    assert wrong_pairs(fuse_session_data(target)) == 0


def test_a_session_without_metadata_is_made_one_with(tmp_path):
    session = session_of(tmp_path / "session_1", CLOCKS["step back"])
    (session / "sync_metadata.json").unlink()
    target = for_cockpit(session)
    assert wrong_pairs(fuse_session_data(target)) == 0
    document = json.loads((target / "sync_metadata.json").read_text())
    assert document["unifiedSessionTimestamp"] == "1"


@pytest.mark.parametrize("where", ["inside", "above", "taken"])
def test_the_folder_is_new_and_apart_from_the_session(session, where, capsys):
    target = {
        "inside": session / "cockpit",
        "above": session.parent,
        "taken": session.parent / "taken",
    }[where]
    if where == "taken":
        target.mkdir()
        (target / "mine.txt").write_text("mine")
    assert run(["-q", "correct", str(session), "--for-cockpit", str(target)]) == 2
    assert f"--for-cockpit {target}: expected a folder" in capsys.readouterr().err
    assert not (session / "cockpit").exists()


def test_a_failure_leaves_nothing_there(session):
    (session / "time_sync" / "exchanges.jsonl").write_text("")
    target = for_cockpit(session, code=1)
    assert not target.exists()
    assert sorted(path.name for path in session.parent.iterdir()) == [session.name]


def test_a_sensor_without_any_answer_is_a_failure_and_the_session_is_written(session, capsys):
    write_table(session / "in-water_1" / "session.csv", TOPSIDE, WATER_S + 1e6, fields, HEADER)
    target = for_cockpit(session, code=1)
    assert "inWater: no row could be corrected" in capsys.readouterr().err
    assert len(listed(target)) == WATER_S.size


def test_a_table_of_a_vehicle_that_is_not_known_does_not_pass_as_corrected(session, capsys):
    write_table(session / "camera_1" / "log.csv", CLOCKS["step"], WATER_S, fields, HEADER)
    document = json.loads((session / "sync_metadata.json").read_text())
    document["sensors"]["camera"] = {"directory": str(session / "camera_1")}
    write_metadata(session, document)
    target = for_cockpit(session)
    assert not (target / "camera_1").exists()
    assert "camera: no vehicle is known for it" in capsys.readouterr().out
    assert json.loads((target / "sync_metadata.json").read_text())["sensors"]["camera"] is None


def test_it_is_for_cockpit_or_to_another_folder(session, tmp_path):
    assert (
        run(["correct", str(session), "--for-cockpit", str(tmp_path / "a"), "--output", str(tmp_path)]) == 2
    )
