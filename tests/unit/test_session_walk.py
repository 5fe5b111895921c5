"""The walk through a session's folder: all that can be corrected is found, the rest is named."""

import json
import os
import tracemalloc

import pytest

from tests.effort import tries
from tests.unit.test_correction_session import TABLE, correct, outputs, session
from tidesync.sessions.correction import walk
from tidesync.sessions.correction.tables import tables_in

__all__ = ["session"]

WATER = ("--sensor", "inWater=rov1")


def table_at(path, content=TABLE):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def found(session, capsys, *options):
    """What `--json` says of each path within the session; of patterns too."""
    code = correct(session, *WATER, "--json", *options)
    document = json.loads(capsys.readouterr().out)
    rows = {os.path.relpath(row["path"], session): row for row in document["found"]}
    return code, rows, document


def test_folders_in_a_sensors_folder_are_the_sensors_too(session):
    table_at(session / "in-water_7" / "2026" / "may" / "a.csv")
    table_at(session / "in-water_7" / "2026" / "b.csv")
    assert correct(session, *WATER) == 0
    assert outputs(session) == [
        f"in-water_7/{name}.topside.csv" for name in ("2026/b", "2026/may/a", "session")
    ]
    assert correct(session, *WATER) == 0
    assert len(outputs(session)) == 3


def test_each_thing_that_is_left_has_its_reason(session, capsys):
    folder = session / "in-water_7"
    for name in ("dive.mp4", "a.jpg", "b.jpg", "notes.pdf", ".hidden.csv"):
        (folder / name).write_bytes(b"")
    table_at(folder / "no_stamp.csv", "depth\n1\n")
    table_at(folder / "year=2026" / "part-0.csv")
    table_at(folder / "parts" / "_SUCCESS", "")
    table_at(folder / "parts" / "part-0.csv")
    table_at(session / "loose.csv")
    table_at(folder / "nested" / "time_sync" / "exchanges.jsonl", "")
    table_at(folder / "nested" / "in-water_1" / "x.csv")
    code, rows, document = found(session, capsys)
    assert code == 0
    reasons = {path: (row["why"], row["number"]) for path, row in rows.items() if row["action"] == "left"}
    assert reasons == {
        "in-water_7/*.mp4": ("media", 1),
        "in-water_7/*.jpg": ("media", 2),
        "in-water_7/*.pdf": ("unknown_format", 1),
        "in-water_7/.*": ("hidden", 1),
        "in-water_7/no_stamp.csv": ("no_timestamp", 1),
        "in-water_7/year=2026": ("dataset", 1),
        "in-water_7/parts": ("dataset", 1),
        "in-water_7/nested": ("session", 1),
        "loose.csv": ("no_sensor", 1),
        "surface_2/session.csv": ("no_vehicle", 1),
    }
    done = rows["in-water_7/session.csv"]
    assert (done["format"], done["columns"], done["action"]) == ("csv", ["timestamp"], "corrected")
    assert done["output"] == str(session / "in-water_7" / "session.topside.csv")
    assert len(document["left"]) == len(reasons) - 1, "sensors have sentences of their own"
    _, rows, _ = found(session, capsys)
    assert rows["in-water_7/*.topside.*"]["why"] == "product"


def test_somebody_elses_file_in_an_outputs_place_is_named_as_such(session, capsys):
    table_at(session / "in-water_7" / "session.topside.csv", "mine\n")
    code, rows, document = found(session, capsys)
    assert code == 1
    assert (rows["in-water_7/session.csv"]["action"], rows["in-water_7/session.csv"]["why"]) == (
        "failed",
        "foreign",
    )
    assert "was not written by tidesync correct" in document["failed"][0]


def test_loops_of_links_end(session, capsys):
    folder = session / "in-water_7"
    (folder / "deep").mkdir()
    (folder / "deep" / "up").symlink_to(session, target_is_directory=True)
    (folder / "self").symlink_to(folder, target_is_directory=True)
    (folder / "one.csv").symlink_to(folder / "two.csv")
    (folder / "two.csv").symlink_to(folder / "one.csv")
    (session / "round_1").symlink_to(session / "round_1")
    code, rows, _ = found(session, capsys)
    assert code == 0
    assert outputs(session) == ["in-water_7/session.topside.csv"]
    links = {path for path, row in rows.items() if row["why"] == "link"}
    assert {f"in-water_7/{name}" for name in ("deep/up", "self", "one.csv", "two.csv")} <= links


def test_a_pipe_with_a_tables_name_is_not_waited_for(session, capsys):
    os.mkfifo(session / "in-water_7" / "live.csv")
    code, rows, _ = found(session, capsys)
    assert (code, rows["in-water_7/live.csv"]["why"]) == (0, "special")


def test_a_sensors_folder_that_cannot_be_read_is_a_failure_and_the_others_are_done(
    session, capsys, monkeypatch
):
    table_at(session / "in-water_7" / "closed" / "a.csv")
    table_at(session / "elsewhere" / "closed" / "a.csv")
    scandir = os.scandir

    def guarded(folder):
        if str(folder).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(walk.os, "scandir", guarded)
    code, rows, document = found(session, capsys)
    assert code == 1
    assert document["failed"] == [f"{session}/in-water_7/closed: it cannot be read: Permission denied"]
    assert rows["elsewhere/closed"]["why"] == "unreadable"
    assert outputs(session) == ["in-water_7/session.topside.csv"]


@pytest.mark.parametrize(
    "name", ["測深.csv", "журнал данных.csv", "قياس.csv", "a\nb\x1b[2J.csv", os.fsdecode(b"\xff\xfe.csv")]
)
def test_any_name_is_read_written_and_shown_on_one_line(session, name, capsys):
    table_at(session / "in-water_7" / name)
    code, rows, _ = found(session, capsys)
    assert (code, rows[f"in-water_7/{name}"]["action"]) == (0, "corrected")
    assert (session / "in-water_7" / name.replace(".csv", ".topside.csv")).is_file()
    _, rows, _ = found(session, capsys)
    assert rows[f"in-water_7/{name}"]["action"] in {"unchanged", "corrected"}


def test_a_table_row_has_no_control_character(session, capsys):
    table_at(session / "in-water_7" / "a\nb\x1b[2J.csv", "depth\n1\n")
    assert correct(session, *WATER) == 0
    table = capsys.readouterr().out.partition("FILE ")[2]
    assert "a\\nb\\x1b[2J.csv" in table
    assert "\x1b" not in table


def test_a_tree_of_many_files_takes_memory_for_one_folder(tmp_path):
    folders, each = 10, tries(200)
    for number in range(folders):
        folder = tmp_path / "in-water_1" / f"frames{number}"
        folder.mkdir(parents=True)
        for frame in range(each):
            (folder / f"frame.{frame:06}").touch()
    table_at(tmp_path / "in-water_1" / "frames3" / "session.csv")
    tables_in(tmp_path, [], {}, nested=True)  # what is made once
    tracemalloc.start()
    walked = tables_in(tmp_path, [], {}, nested=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [path.name for path in walked.tables["inWater"]] == ["session.csv"]
    assert len(walked.left) == folders
    assert sum(left.number for left in walked.left) == folders * each
    assert peak < 1000 * each + 500_000
