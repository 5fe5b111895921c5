"""Files that would write one output: none is written over another, and each is named with the way out."""

import json

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
        assert "x.log: it and " in capsys.readouterr().err
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
    assert capsys.readouterr().err.count("would both write x.log.topside.csv") == 2
    assert outputs(session) == []


def test_files_with_outputs_of_their_own_are_no_pair(session):
    write(session / "in-water_7", ["dive.csv", "dive.log", "dive.tsv.csv", "dive.csv.csv", "dive.jsonl.csv"])
    assert correct(session, *WATER, "--dry-run") == 0
