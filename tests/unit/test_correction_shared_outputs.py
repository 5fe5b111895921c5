"""Files that would write one output: none is written over another, and each is named with the way out."""

import json
import shutil
from pathlib import Path

import pytest

from tests.unit.test_correction_dry_run import tree
from tests.unit.test_correction_session import TABLE, correct, outputs, session

__all__ = ["session"]

WATER = ("--sensor", "inWater=rov1")
SESSION = "in-water_7/session.topside.csv"
LOG = "2026-05-01T12:00:01.5Z $GPGGA\n2026-05-01T12:00:02.5Z $GPGGA\n"
PAIRS = {
    ("x.log", "x.log.csv"): "x.log.topside.csv",
    ("X.log", "x.LOG.csv"): "log.topside.csv",
    ("when.csv", "when.CSV"): "when.topside.csv",
}


def write(folder, names):
    for name in names:
        (folder / name).write_text(LOG if name.endswith(".log") else TABLE)


@pytest.mark.parametrize("names", PAIRS)
@pytest.mark.parametrize("more", [(), ("--jobs", "2"), ("--dry-run",), ("--output", "{}-out")])
def test_both_are_left_and_named_and_the_rest_is_corrected(names, more, session, capsys):
    write(session / "in-water_7", names)
    options = [each.format(session) for each in more]
    assert correct(session, *WATER, *options, "--json") == 1
    made = json.loads(capsys.readouterr().out)
    why = {row["path"].rpartition("/")[2]: (row["why"], row["reason"]) for row in made["found"]}
    for name, other in (names, names[::-1]):
        assert why[name][0] == "same_output"
        assert f"/{other} would both write" in why[name][1]
        assert PAIRS[names] in why[name][1].lower()
        assert "rename one" in why[name][1]
    assert [row["action"] for row in made["files"] if row["file"].endswith("in-water_7/session.csv")] == [
        "planned" if "--dry-run" in more else "corrected"
    ]
    assert outputs(session) == ([] if more and more[0] in {"--dry-run", "--output"} else [SESSION])


def test_what_was_corrected_before_stays(session, capsys):
    folder = session / "in-water_7"
    write(folder, ["x.log"])
    assert correct(session, *WATER) == 0
    before = tree(folder)
    write(folder, ["x.log.csv"])
    for more in ((), (), ("--again",)):
        assert correct(session, *WATER, *more) == 1
        assert "it and " in capsys.readouterr().out
        assert {path: tree(folder)[path][1] for path in before} == {path: before[path][1] for path in before}
    (folder / "x.log.csv").rename(folder / "y.csv")
    assert correct(session, *WATER) == 0
    assert outputs(session) == sorted(
        [SESSION, *(f"in-water_7/{name}" for name in ("x.log.topside.csv", "x.topside.log", "y.topside.csv"))]
    )


def test_the_same_of_files_that_are_named(session, capsys):
    write(session, ["x.log", "x.log.csv"])
    named = [part for name in ("x.log.csv", "x.log") for part in ("--file", str(session / name))]
    assert correct(session, *named, "--vehicle", "rov1") == 1
    assert capsys.readouterr().out.count("would both write x.log.topside.csv") == 2
    assert outputs(session) == []


def test_files_with_outputs_of_their_own_are_no_pair(session):
    write(session / "in-water_7", ["dive.csv", "dive.log", "dive.tsv.csv", "dive.csv.csv", "dive.jsonl.csv"])
    assert correct(session, *WATER, "--dry-run") == 0


@pytest.mark.parametrize("names", [("x.log", "x.log.csv"), ("x.log.csv", "x.log")])
@pytest.mark.parametrize("more", [(), ("--output", "{}-out")])
def test_nor_is_one_written_over_that_of_an_earlier_run(names, more, session, capsys):
    write(session, names)
    options = ["--vehicle", "rov1", "--max-error-ms", "2000", *(each.format(session) for each in more)]
    assert correct(session, "--file", str(session / names[0]), *options) == 0
    place = Path(f"{session}-out") if more else session
    before = {path: tree(place)[path] for path in place.glob("x.*")}
    capsys.readouterr()
    for dry in (("--dry-run",), ()):
        assert correct(session, "--file", str(session / names[1]), *options, *dry) == 1
        assert f"would both write {PAIRS['x.log', 'x.log.csv']}: rename one" in capsys.readouterr().out
        assert {path: tree(place)[path] for path in place.glob("x.*")} == before
    (session / names[0]).unlink()
    assert correct(session, "--file", str(session / names[1]), *options) == 0


def test_two_files_of_a_name_from_elsewhere_are_not_written_to_one_place(session, tmp_path_factory, capsys):
    there = [tmp_path_factory.mktemp(name) / "x.csv" for name in "ab"]
    target = tmp_path_factory.mktemp("target")
    for path in there:
        path.write_text(TABLE)
    assert correct(session, "--file", str(there[0]), "--vehicle", "rov1", "--output", str(target)) == 0
    made = (target / "x.topside.csv").read_bytes()
    there[1].write_text("timestamp\n2026-05-01T12:00:03.5Z\n")
    assert correct(session, "--file", str(there[1]), "--vehicle", "rov1", "--output", str(target)) == 1
    assert "would both write x.topside.csv" in capsys.readouterr().out
    assert (target / "x.topside.csv").read_bytes() == made


def test_outputs_of_another_session_and_sessions_themselves_are_no_place_for_outputs(
    session, tmp_path_factory, capsys
):
    other = tmp_path_factory.mktemp("other") / "session_9"
    shutil.copytree(session, other)
    target = tmp_path_factory.mktemp("target")
    before = tree(other)
    assert correct(session, *WATER, "--output", str(other)) == 2
    assert "session_9: it is a session's folder itself" in capsys.readouterr().err
    assert tree(other) == before
    assert correct(other, *WATER, "--output", str(target)) == 0
    before = tree(target)
    assert correct(session, *WATER, "--output", str(target)) == 2
    assert f"has the corrected files of another session, {other.resolve()}" in capsys.readouterr().err
    assert tree(target) == before
    assert correct(session, *WATER, "--output", str(session)) == 0
    shutil.rmtree(other)
    assert correct(session, *WATER, "--output", str(target)) == 0
