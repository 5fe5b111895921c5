"""One vehicle's internal fault is named, and every other vehicle is answered."""

import json

import pytest

from tests.unit.test_correction_session import TABLE, log
from tests.unit.test_session_folder import S
from tidesync.cli import estimate
from tidesync.command_line import run
from tidesync.sessions import folder
from tidesync.sessions.correction import one_job
from tidesync.sessions.errors import NothingMeasuredError
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.journal import lines_of
from topside_agent.estimator import smooth

FAULT = "rov2, measured by topside: no track, internal fault: ValueError at test_session_isolation.py"


def broken(exchanges, *settings):
    listed = list(exchanges)
    if any(each.vehicle == "rov2" for each in listed):
        raise ValueError("no square root")
    return smooth(listed, *settings)


@pytest.fixture
def session(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "smooth", broken)
    monkeypatch.setattr(estimate, "smooth", broken)
    for name in ("time_sync", "in-water_7", "other_7"):
        (tmp_path / name).mkdir()
    (tmp_path / "time_sync" / "exchanges.jsonl").write_bytes(lines_of(log() + log(vehicle="rov2")))
    for name in ("in-water_7", "other_7"):
        (tmp_path / name / "session.csv").write_text(TABLE)
    return tmp_path


def test_the_folder_has_the_tracks_of_the_others(session, caplog):
    measured = SessionFolder(session).measure()
    assert [*measured] == [("rov1", "topside")]
    assert FAULT in measured.complaints()[0]
    assert FAULT in caplog.text


def test_where_all_fail_that_is_what_is_said(session):
    (session / "time_sync" / "exchanges.jsonl").write_bytes(lines_of(log(vehicle="rov2")))
    with pytest.raises(NothingMeasuredError, match="rov2, measured by topside: no track, internal fault"):
        SessionFolder(session).measure()


def test_estimate_answers_the_others_and_ends_with_1(session, capsys):
    assert run(["estimate", str(session / "time_sync" / "exchanges.jsonl"), "--json"]) == 1
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert [each["vehicle"] for each in document["vehicles"]] == ["rov1"]
    assert FAULT in document["failed"][0]
    assert FAULT in shown.err


def test_estimate_names_a_vehicle_without_a_usable_exchange(session, capsys):
    backwards = [one.model_copy(update={"origin_ns": one.origin_ns + S}) for one in log(vehicle="rov3")]
    (session / "time_sync" / "exchanges.jsonl").write_bytes(lines_of(log() + backwards))
    assert run(["estimate", str(session / "time_sync" / "exchanges.jsonl")]) == 0
    assert "rov3, measured by topside: no usable exchange, 40 refused" in capsys.readouterr().err


def test_export_and_report_have_the_others_and_name_the_fault(session, capsys):
    assert run(["-q", "export", str(session), "--format", "csv"]) == 1
    assert FAULT in capsys.readouterr().err
    assert (session / "time_sync" / "track.csv").read_text().count("rov1") == 40
    assert run(["report", str(session)]) == 0
    assert FAULT in (session / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [["correct"], ["fuse", "--on", "inWater", "--out", "{}/fused.csv"]])
def test_tables_of_the_others_are_corrected(session, command, capsys):
    name, *options = (each.format(session) for each in command)
    sensors = ["--sensor", "inWater=rov1", "--sensor", "other=rov2"]
    assert run(["-q", name, str(session), *sensors, *options]) == 1
    assert "internal fault: ValueError" in capsys.readouterr().err
    made = session / ("fused.csv" if options else "in-water_7/session.topside.csv")
    assert made.read_text().count("\n") == 9


def test_one_table_that_fails_leaves_the_others(session, monkeypatch, capsys):
    def fail(job, *arguments, **options):
        if "other" in str(job.path):
            raise ArithmeticError("too much")
        return correct(job, *arguments, **options)

    correct = one_job.correct
    monkeypatch.setattr(one_job, "correct", fail)
    sensors = ["--sensor", "inWater=rov1", "--sensor", "other=rov1"]
    assert run(["-q", "correct", str(session), *sensors]) == 1
    shown = capsys.readouterr()
    assert "internal fault: ArithmeticError" in shown.out
    assert "in-water_7/session.topside.csv: 8 rows of rov1: 8 ok" in shown.out
