"""What a run of `tidesync correct` answers for: its exit code, its files, and what it never touches."""

import json
import re
import shutil

import pytest

from tests.unit.test_correction_session import TABLE, correct, outputs, session, write_metadata
from tidesync.cli import progress as progress_module
from tidesync.cli.progress import Progress
from tidesync.command_line import run

__all__ = ["session"]

LATE = "timestamp,value\n2020-01-01T00:00:00Z,1\n2020-01-01T00:00:01Z,2\n"
WATER = ("--sensor", "inWater=rov1")


def is_left(path, reason, shown):
    """Whether the table has this row."""
    return re.search(rf"^{re.escape(path)} +\S+ +left as it is +{re.escape(reason)}$", shown, re.MULTILINE)


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_table_that_was_named_and_has_no_row_answered_is_a_failure_and_is_written(session, capsys):
    late = session / "late.csv"
    late.write_text(LATE)
    assert correct(session, *WATER, "--file", str(late)) == 1
    assert "late.csv: no row could be corrected while the clocks were measured (2 outside)" in (
        capsys.readouterr().err
    )
    assert outputs(session) == ["in-water_7/session.topside.csv", "late.topside.csv"]


def test_a_sensor_without_any_row_answered_is_a_failure_although_another_one_has_some(session, capsys):
    (session / "in-water_7" / "session.csv").write_text(LATE)
    assert correct(session, *WATER, "--sensor", "surface=rov1") == 1
    captured = capsys.readouterr()
    assert "inWater: no row could be corrected" in captured.err
    assert "surface_2/session.topside.csv: 8 rows of rov1: 8 ok" in captured.out


def test_a_table_that_lies_beside_a_sensors_own_is_not_asked_for(session):
    (session / "in-water_7" / "old.csv").write_text(LATE)
    assert correct(session, *WATER) == 0
    assert correct(session, *WATER, "--file", str(session / "in-water_7" / "old.csv")) == 1


def test_a_table_without_rows_is_one_without_an_answer(session, capsys):
    (session / "in-water_7" / "session.csv").write_text("timestamp,value\n")
    assert correct(session, *WATER) == 1
    assert "(there is none)" in capsys.readouterr().err


def test_several_tables_are_named_by_the_option_or_its_older_name(session):
    for name in ("a.csv", "b.tsv"):
        (session / name).write_text(TABLE)
    assert correct(session, "--file", str(session / "a.csv"), "--csv", str(session / "b.tsv")) == 0
    assert outputs(session) == ["a.topside.csv", "b.topside.tsv"]


def test_no_table_of_the_session_is_passed_over_in_silence(session, capsys):
    for path in (
        "loose.csv",
        "lidar_1/scan.tsv",
        "in-water_7/spark.csv/part-0.csv",
        "in-water_7/.hidden.csv",
    ):
        (session / path).parent.mkdir(parents=True, exist_ok=True)
        (session / path).write_text(TABLE)
    assert correct(session, *WATER) == 0
    out = capsys.readouterr().out
    for path, reason in (
        ("loose.csv", "a table in no sensor's folder, which --file corrects"),
        ("lidar_1", "a folder of no sensor with 1 table, which --sensor or --file corrects"),
        ("in-water_7/spark.csv", "it is a folder with 1 table, which --file corrects"),
        ("in-water_7/.*", "1 hidden file"),
    ):
        assert is_left(path, reason, out)
    files = ("loose.csv", "lidar_1/scan.tsv", "in-water_7/spark.csv/part-0.csv")
    asked = [part for path in files for part in ("--file", str(session / path))]
    assert correct(session, *WATER, *asked) == 0
    left = capsys.readouterr().out
    assert not any(word in left for word in ("no sensor", "it is a folder"))


