"""The record of a session's correction: what was done is not done again, unless what it rests on changed."""

import json
import os
import random

import pytest

from tests.effort import tries
from tests.unit.test_correction_session import TABLE, correct, log, session
from tidesync.sessions.archive import record
from tidesync.sessions.correction import one_job
from tidesync.sessions.correction.stamps import zone_rules
from tidesync.sessions.folder import CORRECTED_FILES, CORRECTIONS
from tidesync.sessions.journal import lines_of

__all__ = ["session"]

WATER = ("--sensor", "inWater=rov1")
OLD_NS = 1_700_000_000_123_456_789


@pytest.fixture
def settled(session):
    """A session of two tables that nobody has changed lately."""
    (session / "in-water_7" / "b.csv").write_text(TABLE)
    for path in session.rglob("*.csv"):
        os.utime(path, ns=(OLD_NS, OLD_NS))
    return session


def actions(session, capsys, *options, code=0):
    assert correct(session, *WATER, "--json", *options) == code
    found = json.loads(capsys.readouterr().out)
    return {each["file"].rpartition("/")[2]: each["action"] for each in found["files"]}, found


def contents(session):
    paths = [path for path in session.rglob("*") if path.is_file() and path.name != CORRECTED_FILES]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


BOTH = ("b.csv", "session.csv")
CORRECTED, UNCHANGED = (dict.fromkeys(BOTH, action) for action in ("corrected", "unchanged"))


def test_a_second_run_writes_nothing_and_says_the_same(settled, capsys):
    assert actions(settled, capsys)[0] == CORRECTED
    written, first = contents(settled), actions(settled, capsys, "--again")[1]
    written = contents(settled)
    found, second = actions(settled, capsys)
    assert found == UNCHANGED
    assert contents(settled) == written
    without = [{**each, "action": ""} for each in second["files"]]
    assert without == [{**each, "action": ""} for each in first["files"]]
    assert actions(settled, capsys, "--again")[0] == CORRECTED


def edited(session):
    (session / "in-water_7" / "b.csv").write_text(TABLE + "2026-05-01T12:00:09.1Z,1\n")


def touched(session):
    os.utime(session / "in-water_7" / "b.csv", ns=(OLD_NS, OLD_NS + 1))


def output_gone(session):
    (session / "in-water_7" / "b.topside.csv").unlink()


def output_altered(session):
    output = session / "in-water_7" / "b.topside.csv"
    output.write_text(output.read_text().replace(",1,", ",2,"))


@pytest.mark.parametrize("change", [edited, touched, output_gone, output_altered])
def test_a_file_that_changed_is_done_again_and_the_other_is_not(settled, change, capsys):
    actions(settled, capsys)
    change(settled)
    assert actions(settled, capsys)[0] == {"b.csv": "corrected", "session.csv": "unchanged"}


def more_measured(session):
    (session / "time_sync" / "exchanges.jsonl").write_bytes(lines_of(log(count=44)))


def other_metadata(session):
    (session / "sync_metadata.json").write_text('{"schemaVersion": 1}')


def other_version(session):
    path = session / "time_sync" / CORRECTED_FILES
    path.write_text(path.read_text().replace('"basis":"', '"basis":"0'))


@pytest.mark.parametrize("change", [more_measured, other_metadata, other_version])
def test_what_all_rest_on_is_noticed(settled, change, capsys):
    actions(settled, capsys)
    change(settled)
    assert actions(settled, capsys)[0] == CORRECTED
    assert actions(settled, capsys)[0] == UNCHANGED


@pytest.mark.parametrize(
    "options",
    [("--max-error-ms", "20"), ("--resolution-ms", "0.1"), ("--zone", "UTC"), ("--rate-limit-ppm", "90")],
)
def test_other_settings_are_another_correction(settled, options, capsys):
    actions(settled, capsys)
    assert actions(settled, capsys, *options)[0] == CORRECTED
    assert actions(settled, capsys, *options)[0] == UNCHANGED


def test_the_version_is_part_of_it(settled, capsys, monkeypatch):
    actions(settled, capsys)
    monkeypatch.setattr(record, "VERSION", "9.9.9")
    assert actions(settled, capsys)[0] == CORRECTED


def test_the_code_is_part_of_it(settled, capsys, monkeypatch):
    actions(settled, capsys)
    monkeypatch.setattr(record, "code_sha256", lambda: "another")
    assert actions(settled, capsys)[0] == CORRECTED


@pytest.mark.parametrize("name", ["x" * 5_000, "a\0b", "../" * 2_000])
def test_a_path_that_no_file_can_have_is_forgotten(settled, name, capsys):
    actions(settled, capsys)
    path = settled / "time_sync" / CORRECTIONS
    path.write_text(path.read_text().replace("in-water_7/b.csv", json.dumps(name)[1:-1]))
    found = actions(settled, capsys)[1]
    assert found["forgotten"] == [name]
    assert found["failed"] == []


