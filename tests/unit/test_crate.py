"""`tidesync export --format ro-crate` and `tidesync reproduce`: published, and made again byte for byte."""

import contextlib
import gzip
import hashlib
import io
import json
import os
import random
import shutil
import sqlite3
from dataclasses import fields
from datetime import datetime
from pathlib import Path

import pytest
from pyarrow import parquet

from schemas.events import Duplicate
from schemas.instants import utc_from_ns
from tests.effort import tries
from tests.unit.cockpit_files import write_recording
from tests.unit.crate_sessions import CLOCK, make_session, settings_of
from tests.unit.test_correction_session import TABLE
from tests.unit.test_messages_rosbags import write_bag2
from tests.unit.tracks import START, S
from tidesync.cli.reproduce import NOT_MADE
from tidesync.command_line import run
from tidesync.sessions.correction.formats import is_output, output_of
from tidesync.sessions.correction.recorded_settings import CorrectionSettings, RecordedRun
from tidesync.sessions.correction.session import Options
from tidesync.sessions.correction.table_form import form_of, stated_by
from tidesync.sessions.correction.table_settings import TableSettings
from tidesync.sessions.crate import reproduction, software
from tidesync.sessions.crate.paths import id_of, path_of
from tidesync.sessions.crate.properties import properties_of, run_of
from tidesync.sessions.crate.reading import read_contents
from tidesync.sessions.errors import UnusableCrateError
from tidesync.sessions.frames import frame_of, parts_of
from tidesync.sessions.journal import lines_of
from tidesync.sessions.recorder import files

LICENSE = "https://creativecommons.org/licenses/by/4.0/"
NAME = "session_2026-05-01T12-00-00Z"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A session with a file of each format, corrected, and its crate."""
    folder = tmp_path_factory.mktemp("dive")
    session = make_session(folder / NAME)
    (folder / "tidesync.toml").write_text(settings_of(session))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(["-q", "correct", str(session)]) == 0
        assert run(["-q", "export", str(session), "--format", "ro-crate", "--license", LICENSE]) == 0
    return session, folder / f"{NAME}.ro-crate"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The crate of a session with tables alone."""
    folder = tmp_path_factory.mktemp("small")
    session = make_session(folder / NAME, logs=False)
    for name in ("packed.tsv.xz", "packed.txt.zst", "sentences.nmea", "séance 2.csv.1"):
        (session / "in-water_7" / name).unlink()
    assert run(["-q", "correct", str(session)]) == 0
    assert run(["-q", "export", str(session), "--format", "ro-crate"]) == 0
    return folder / f"{NAME}.ro-crate"


@pytest.fixture
def crate(small, tmp_path):
    """A copy of it that a test may alter."""
    copy = tmp_path / "crate"
    shutil.copytree(small, copy)
    return copy


@pytest.fixture
def session(tmp_path):
    """A small one."""
    folder = make_session(tmp_path / "dive" / "session_1", logs=False)
    for path in (folder / "in-water_7").iterdir():
        if path.name != "session.csv":
            path.unlink()
    return folder


def entities(crate):
    graph = json.loads((crate / "ro-crate-metadata.json").read_text("utf-8"))["@graph"]
    return {entity["@id"]: entity for entity in graph}


def alter(crate, change):
    """Change the entities of the metadata."""
    path = crate / "ro-crate-metadata.json"
    document = json.loads(path.read_text("utf-8"))
    change({entity["@id"]: entity for entity in document["@graph"]})
    path.write_text(json.dumps(document))


def listed(value):
    return [each["@id"] for each in (value if isinstance(value, list) else [value])]