def test_settings_of_a_table_that_is_not_in_the_session_are_named(session, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ("in-water_7/sesion.csv", "x.parquet", "surface_2/session.csv")
    text = "".join(f'[correct."{name}"]\ndecimal = "."\n' for name in names)
    (tmp_path / "tidesync.toml").write_text(text)
    sentence = '[correct."{}"] of tidesync.toml applies to no table of this session'
    near = f'{sentence.format(names[0])}; did you mean "in-water_7/session.csv"?'
    for more in ((), ("--for-cockpit", str(tmp_path.parent / f"{tmp_path.name}-cockpit"))):
        assert correct(session, *WATER, "--json", *more) == 0
        captured = capsys.readouterr()
        first, second = json.loads(captured.out)["unused_settings"]
        assert (first, second) == (near, sentence.format("x.parquet"))
        assert f"{first}\n{second}\n" in captured.err
    out = str(tmp_path / "fused.csv")
    assert run(["-q", "fuse", str(session), *WATER, "--json", "--out", out]) == 0
    assert len(json.loads(capsys.readouterr().out)["unused_settings"]) == 2


def test_a_folder_of_its_own_takes_all_output_of_a_session_that_is_left_untouched(session, tmp_path, capsys):
    before, elsewhere = contents(session), tmp_path.parent / f"{tmp_path.name}-out"
    other = tmp_path.parent / f"{tmp_path.name}-other.csv"
    other.write_text(TABLE)
    options = (*WATER, "--file", str(other), "--output", str(elsewhere), "--json")
    assert correct(session, *options) == 0
    assert contents(session) == before
    document = json.loads(capsys.readouterr().out)
    assert {str(path.relative_to(elsewhere)) for path in contents(elsewhere)} == {
        "in-water_7/session.topside.csv",
        f"{other.stem}.topside.csv",
        "time_sync/corrected_files.jsonl",
        "time_sync/corrections.json",
        "time_sync/offsets.csv",
    }
    assert document["offsets"] == str(elsewhere / "time_sync" / "offsets.csv")
    assert correct(session, *options) == 0


def test_two_tables_from_elsewhere_do_not_overwrite_each_other(session, tmp_path, capsys):
    outside = tmp_path.parent / f"{tmp_path.name}-tables"
    options = []
    for name in ("a", "b"):
        (outside / name).mkdir(parents=True)
        (outside / name / "log.csv").write_text(TABLE)
        options += ["--file", str(outside / name / "log.csv")]
    assert correct(session, *options, "--output", str(outside / "out")) == 2
    assert "another table would both become log.topside.csv" in capsys.readouterr().err
    assert not (outside / "out").exists()


def test_no_link_is_followed_out_of_the_session(session, tmp_path, capsys):
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "session.csv").write_text(TABLE)
    (session / "in-water_8").symlink_to(outside, target_is_directory=True)
    (session / "in-water_7" / "linked.csv").symlink_to(outside / "session.csv")
    (session / "in-water_9").symlink_to(session / "in-water_7", target_is_directory=True)
    assert correct(session, *WATER) == 0
    assert [path.name for path in outside.iterdir()] == ["session.csv"]
    out = capsys.readouterr().out
    assert is_left("in-water_8", "it is a link out of the session", out)
    assert is_left("in-water_7/linked.csv", "it is a link out of the session", out)
    assert "in-water_7/session.topside.csv: 8 rows" in out


def test_a_track_is_not_written_through_a_link_either(session, tmp_path, capsys):
    outside = tmp_path.parent / f"{tmp_path.name}-sync"
    shutil.move(session / "time_sync", outside)
    (session / "time_sync").symlink_to(outside, target_is_directory=True)
    assert correct(session, *WATER) == 1
    assert "time_sync: it is a link out of the session; --output" in capsys.readouterr().err
    assert [path.name for path in outside.iterdir()] == ["exchanges.jsonl"]
    assert outputs(session) == []
    assert correct(session, *WATER, "--output", str(tmp_path / "out")) == 0


@pytest.mark.parametrize(
    "content",
    [
        TABLE,
        "",
        "notes of mine\n",
        "timestamp,timestamp_topside,time_max_error_ms,time_state,value\n",
        '"timestamp\n',
    ],
    ids=["a table", "empty", "text", "our columns elsewhere", "an open quote"],
)
def test_a_file_of_somebody_else_is_not_overwritten(session, content, capsys):
    theirs = session / "in-water_7" / "session.topside.csv"
    theirs.write_text(content)
    assert correct(session, *WATER) == 1
    assert "it is there already, and was not written by tidesync correct" in capsys.readouterr().out
    assert theirs.read_text() == content
    assert correct(session, *WATER, "--output", str(session / "out")) == 0