def test_the_versions_of_libraries_are_part_of_it(settled, capsys, monkeypatch):
    actions(settled, capsys)
    newer = {**record.versions(), "numpy": "99.9"}
    monkeypatch.setattr(record, "versions", lambda: newer)
    assert actions(settled, capsys)[0] == CORRECTED
    assert actions(settled, capsys)[0] == UNCHANGED


def test_the_rules_of_time_zones_are_part_of_it(settled, capsys, monkeypatch, tmp_path):
    (tmp_path / "tzdata.zi").write_text("# version 2099a")
    actions(settled, capsys)
    monkeypatch.setattr(zone_rules.zoneinfo, "TZPATH", (str(tmp_path),))
    zone_rules.rules_sha256.cache_clear()
    try:
        assert actions(settled, capsys)[0] == CORRECTED
        assert actions(settled, capsys)[0] == UNCHANGED
    finally:
        zone_rules.rules_sha256.cache_clear()


def test_rules_without_their_text_are_the_files_of_the_zones(monkeypatch, tmp_path):
    monkeypatch.setattr(zone_rules.zoneinfo, "TZPATH", (str(tmp_path), str(tmp_path / "absent")))
    (tmp_path / "Europe").mkdir()
    seen = set()
    for content in (b"", b"one", b"other one"):
        (tmp_path / "Europe" / "Berlin").write_bytes(content)
        seen.add(zone_rules.rules_sha256.__wrapped__())
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("outputs",), []),
        (("outputs",), {"b.csv": [1, 2, 3]}),
        (("inputs",), [1]),
        (("how",), 1),
        (("report",), None),
        (("report", "action"), "done"),
        (("report", "columns"), 7),
        (("report", "document"), {}),
        (("report", "document", "ok"), [1]),
        (("report", "document", "malformed_rows"), [1]),
        (("report", "document", "max_error_ms"), None),
    ],
)
def test_a_line_that_is_not_as_it_has_to_be_is_none(settled, place, value, capsys):
    actions(settled, capsys)
    path = settled / "time_sync" / CORRECTED_FILES
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    altered = next(each for each in lines if str(each.get("file")).endswith("b.csv"))
    *parents, last = place
    for key in parents:
        altered = altered[key]
    altered[last] = value
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    assert actions(settled, capsys)[0] == {"b.csv": "corrected", "session.csv": "unchanged"}


def test_a_file_that_was_changed_just_now_proves_nothing(settled, capsys, monkeypatch):
    path = settled / "in-water_7" / "b.csv"
    now_ns = path.stat().st_mtime_ns + 1_000_000
    monkeypatch.setattr("tidesync.sessions.archive.one_file.time.time_ns", lambda: now_ns)
    actions(settled, capsys)
    assert actions(settled, capsys)[0] == CORRECTED


def test_without_an_answer_it_is_the_same_failure(settled, capsys):
    for name in BOTH:
        path = settled / "in-water_7" / name
        path.write_text("timestamp,value\n2020-01-01T00:00:00Z,1\n2020-01-01T00:00:01Z,2\n")
        os.utime(path, ns=(OLD_NS, OLD_NS))
    assert correct(settled, *WATER) == 1
    first = capsys.readouterr().err
    assert correct(settled, *WATER) == 1
    assert "no row could be corrected" in first
    assert capsys.readouterr().err == first


def test_a_damaged_record_costs_work_and_nothing_else(settled, capsys):
    actions(settled, capsys)
    path = settled / "time_sync" / CORRECTED_FILES
    whole, right = path.read_bytes(), {name: each[0] for name, each in contents(settled).items()}
    chance = random.Random(1)
    for _ in range(tries(8)):
        damaged = bytearray(whole[: chance.randrange(len(whole) + 1)])
        for _ in range(chance.randrange(3)):
            if damaged:
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged)
        assert set(actions(settled, capsys)[0].values()) <= {"corrected", "unchanged"}
        assert {name: each[0] for name, each in contents(settled).items()} == right


def test_a_table_that_is_being_written_is_left_alone(settled, capsys, monkeypatch):
    path, reading = settled / "in-water_7" / "b.csv", one_job.correct

    def growing(job, timeline, progress, *arguments, **options):
        def grow(size):
            if job.path.name == "b.csv":
                with path.open("a") as more:
                    more.write("2026-05-01T12:00:09.1Z,1\n")
            progress(size)

        return reading(job, timeline, grow, *arguments, **options)

    monkeypatch.setattr(one_job, "correct", growing)
    found, document = actions(settled, capsys)
    assert found == {"session.csv": "corrected"}
    assert ["is it still being recorded?" in each for each in document["left"]] == [True]
    assert not (settled / "in-water_7" / "b.topside.csv").exists()
    monkeypatch.setattr(one_job, "correct", reading)
    assert actions(settled, capsys)[0] == {"b.csv": "corrected", "session.csv": "unchanged"}
