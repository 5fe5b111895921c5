"""`tidesync correct --dry-run`: it says what a run would do, and writes nothing."""

import json
import shutil

import pytest

from tests.unit.test_correction_session import TABLE, correct, outputs, session
from tidesync.command_line import run

__all__ = ["session"]

WATER = ("--sensor", "inWater=rov1")


def tree(folder):
    """Every name below a folder, with its content and when it was changed."""
    return {
        path: (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in [folder, *folder.rglob("*")]
    }


def document(capsys):
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("more", [(), ("--jobs", "1"), ("--output", "{}/elsewhere")])
def test_it_writes_nothing_and_names_what_the_run_then_writes(session, more, capsys):
    folder = session / "in-water_7"
    (folder / "when.tsv").write_text(TABLE.replace("timestamp,", "timestamp\t").replace(",1\n", "\t1\n"))
    (folder / "log.nmea").write_text("2026-05-01T12:00:01.5Z $GPGGA\n2026-05-01T12:00:02.5Z $GPGGA\n")
    (folder / "plain.csv").write_text("depth\n1\n")
    options = (*WATER, "--json", *(each.format(session.parent / f"{session.name}-out") for each in more))
    before = tree(session.parent)
    assert correct(session, *options, "--dry-run") == 0
    assert tree(session.parent) == before
    planned = document(capsys)
    assert planned["dry_run"] is True
    assert {each["action"] for each in planned["files"]} == {"planned"}
    assert {each["rows"] for each in planned["files"]} == {None}
    assert correct(session, *options) == 0
    done = document(capsys)
    for key in ("left", "failed", "skipped"):
        assert planned[key] == done[key]
    decided = ("path", "format", "columns", "sensor", "vehicle", "why", "output")
    rows = [[{name: row[name] for name in decided} for row in each["found"]] for each in (planned, done)]
    assert rows[0] == rows[1]
    written = [each["output"] for each in planned["files"]]
    assert len(written) == 3
    assert all((session / output).is_file() for output in written)


def test_it_fails_where_the_run_would(session, capsys):
    (session / "in-water_7" / "session.topside.csv").write_text("mine\n")
    before = tree(session)
    assert correct(session, *WATER, "--dry-run") == 1
    assert "was not written by tidesync correct" in capsys.readouterr().out
    assert tree(session) == before


def test_it_says_what_was_done_before(session, capsys):
    assert correct(session, *WATER, "--again") == 0
    capsys.readouterr()
    before = tree(session)
    assert correct(session, *WATER, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "to be corrected" in shown or "corrected before" in shown
    assert tree(session) == before


def test_an_archive_is_not_written_either(session, capsys):
    dives = session / "dives"
    shutil.copytree(session, dives / "reef-42" / "session_1", ignore=shutil.ignore_patterns("dives"))
    before = tree(session)
    assert run(["-q", "correct", str(dives), *WATER, "--dry-run", "--json"]) == 0
    (made,) = document(capsys)["sessions"]
    assert [each["action"] for each in made["files"]] == ["planned"]
    assert tree(session) == before
    assert outputs(session) == []
