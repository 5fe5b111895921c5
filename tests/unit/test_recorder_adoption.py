"""A session folder that the consumer made is adopted: what it wrote stays, to the character."""

import json

import pytest

from runtime.files import replace_unchanged
from schemas.metadata import FILE_NAME
from tests.unit.test_metadata_merge import NOW, update
from tests.unit.test_recorder_session import at, recording
from tidesync.sessions import document
from tidesync.sessions.document import NotMetadataError, parse, render
from tidesync.sessions.recorder.metadata import merge
from tidesync.sessions.recorder.session_log import SessionLog
from tidesync.sessions.recorder.store import SessionStore

FUSION = r"""{
    "status": "complete",
    "rows": [1, 1.0, -0, -0.0, 1e5, 1E+5, 1.10, 0.10000000000000000001,
      123456789012345678901234567890, 1e400],
    "text": ["\u00e9", "é", "\ud83d\ude80", "🚀", "\/", "\ud800", "\u0000\t"],
    "empty": [{}, [], ""],
    "unified": {"csv": "unified_session.csv", "z": null, "a": true}
  }"""
SENSORS = """{"inWater": {"sessionId": "7", "directory": "in-water_7",
    "startedAt": "2026-05-01T12:00:00.000Z",
    "sessionCsv": "in-water_7/session.csv", "bytesMirrored": 10485760, "bytesRecorded": 10485761.0,
    "note": "theirs"}, "surface": null}"""
HEAD = '"schemaVersion": 1, "mission": "reef-42", "unifiedSessionTimestamp": "s1", "operator": "Åse"'
ENTRY = (
    '{"method": "ntp_handshake_v1", "offsetMs": -151, "uncertaintyMs": 4, "measuredAt": "2026", "error": null'
)
IN_WATER = f'{ENTRY}, "rttMs": 8.0}}'
NEWER = f'{{"markers": [{{"id": "a", "t": 1.50}}], "inWater": {IN_WATER}, "surface": null, "x": 1.0}}'
OLDER = f"{ENTRY}}}"


def consumers(time_sync):
    return f'{{{HEAD}, "fusion": {FUSION}, "sensors": {SENSORS}, "timeSync": {time_sync}}}'


def adopt(folder, content):
    """The folder's metadata as text after the recorder has written."""
    folder.mkdir(parents=True)
    (folder / FILE_NAME).write_bytes(content)
    store = SessionStore(folder, 100)
    for second in (10**6, 10**6 + 10):
        store.write(SessionLog(recording(), at(0)).metadata_update(), recording(), at(second))
    assert store.problem is None
    return (folder / FILE_NAME).read_text()


@pytest.mark.parametrize("layout", [NEWER, OLDER], ids=["newer", "older"])
def test_everything_of_the_consumers_keeps_its_characters_and_order(tmp_path, layout):
    before = consumers(layout)
    after = adopt(tmp_path / "session_s1", before.encode())
    found, kept = document.loads(after), document.loads(before)
    for key in ("schemaVersion", "mission", "operator", "fusion", "sensors"):
        assert document.dumps(found[key]) == document.dumps(kept[key])
    assert [key for key in found if key in kept] == list(kept)
    theirs = {key: value for key, value in kept["timeSync"].items() if key not in {"inWater", "tidesync"}}
    assert document.dumps({key: found["timeSync"][key] for key in theirs}) == document.dumps(theirs)
    assert found["timeSync"]["tidesync"]["session"] == "s1"


def test_the_newer_layouts_extra_keys_stay_beside_our_entry(tmp_path):
    entry = json.loads(adopt(tmp_path / "session_s1", consumers(NEWER).encode()))["timeSync"]["inWater"]
    assert (entry["rttMs"], entry["method"], entry["offsetMs"]) == (8.0, "ntp_handshake_v1", -151)


def test_the_older_layout_gets_the_newer_beside_it(tmp_path):
    time_sync = json.loads(adopt(tmp_path / "session_s1", consumers(OLDER).encode()))["timeSync"]
    assert (time_sync["method"], time_sync["offsetMs"]) == ("ntp_handshake_v1", -151)
    assert (time_sync["inWater"]["method"], time_sync["inWater"]["error"]) == ("unsynced", "timeout")


@pytest.mark.parametrize(
    "broken", [consumers(NEWER)[:-40], consumers(NEWER).replace("1e400", "NaN"), "", "// by hand\n{}"]
)
def test_a_file_broken_by_hand_is_kept_beside_a_new_one(tmp_path, broken, caplog):
    folder = tmp_path / "session_s1"
    assert json.loads(adopt(folder, broken.encode()))["timeSync"]["inWater"]["error"] == "timeout"
    (aside,) = folder.glob("sync_metadata.unreadable-*.json")
    assert aside.read_text() == broken
    assert aside.name in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        "1.0",
        "1",
        "-0",
        "-0.0",
        "1E400",
        "0.10000000000000000001",
        "9" * 5000,
        '"\\u00e9\\ud800/\\/\\"\\\\"',
        '{\n  "\\u00e9\\"": 1,\n  "é": {}\n}',
        '"é"',
        "null",
    ],
)
def test_a_value_is_written_as_it_was_read(text):
    assert document.dumps(document.loads(text)) == text


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "{} {}", '"\n"', "01", "'a'", '{"a": 1,}', "\ufeff{}"])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(ValueError):
        document.loads(text)


def test_nesting_that_could_not_be_written_again_is_refused():
    deep = "[" * 190 + "]" * 190
    assert "".join(document.dumps(document.loads(deep)).split()) == deep
    for levels in (1000, 100_000):
        with pytest.raises(RecursionError):
            document.loads("[" * levels + "]" * levels)


def test_the_same_document_reads_back_the_same_in_any_json_reader():
    values = {"a": [1, 2.5, None, True, {}, []], "é\ud800": "ü\ud800", "n": {"b": -150.25}}
    assert json.loads(document.dumps(values).encode()) == values


def test_every_version_that_we_write_is_strict_json():
    merged = merge(parse(consumers(NEWER).encode()), update(), NOW)
    assert parse(render(merged)) == merged
    with pytest.raises(NotMetadataError, match="NaN is no JSON"):
        parse(b'{"a": NaN}')


def test_what_another_program_writes_just_before_ours_is_not_overwritten(tmp_path):
    folder = tmp_path / "session_s1"
    adopt(folder, consumers(NEWER).encode())
    path = folder / FILE_NAME
    read_by_us = path.read_bytes()
    path.write_bytes(b'{"theirs": 1}')
    assert not replace_unchanged(path, b"ours", read_by_us)
    assert not replace_unchanged(path, b"ours", None)
    assert path.read_bytes() == b'{"theirs": 1}'
    assert [entry.name for entry in folder.iterdir() if entry.name.endswith(".new")] == []
    assert replace_unchanged(path, b"ours", b'{"theirs": 1}')