def files_in(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def export(session, *options):
    return run(["-q", "export", str(session), "--format", "ro-crate", *options])


def reproduce(crate, capsys):
    capsys.readouterr()
    code = run(["-q", "reproduce", str(crate)])
    return code, capsys.readouterr()


def correct(session, *options):
    assert run(["-q", "correct", str(session), *options]) == 0


@pytest.mark.slow
def test_the_results_of_all_formats_are_made_again_byte_for_byte(published, capsys):
    session, crate = published
    raw = {path for path in (session / "in-water_7").iterdir() if not is_output(path)}
    made = {path for path in files_in(session) if is_output(session / path)}
    assert {output_of(path).name for path in raw} <= {path.rpartition("/")[2] for path in made}
    assert len({path.suffix.lower() for path in raw}) >= 17
    before = {path: path.stat().st_mtime_ns for path in crate.rglob("*")}
    code, shown = reproduce(crate, capsys)
    results = listed(entities(crate)["#correction-1"]["result"])
    assert (code, shown.out) == (0, f"{len(results)} files reproduced byte for byte\n{NOT_MADE}\n")
    assert len(results) >= 25
    assert before == {path: path.stat().st_mtime_ns for path in crate.rglob("*")}


@pytest.mark.slow
def test_a_crate_has_the_raw_files_and_the_results_as_they_are_in_the_session(published):
    session, crate = published
    records = {"time_sync/corrections.json", "time_sync/corrected_files.jsonl"}
    assert files_in(session) - records == files_in(crate / NAME)
    for path in files_in(crate / NAME):
        assert (crate / NAME / path).read_bytes() == (session / path).read_bytes()


@pytest.mark.slow
def test_the_metadata_are_of_ro_crate_with_the_profile_process_run_crate(published):
    _, crate = published
    document = json.loads((crate / "ro-crate-metadata.json").read_text("utf-8"))
    found = entities(crate)
    assert len(found) == len(document["@graph"])
    assert document["@context"][0] == "https://w3id.org/ro/crate/1.1/context"
    descriptor, root = found["ro-crate-metadata.json"], found["./"]
    assert descriptor["@type"] == "CreativeWork"
    assert descriptor["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert descriptor["about"] == {"@id": "./"}
    assert root["@type"] == "Dataset"
    assert found[root["conformsTo"]["@id"]]["@type"] == "CreativeWork"
    assert root["conformsTo"]["@id"] == "https://w3id.org/ro/wfrun/process/0.5"
    assert found[root["license"]["@id"]]["@type"] == "CreativeWork"
    assert root["license"]["@id"] == LICENSE
    assert root["name"]
    assert root["description"]
    assert datetime.fromisoformat(root["datePublished"]).tzinfo is not None
    (action,) = (found[each] for each in listed(root["mentions"]))
    assert action["@type"] == "CreateAction"
    assert datetime.fromisoformat(action["startTime"]) <= datetime.fromisoformat(action["endTime"])
    tool = found[action["instrument"]["@id"]]
    assert (tool["@type"], tool["name"]) == ("SoftwareApplication", "Tidesync")
    assert tool["softwareVersion"] == software.VERSION
    assert not {"agent", "author", "creator"} & {key for entity in found.values() for key in entity}
    referred = [
        each["@id"]
        for entity in found.values()
        for value in entity.values()
        for each in (value if isinstance(value, list) else [value])
        if isinstance(each, dict)
    ]
    assert {each for each in referred if not each.startswith("https://w3id.org/ro/crate")} <= {*found}


@pytest.mark.slow
def test_every_file_is_named_with_its_size_and_hash(published):
    _, crate = published
    found = entities(crate)
    named = {path_of(each): found[each] for each in listed(found["./"]["hasPart"])}
    assert {*named} == files_in(crate) - {"ro-crate-metadata.json"}
    for path, entity in named.items():
        content = (crate / path).read_bytes()
        assert entity["@type"] == "File"
        assert entity["contentSize"] == str(len(content))
        assert entity["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.slow
def test_versions_of_all_that_is_installed_for_it_are_pinned(published):
    _, crate = published
    pins = (crate / "requirements.txt").read_text()
    found = entities(crate)
    versions = {
        found[each]["name"]: found[each].get("softwareVersion")
        for each in listed(found["#tidesync"]["softwareRequirements"])
    }
    assert {"CPython", "SQLite", "numpy", "pyarrow", "zlib"} <= {*versions}
    assert f"numpy=={versions['numpy']}\n" in pins
    assert f"tidesync=={software.VERSION}\n" in pins


def test_settings_are_those_that_the_session_was_corrected_with(session, tmp_path, capsys):
    outside = tmp_path / "other computer"
    outside.mkdir()
    late = TABLE.replace("timestamp,", "when,").replace("Z,", ",")
    (outside / "a.csv").write_text(late)
    (tmp_path / "a.csv").write_text(late)
    options = ("--file", str(outside / "a.csv"), "--file", str(tmp_path / "a.csv"), "--column", "when")
    correct(session, "--max-error-ms", "20")
    correct(session, *options, "--zone", "UTC", "--vehicle", "rov1", "--max-error-ms", "30")
    crate = tmp_path / "crate"
    assert export(session, "--output", str(crate)) == 0
    found = entities(crate)
    first, second = (found[f"#correction-{number}"] for number in (1, 2))
    assert first["description"] == (
        "tidesync correct session_1 --max-error-ms 20.0 --rate-limit-ppm 100000.0"
    )
    stated = [found[each] for each in listed(second["object"]) if found[each]["@type"] == "PropertyValue"]
    values = {entity["name"]: entity["value"] for entity in stated}
    assert values["max_error_ms"] == 30.0
    assert values['correct."elsewhere/1/a.csv".zone'] == "UTC"
    assert values['correct."elsewhere/2/a.csv".column'] == "when"
    assert str(tmp_path) not in (crate / "ro-crate-metadata.json").read_text()
    assert listed(first["result"]) == ["session_1/in-water_7/session.topside.csv"]
    assert {"elsewhere/1/a.topside.csv", "session_1/time_sync/offsets.csv"} <= {*listed(second["result"])}
    code, shown = reproduce(crate, capsys)
    assert (code, shown.out) == (0, f"4 files reproduced byte for byte\n{NOT_MADE}\n")


def test_a_later_correction_replaces_what_is_recorded_of_the_same_tables(session, tmp_path, capsys):
    correct(session, "--max-error-ms", "20")
    correct(session, "--max-error-ms", "30")
    correct(session, "--max-error-ms", "30")
    assert export(session, "--output", str(tmp_path / "crate")) == 0
    found = entities(tmp_path / "crate")
    assert "--max-error-ms 30.0" in found["#correction-1"]["description"]
    assert "#correction-2" not in found
    assert reproduce(tmp_path / "crate", capsys)[0] == 0


STATED_OF_A_TABLE = {
    "column": "when",
    "unit": "ms",
    "zone": "Europe/Berlin",
    "time_format": "%d.%m.%Y %H:%M",
    "columns": "a,b",
    "decimal": ",",
    "since": "x.tlog",
    "resolution_ms": 0.5,
    "instrument_clock": "vehicle+1.5±0.2",
    "sample_clock_ppm": 7.0,
    "header_line": 3,
    "comment": "#",
    "no_header": True,
}


def test_all_that_a_correction_can_be_asked_for_is_recorded():
    others = {"files", "form", "forms", "choice"}
    assert {each.name for each in fields(Options)} - others <= {*CorrectionSettings.model_fields}
    assert {*STATED_OF_A_TABLE} == {*TableSettings.model_fields}
    for name, value in STATED_OF_A_TABLE.items():
        assert stated_by(form_of({name: value})) == TableSettings(**{name: value})
        run = RecordedRun(settings=CorrectionSettings(), tables={"s/a": TableSettings(**{name: value})})
        assert run_of(properties_of("s", run)) == ("s", run)


def test_a_session_in_which_a_name_was_used_twice_can_be_published(session, tmp_path, capsys):
    twice = Duplicate(
        vehicle="rov1",
        error="duplicate_vehicle",
        topside="topside",
        at=utc_from_ns(START + 5 * S),
        until=utc_from_ns(START + 6 * S),
    )
    (session / "time_sync" / "events.jsonl").write_bytes(lines_of([twice]))
    assert run(["-q", "correct", str(session)]) == 1
    assert export(session, "--output", str(tmp_path / "crate")) == 0
    assert b",ambiguous" in (tmp_path / "crate/session_1/in-water_7/session.topside.csv").read_bytes()
    assert reproduce(tmp_path / "crate", capsys)[0] == 0


@pytest.mark.parametrize("whole", [True, False], ids=["closed", "cut off"])
def test_a_bag_in_wal_mode_is_read_with_its_log_and_gets_no_files(whole, session, tmp_path, capsys):
    bag, _ = write_bag2(tmp_path / "bag", CLOCK)
    target = session / "in-water_7" / "dive.db3"
    with contextlib.closing(sqlite3.connect(bag)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA wal_autocheckpoint = 0")
        database.execute("DELETE FROM messages WHERE id > 90")
        database.commit()
        if not whole:
            for path in bag.parent.glob(f"{bag.name}*"):
                shutil.copy(path, target.with_name(path.name.replace(bag.name, target.name)))
    if whole:
        shutil.copy(bag, target)
    correct(session)
    assert (session / "in-water_7" / "dive.db3-shm").exists() is not whole
    crate = tmp_path / "crate"
    assert export(session, "--output", str(crate)) == 0
    found = {path for path in files_in(crate) if "/dive." in path}
    names = {"dive.db3", "dive.topside.db3", *(() if whole else ("dive.db3-wal",))}
    assert found == {f"session_1/in-water_7/{name}" for name in names}
    with contextlib.closing(sqlite3.connect(crate / "session_1/in-water_7/dive.topside.db3")) as database:
        assert database.execute("SELECT max(id) FROM messages").fetchone()[0] <= 90
    assert reproduce(crate, capsys)[0] == 0


def test_a_session_recorded_in_frames_is_corrected_published_and_reproduced_as_a_plain_one(
    session, tmp_path, capsys
):
    plain, frames = parts_of(session / "time_sync" / "exchanges.jsonl")
    table = session / "in-water_7" / "session.topside.csv"
    correct(session)
    made = table.read_bytes()
    lines = plain.read_bytes().splitlines(keepends=True)
    plain.unlink()
    for begin in range(0, len(lines), 30):
        files.append_frame(frames, frame_of(b"".join(lines[begin : begin + 30])), None)
    correct(session, "--again")
    assert table.read_bytes() == made
    crate = tmp_path / "crate"
    assert export(session, "--output", str(crate)) == 0
    entity = entities(crate)["session_1/time_sync/exchanges.jsonl.zst"]
    assert entity["encodingFormat"] == "application/zstd"
    assert "session_1/time_sync/exchanges.jsonl" not in files_in(crate)
    assert reproduce(crate, capsys)[0] == 0


def test_a_limit_of_zero_is_a_setting(session, tmp_path, capsys):
    correct(session, "--slew-limit-ppm", "0")
    assert export(session, "--output", str(tmp_path / "crate")) == 0
    assert "--slew-limit-ppm 0.0" in entities(tmp_path / "crate")["#correction-1"]["description"]
    assert reproduce(tmp_path / "crate", capsys)[0] == 0


def test_the_subtitles_of_a_video_from_elsewhere_go_with_it(session, tmp_path, capsys):
    folder = tmp_path / "videos"
    folder.mkdir()
    subtitles, *_ = write_recording(folder, CLOCK, begin_s=1.0, seconds=8)
    video = subtitles.with_suffix(".mp4")
    video.write_bytes(b"no frames")
    correct(session, "--file", str(video), "--topside-clock", "--max-error-ms", "999")
    assert export(session, "--output", str(tmp_path / "crate")) == 0
    assert (tmp_path / "crate" / "elsewhere" / "1" / subtitles.name).is_file()
    assert reproduce(tmp_path / "crate", capsys)[0] == 0


def test_without_a_license_it_is_said_that_none_is_stated(session, tmp_path):
    correct(session)
    assert export(session, "--output", str(tmp_path / "crate")) == 0
    assert entities(tmp_path / "crate")["./"]["license"] == "No license is stated"


def test_what_was_not_corrected_is_refused(session, capsys):
    assert export(session) == 1
    assert "run `tidesync correct` first" in capsys.readouterr().err
    (session / "time_sync" / "corrections.json").write_text("{")
    assert export(session) == 1
    assert "corrections.json" in capsys.readouterr().err
    assert not list(session.parent.glob("*crate*"))


def test_corrected_files_that_are_not_what_the_settings_make_are_refused(session, capsys):
    correct(session)
    made = session / "in-water_7" / "session.topside.csv"
    made.write_bytes(made.read_bytes().replace(b",ok", b",OK"))
    assert export(session) == 1
    assert "session.topside.csv: it is not what the recorded settings make" in capsys.readouterr().err
    assert [path.name for path in session.parent.iterdir()] == [session.name]


def test_a_folder_with_files_is_not_written_to_and_an_empty_one_is(session, tmp_path, capsys):
    correct(session)
    target = tmp_path / "crate"
    target.mkdir()
    assert export(session, "--output", str(target)) == 0
    before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    assert export(session, "--output", str(target)) == 1
    assert "expected a new or empty folder" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    assert export(session, "--output", str(session / "crate")) == 2
    assert export(session, "--output", str(tmp_path / "x"), "--topside", "topside") == 2
    assert run(["-q", "export", str(session), "--format", "csv", "--license", "x"]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["crate", "dive"]


def test_links_out_of_the_session_are_left_out_and_named(session, tmp_path, capsys):
    (tmp_path / "secret").write_text("secret")
    (session / "link.txt").symlink_to(tmp_path / "secret")
    correct(session)
    capsys.readouterr()
    assert export(session, "--output", str(tmp_path / "crate"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["left"] == ["link.txt: it is a link out of the session"]
    assert "session_1/link.txt" not in files_in(tmp_path / "crate")


def test_corrected_files_of_which_nothing_is_recorded_are_left_out_and_named(session, tmp_path, capsys):
    correct(session)
    (session / "in-water_7" / "old.topside.csv").write_text("of an earlier version\n")
    capsys.readouterr()
    assert export(session, "--output", str(tmp_path / "crate")) == 0
    assert "in-water_7/old.topside.csv: no correction of it is recorded; left out" in capsys.readouterr().out
    assert not [path for path in files_in(tmp_path / "crate") if "old" in path]


def test_another_result_is_named_with_its_first_different_line_and_other_versions(crate, capsys, monkeypatch):
    path = f"{NAME}/in-water_7/session.topside.csv"
    altered = (crate / path).read_bytes().replace(b",7,", b",8,", 1)
    (crate / path).write_bytes(altered)

    def change(found):
        entity = found[id_of(path)]
        entity["sha256"], entity["contentSize"] = hashlib.sha256(altered).hexdigest(), str(len(altered))
        found["#software-numpy"]["softwareVersion"] = "1.0"

    alter(crate, change)
    code, shown = reproduce(crate, capsys)
    assert code == 1
    assert f"{path}: expected SHA-256 {hashlib.sha256(altered).hexdigest()}, found " in shown.out
    assert f"first difference at byte {altered.index(b',8,') + 1}, in line 9" in shown.out
    assert "  expected: 2026" in shown.out
    assert "other version: numpy: 1.0 in the crate, " in shown.out
    assert shown.err.startswith("tidesync: 1 file differs, ")
    monkeypatch.setattr(software, "VERSION", "9.9")
    assert run(["-q", "reproduce", str(crate), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert [each["file"] for each in document["differences"]] == [path]
    assert document["differences"][0]["first"]["line"] == 9
    assert {"Tidesync", "numpy"} <= {each["name"] for each in document["versions"]}
    assert len(document["reproduced"]) == len(listed(entities(crate)["#correction-1"]["result"])) - 1


def recompressed(content):
    return gzip.compress(gzip.decompress(content), 1)


def relaid(content):
    stream = io.BytesIO()
    parquet.write_table(parquet.read_table(io.BytesIO(content)), stream, compression="gzip")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "change"), [("packed.topside.csv.gz", recompressed), ("session.topside.parquet", relaid)]
)
def test_a_result_that_only_is_written_in_another_way_is_said_to_hold_the_same(name, change, crate, capsys):
    path = f"{NAME}/in-water_7/{name}"
    altered = change((crate / path).read_bytes())
    (crate / path).write_bytes(altered)
    digest = {"sha256": hashlib.sha256(altered).hexdigest(), "contentSize": str(len(altered))}
    alter(crate, lambda found: found[id_of(path)].update(digest))
    code, shown = reproduce(crate, capsys)
    assert code == 1
    assert "  the bytes differ from byte " in shown.out
    assert "what they hold does not" in shown.out


def test_a_result_that_cannot_be_made_and_one_too_many_are_named(crate, capsys):
    table, result = f"{NAME}/in-water_7/lines.jsonl", f"{NAME}/in-water_7/lines.topside.jsonl"
    other = f"{NAME}/in-water_7/points.topside.lp"

    def change(found):
        action = found["#correction-1"]
        action["result"] = [each for each in action["result"] if path_of(each["@id"]) != other]
        found["./"]["hasPart"] = [each for each in found["./"]["hasPart"] if path_of(each["@id"]) != other]
        content = b"no JSON\n" * 20
        (crate / table).write_bytes(content)
        digest = {"sha256": hashlib.sha256(content).hexdigest(), "contentSize": str(len(content))}
        found[id_of(table)].update(digest)

    alter(crate, change)
    code, shown = reproduce(crate, capsys)
    assert code == 1
    assert f"{result}: expected SHA-256" in shown.out
    assert "found none: it was not made" in shown.out
    assert f"{other}: expected SHA-256 no such result in the crate, found " in shown.out
    assert str(Path.cwd()) not in shown.out


def test_what_was_added_to_the_metadata_does_no_harm(crate, capsys):
    path = crate / "ro-crate-metadata.json"
    document = json.loads(path.read_text("utf-8"))
    found = {entity["@id"]: entity for entity in document["@graph"]}
    document["@graph"] += [
        {"@id": "#me", "@type": "Person", "name": "A. Diver"},
        {"@id": "video/", "@type": "Dataset", "name": "Not with it"},
        {"@id": "readme.md", "@type": "File"},
    ]
    found["./"]["author"] = {"@id": "#me"}
    found["./"]["hasPart"] += [{"@id": "video/"}, {"@id": "readme.md"}]
    document["@graph"].reverse()
    path.write_text(json.dumps(document))
    assert reproduce(crate, capsys)[0] == 0


def test_a_damaged_or_incomplete_crate_is_refused(crate, capsys):
    raw = crate / NAME / "in-water_7" / "session.csv"
    content = raw.read_bytes()
    raw.write_bytes(content.replace(b"0", b"1", 1))
    code, shown = reproduce(crate, capsys)
    assert code == 2
    assert f"{NAME}/in-water_7/session.csv is damaged: its SHA-256 is" in shown.err
    with raw.open("r+b") as stream:
        stream.truncate(1 << 40)
    code, shown = reproduce(crate, capsys)
    assert code == 2
    assert f"session.csv is damaged: {1 << 40} bytes, expected {len(content)}" in shown.err
    raw.unlink()
    (crate / NAME / "in-water_7" / "session.topside.csv").unlink()
    code, shown = reproduce(crate, capsys)
    assert code == 2
    assert "session.csv is missing" in shown.err
    assert "session.topside.csv is missing" in shown.err


def test_a_folder_that_is_no_crate_or_another_programs_is_refused(small, tmp_path, capsys):
    session = small.with_name(NAME)
    assert reproduce(tmp_path / "nowhere", capsys)[0] == 2
    code, shown = reproduce(session, capsys)
    assert code == 2
    assert "it is no crate: it has no ro-crate-metadata.json" in shown.err
    other = {
        "@context": [],
        "@graph": [{"@id": "ro-crate-metadata.json", "about": {"@id": "./"}}, {"@id": "./"}],
    }
    (tmp_path / "ro-crate-metadata.json").write_text(json.dumps(other))
    code, shown = reproduce(tmp_path, capsys)
    assert code == 2
    assert "it is no Process Run Crate" in shown.err
    other["@graph"][1]["conformsTo"] = {"@id": "https://w3id.org/ro/wfrun/process/0.5"}
    (tmp_path / "ro-crate-metadata.json").write_text(json.dumps(other))
    assert "another program made this crate" in reproduce(tmp_path, capsys)[1].err


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b"{}",
        b'{"@graph": 3}',
        b'{"@graph": [3]}',
        b'{"@graph": [{"@id": "a"}, {"@id": "a"}]}',
        b'{"@graph": [{"@id": "./", "x": NaN}]}',
        b'{"@graph": [{"@id": "./", "x": 1e999}]}',
        b'{"@graph": [{"@id": "./", "x": ' + b"9" * 10_000 + b"}]}",
        b'{"@graph": [{"@id": "ro-crate-metadata.json", "about": {"@id": "./"}}]}',
    ],
    ids=range(11),
)
def test_metadata_that_cannot_be_read_are_refused(content, tmp_path, capsys):
    (tmp_path / "ro-crate-metadata.json").write_bytes(content)
    code, shown = reproduce(tmp_path, capsys)
    assert code == 2
    assert "ro-crate-metadata.json" in shown.err
    assert shown.err.count("\n") == 1


ODD = (
    None,
    True,
    7,
    -1,
    1e300,
    "",
    "..",
    "/etc/passwd",
    [],
    {},
    [{}],
    {"@id": "../x"},
    [{"@id": "./"}],
    "9" * 500,
)


@pytest.mark.parametrize("seed", range(tries(60)))
def test_altered_metadata_are_refused_or_mean_what_they_say(seed, small, tmp_path):
    chance = random.Random(seed)
    document = json.loads((small / "ro-crate-metadata.json").read_text("utf-8"))
    for _ in range(chance.randint(1, 3)):
        entity = chance.choice(document["@graph"])
        entity[chance.choice([*entity])] = chance.choice(ODD)
    (tmp_path / "ro-crate-metadata.json").write_text(json.dumps(document))
    try:
        contents = read_contents(tmp_path)
    except UnusableCrateError:
        return
    for path in (*contents.files, *(path for action in contents.actions for path in action.run.paths())):
        assert (tmp_path / path).resolve().is_relative_to(tmp_path.resolve())
        assert path in contents.files


@pytest.mark.parametrize(
    "path",
    [
        "../outside.csv",
        "/etc/passwd",
        "a/../../outside.csv",
        "a//b",
        "./a",
        "",
        "..",
        "a\\..\\b",
        "a\nb",
        "x" * 300,
    ],
)
def test_a_path_out_of_the_crate_is_refused(path, crate, capsys, tmp_path):
    (tmp_path / "outside.csv").write_text("secret")

    def change(found):
        entity = found[id_of(f"{NAME}/in-water_7/session.csv")]
        before, entity["@id"] = entity["@id"], path.replace("\n", "%0A")
        for value in (found["./"]["hasPart"], found["#correction-1"]["object"]):
            for each in value:
                each["@id"] = entity["@id"] if each["@id"] == before else each["@id"]

    alter(crate, change)
    code, shown = reproduce(crate, capsys)
    assert code == 2
    assert shown.err.count("\n") == 1
    assert "expected a" in shown.err
    assert "secret" not in shown.err


def test_no_link_in_a_crate_is_followed(crate, tmp_path, capsys):
    raw = crate / NAME / "in-water_7" / "session.csv"
    outside = tmp_path / "outside.csv"
    raw.rename(outside)
    raw.symlink_to(outside)
    code, shown = reproduce(crate, capsys)
    assert code == 2
    assert f"{NAME}/in-water_7/session.csv is a link" in shown.err
    raw.unlink()
    outside.rename(raw)
    (crate / NAME / "in-water_7").rename(tmp_path / "elsewhere")
    (crate / NAME / "in-water_7").symlink_to(tmp_path / "elsewhere")
    code, shown = reproduce(crate, capsys)
    assert code == 2
    assert f"{NAME}/in-water_7 is a link" in shown.err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_no_pipe_in_a_crate_is_waited_for(crate, capsys):
    raw = crate / NAME / "in-water_7" / "session.csv"
    raw.unlink()
    os.mkfifo(raw)
    code, shown = reproduce(crate, capsys)
    assert code == 2
    assert "is no regular file" in shown.err


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("command", "rm -rf /", "which this version does not know"),
        ("max_error_ms", 1e300, "max_error_ms"),
        ("vehicle", "../rov1", "vehicle"),
        ("session", "..", "session"),
        ("table", "../x.csv", "none of the files"),
        ("file", "/etc/passwd", "none of the files"),
        ("sensor", "inWater", "SENSOR=VEHICLE"),
        ("table", 7, "expected text"),
        (f'correct."{NAME}/in-water_7/session.csv".since', "../../outside.tlog", "none of the files"),
        (f'correct."{NAME}/in-water_7/session.csv".zone', "../../etc/localtime", "zone"),
        (f'correct."{NAME}/in-water_7/session.csv".header_line', 0, "header_line"),
        ('correct."other.csv".zone', "UTC", "none of the tables"),
        (f'correct."{NAME}/in-water_7/session.csv".script', "x", "which this version does not know"),
    ],
)
def test_a_setting_that_is_not_known_or_not_allowed_is_refused(name, value, reason, crate, capsys):
    document = json.loads((crate / "ro-crate-metadata.json").read_text("utf-8"))
    found = {entity["@id"]: entity for entity in document["@graph"]}
    action = found["#correction-1"]
    if name == "max_error_ms":
        for each in document["@graph"]:
            if each.get("name") == name:
                each["value"] = value
    else:
        action["object"].append({"@id": "#more"})
        more = {"@id": "#more", "@type": "PropertyValue", "name": name, "value": value}
        document["@graph"].append(more)
    (crate / "ro-crate-metadata.json").write_text(json.dumps(document))
    code, shown = reproduce(crate, capsys)
    assert code == 2
    assert reason in shown.err
    assert shown.err.count("\n") == 1


def test_a_fault_within_a_correction_is_a_sentence(crate, capsys, monkeypatch):
    def fail(*_arguments):
        raise ArithmeticError("too much")

    monkeypatch.setattr("tidesync.sessions.crate.running.correct_job", fail)
    code, shown = reproduce(crate, capsys)
    assert code == 1
    assert "internal fault: ArithmeticError" in shown.out
    assert "Traceback" not in shown.out + shown.err


def test_it_says_that_there_is_too_little_room(crate, capsys, monkeypatch):
    monkeypatch.setattr(reproduction, "free_bytes", lambda _: 10)
    code, shown = reproduce(crate, capsys)
    assert code == 1
    assert "10 are free" in shown.err


@pytest.mark.slow
def test_a_corrected_bag_does_not_tell_which_sqlite_wrote_it(published):
    session, _ = published
    raw, made = (session / "in-water_7" / name for name in ("dive.db3", "dive.topside.db3"))
    assert raw.read_bytes()[96:100] == made.read_bytes()[96:100]
    with sqlite3.connect(made) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_published_crate_beside_its_session_is_left_as_it_is(session, capsys):
    correct(session)
    assert export(session) == 0
    crate = session.with_name("session_1.ro-crate")
    before = {path: path.read_bytes() for path in crate.rglob("*") if path.is_file()}
    capsys.readouterr()
    for named in ([session.parent], sorted(session.parent.iterdir())):
        assert run(["-q", "correct", *map(str, named), "--again"]) == 0
        assert f"{crate}: it is a published crate: correct the session" in capsys.readouterr().out
    inside = str(crate / session.name)
    for command in (["correct", str(crate)], ["correct", inside], ["report", inside]):
        assert run(["-q", *command]) == 2
        assert "which is published and stays as it is" in capsys.readouterr().err
    assert run(["-q", "export", inside, "--format", "csv"]) == 2
    assert before == {path: path.read_bytes() for path in crate.rglob("*") if path.is_file()}
    assert reproduce(crate, capsys)[0] == 0


def test_a_crate_within_a_session_is_none_of_its_folders(session, crate, capsys):
    shutil.copytree(crate, session / "in-water_7" / "published")
    shutil.copytree(crate, session / "published")
    correct(session, "--json")
    left = {each["path"]: each["why"] for each in json.loads(capsys.readouterr().out)["found"]}
    assert left[str(session / "published")] == left[str(session / "in-water_7" / "published")] == "crate"


def test_a_raw_file_that_is_gone_is_forgotten_by_the_next_correction(session, capsys):
    table = session / "in-water_7" / "session.csv"
    shutil.copy(table, table.with_name("z.csv"))
    correct(session)
    table.with_name("z.csv").unlink()
    assert export(session) == 1
    assert "z.csv: it was corrected, and is gone: put it back, or run" in capsys.readouterr().err
    correct(session, "--dry-run")
    correct(session, "--file", str(table))
    capsys.readouterr()
    correct(session)
    assert "in-water_7/z.csv: it, or the log with its start, is gone" in capsys.readouterr().out
    assert export(session) == 0
    assert "in-water_7/z.topside.csv: no correction of it is recorded" in capsys.readouterr().out
    assert reproduce(session.with_name("session_1.ro-crate"), capsys)[0] == 0


def test_the_page_of_a_report_is_no_unknown_file(session, capsys):
    assert run(["-q", "report", str(session)]) == 0
    (session / "one.xyz").touch()
    capsys.readouterr()
    correct(session)
    shown = capsys.readouterr().out
    assert "it has the name of the page of `tidesync report`" in shown
    assert "1 file of no known format" in shown