def test_a_link_with_an_outputs_name_is_not_replaced(session, capsys):
    theirs = session / "theirs.csv"
    theirs.write_text(TABLE)
    link = session / "in-water_7" / "session.topside.csv"
    link.symlink_to(theirs)
    assert correct(session, *WATER) == 1
    assert "it is a link, which is not ours to replace" in capsys.readouterr().out
    assert link.is_symlink()
    assert theirs.read_text() == TABLE


@pytest.mark.parametrize("columns", ["timestamp_topside,time_max_error_ms,time_state", None])
def test_an_output_of_ours_is_replaced_also_one_of_an_earlier_version(session, columns):
    assert correct(session, *WATER) == 0
    path = session / "in-water_7" / "session.topside.csv"
    right = path.read_bytes()
    path.write_text("timestamp,value," + columns + "\n" if columns else right.decode()[:200])
    assert correct(session, *WATER) == 0
    assert path.read_bytes() == right


def test_the_metadatas_sensor_is_asked_for_too(session):
    write_metadata(session, {"inWater": "rov1"})
    (session / "in-water_7" / "session.csv").write_text(LATE)
    assert correct(session) == 1


class Terminal:
    """Takes what is shown."""

    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def write(self, text):
        self.text += text

    def flush(self):
        pass


@pytest.mark.parametrize(("seconds", "shown"), [((0, 1, 1.9), False), ((0, 1, 2.1), True), ((0, 9, 9), True)])
def test_the_bar_is_shown_on_runs_over_two_seconds(monkeypatch, seconds, shown):
    terminal, clock = Terminal(), iter(seconds)
    monkeypatch.setattr(progress_module.sys, "stderr", terminal)
    with Progress("Correcting", clock=lambda: next(clock)) as progress:
        progress.length = 10
        for _ in range(2):
            progress.update(5)
    assert ("Correcting" in terminal.text) == shown


def test_elsewhere_than_in_a_terminal_a_line_is_logged_every_ten_seconds(monkeypatch, caplog):
    terminal, clock = Terminal(), iter((0, 9, 11, 11, 12, 22, 22))
    terminal.isatty = lambda: False
    monkeypatch.setattr(progress_module.sys, "stderr", terminal)
    with caplog.at_level("INFO"), Progress("Correcting", clock=lambda: next(clock)) as progress:
        progress.length = 20
        for _ in range(4):
            progress.update(5)
    assert [record.getMessage() for record in caplog.records] == ["Correcting: 50 %", "Correcting: 100 %"]


def test_the_last_line_names_what_failed_once_and_says_that_the_rest_is_done(session, capsys):
    folder = session / "in-water_7"
    for number in range(7):
        (folder / f"{number}.csv").write_text("timestamp\n2026-05-01T12:00:01.5Z\n")
        (folder / f"{number}.topside.csv").write_text("somebody else's\n")
    assert correct(session, "--sensor", "inWater=rov1") == 1
    captured = capsys.readouterr()
    names = ", ".join(f"in-water_7/{number}.csv" for number in range(5))
    line = f"7 files failed, why is in the table: {names} and 2 more; 1 other file is corrected\n"
    assert captured.err.endswith(line)
    assert captured.out.count("was not written by tidesync correct") == 7
    assert correct(session, "--sensor", "inWater=rov1", "--json") == 1
    captured = capsys.readouterr()
    assert captured.err.count("was not written by tidesync correct") == 7


def test_one_row_is_no_rows(session, capsys):
    (session / "in-water_7" / "session.csv").write_text("timestamp\n2026-05-01T12:00:01.512345Z\n")
    assert correct(session, "--sensor", "inWater=rov1", "--resolution-ms", "0") == 0
    assert "session.topside.csv: 1 row of rov1: 1 ok" in capsys.readouterr().out
