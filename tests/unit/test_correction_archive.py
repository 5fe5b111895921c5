"""`tidesync correct ROOT/*`: an archive of sessions, each corrected whatever becomes of the others."""

import json
import os
import shutil

import pytest

from tests.unit.test_correction_session import TABLE, session, write_metadata
from tidesync.command_line import run

__all__ = ["session"]

OLD_NS = 1_700_000_000_123_456_789
OPTIONS = ("--sensor", "inWater=rov1", "--jobs", "1")


@pytest.fixture
def dives(session, tmp_path_factory):
    """Two missions, one of them with two sessions."""
    root = tmp_path_factory.mktemp("archive")
    for place in ("reef 42/session_1", "reef 42/session_2", "wreck/session_1"):
        shutil.copytree(session, root / place)
    for path in root.rglob("*.csv"):
        os.utime(path, ns=(OLD_NS, OLD_NS))
    return root


def correct(*arguments):
    return run(["-q", "correct", *map(str, arguments), *OPTIONS])


def document(capsys):
    return json.loads(capsys.readouterr().out)


def outputs(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*.topside.*"))


ALL = [
    f"{place}/in-water_7/session.topside.csv"
    for place in ("reef 42/session_1", "reef 42/session_2", "wreck/session_1")
]


@pytest.mark.parametrize("named", ["*", "", "*/*", "twice"])
def test_sessions_are_found_in_what_is_named_each_once(dives, named, capsys):
    paths = {"": [dives], "twice": [dives, *dives.glob("*/*")]}.get(named) or sorted(dives.glob(named))
    assert correct(*paths, "--json") == 0
    assert outputs(dives) == ALL
    made = document(capsys)
    assert [each["state"] for each in made["sessions"]] == ["done"] * 3
    assert made["left"] == []


def test_the_worst_error_of_a_session_is_not_shown_smaller_than_it_is(dives, capsys):
    assert correct(dives, "--json") == 0
    errors = [each["files"][0]["max_error_ms"] for each in document(capsys)["sessions"]]
    assert correct(dives) == 0
    rows = capsys.readouterr().out.partition("MAX ERROR MS")[2].splitlines()[1:4]
    assert all(0 <= float(row.split()[-1]) - error < 0.001 for row, error in zip(rows, errors, strict=True))


def test_a_second_run_does_nothing_and_an_interrupted_one_goes_on(dives, capsys):
    assert correct(dives, "--json") == 0
    capsys.readouterr()
    gone = dives / ALL[1]
    gone.unlink()
    before = {path: path.stat().st_mtime_ns for path in dives.rglob("*.topside.csv")}
    assert correct(dives, "--json") == 0
    actions = [each["files"][0]["action"] for each in document(capsys)["sessions"]]
    assert actions == ["unchanged", "corrected", "unchanged"]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert gone.is_file()


def test_a_session_that_fails_ends_no_other(dives, capsys):
    (dives / "reef 42" / "session_1" / "time_sync" / "exchanges.jsonl").write_bytes(b"rubbish\n")
    (dives / "wreck" / "session_1" / "in-water_7" / "session.csv").write_text(
        "timestamp\n2020-01-01T00:00:00Z\n"
    )
    assert correct(dives, "--json") == 1
    captured = capsys.readouterr()
    states = [each["state"] for each in json.loads(captured.out)["sessions"]]
    assert states == ["failed", "done", "failed"]
    assert "2 of 3 sessions have failures" in captured.err
    assert correct(dives) == 1
    shown = capsys.readouterr().out
    assert "it holds no exchange: nothing was measured" in shown
    assert "inWater: no row could be corrected" in shown


def test_what_is_no_session_is_named_and_is_no_failure(dives, capsys):
    (dives / "notes.txt").write_text("all well\n")
    (dives / "photos").mkdir()
    assert correct(*sorted(dives.iterdir())) == 0
    shown = capsys.readouterr().out
    assert "notes.txt: it is no folder; left as it is" in shown
    assert "photos: no session is in it; left as it is" in shown


def test_a_session_that_is_being_recorded_is_left_alone(dives, capsys):
    (dives / "reef 42" / "session_2" / "time_sync" / "recording.json").write_text("{}")
    assert correct(dives, "--json") == 0
    made = document(capsys)["sessions"][1]
    assert made["state"] == "left"
    assert "it is being recorded" in made["reason"]
    assert outputs(dives) == [ALL[0], ALL[2]]


def test_a_session_with_topsides_times_is_left_alone(dives, capsys):
    target = dives / "wreck" / "session_1"
    write_metadata(target, {"inWater": "rov1"})
    block = json.loads((target / "sync_metadata.json").read_text())
    block["timeSync"]["tidesync"]["corrected"] = True
    (target / "sync_metadata.json").write_text(json.dumps(block))
    assert correct(dives, "--json") == 0
    assert [each["state"] for each in document(capsys)["sessions"]] == ["done", "done", "left"]


def test_outputs_of_all_can_be_elsewhere(dives, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert correct(*sorted(dives.iterdir()), "--output", elsewhere) == 0
    assert outputs(elsewhere) == ALL
    assert outputs(dives) == []


def test_two_sessions_do_not_share_a_place(dives, tmp_path, capsys):
    named = [dives / "reef 42" / "session_1", dives / "wreck" / "session_1"]
    assert correct(*named, "--output", tmp_path / "out") == 2
    assert "would both be written to session_1" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--file", "{}"), "expected one SESSION, received an archive"),
        (("--for-cockpit", "{}.out"), "expected one SESSION"),
        (("--dask", "tcp://localhost:1"), "expected one of them"),
    ],
)
def test_what_cannot_be_asked_of_an_archive_is_wrong_usage(dives, more, sentence, capsys):
    (dives / "x.csv").write_text(TABLE)
    assert correct(dives, *(each.format(dives / "x.csv") for each in more)) == 2
    assert sentence in capsys.readouterr().err
    assert outputs(dives) == []


def test_a_folder_without_any_session_is_named(tmp_path, capsys):
    for named in ([tmp_path], [tmp_path, tmp_path]):
        assert correct(*named) == 1
        assert str(tmp_path) in capsys.readouterr().err
    assert correct(tmp_path / "absent", tmp_path) == 2


def test_an_output_that_stays_after_a_failure_is_named_as_an_earlier_one(dives, capsys):
    assert correct(dives / "wreck" / "session_1") == 0
    table = (dives / ALL[2]).with_name("session.csv")
    table.write_text("depth\n1.5\n")
    capsys.readouterr()
    correct(dives / "wreck" / "session_1")
    assert "session.topside.csv is of an earlier correction" in capsys.readouterr().out
