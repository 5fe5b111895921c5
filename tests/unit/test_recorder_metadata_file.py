"""The consumer's file is never set aside while it is being written, and none of its keys is ever lost."""

import json
import os
import threading

import pytest

from runtime import files
from runtime.files import replace_unchanged
from tests.deadline import stays
from tests.unit.test_recorder_session import at, recording
from tidesync.sessions.recorder.metadata_file import UNCHANGED_NS, MetadataFile
from tidesync.sessions.recorder.session_log import SessionLog

S = 1_000_000_000
HALF = b'{"fusion": tr'


def update():
    return SessionLog(recording(), at(0)).metadata_update()


@pytest.fixture
def metadata(tmp_path):
    return MetadataFile(tmp_path / "sync_metadata.json")


def set_aside(metadata):
    return list(metadata.path.parent.glob("sync_metadata.unreadable-*"))


@pytest.mark.parametrize("mtime_s", [0, 99, 100, 103, 10_000, 2**31])
def test_a_file_that_may_be_half_written_stays_whatever_its_time_says(metadata, mtime_s):
    metadata.path.write_bytes(HALF)
    os.utime(metadata.path, ns=(0, mtime_s * S))
    for tenths in range(UNCHANGED_NS // (S // 10)):
        metadata.merge(update(), at(100 + tenths / 10))
        assert metadata.path.read_bytes() == HALF


def test_a_file_that_goes_on_changing_is_never_set_aside(metadata):
    for second in range(60):
        metadata.path.write_bytes(HALF + b" " * second)
        metadata.merge(update(), at(second))
    assert not set_aside(metadata)


def test_an_equal_content_that_is_written_again_is_not_an_old_one(metadata):
    for second in range(60):
        metadata.path.write_bytes(HALF)
        os.utime(metadata.path, ns=(0, second * S))
        metadata.merge(update(), at(second))
    assert not set_aside(metadata)


def test_what_stays_unreadable_is_kept_aside_and_reported(metadata, caplog):
    metadata.path.write_bytes(HALF)
    metadata.merge(update(), at(100))
    metadata.merge(update(), at(100 + UNCHANGED_NS / S))
    (aside,) = set_aside(metadata)
    assert aside.read_bytes() == HALF
    assert json.loads(metadata.path.read_bytes())["mission"] == "reef-42"
    assert any(aside.name in record.getMessage() for record in caplog.records)


def test_what_was_completed_just_before_it_is_set_aside_stays(metadata, monkeypatch):
    metadata.path.write_bytes(HALF)
    metadata.merge(update(), at(100))
    rename = type(metadata.path).rename

    def complete_and_rename(path, target):
        path.write_bytes(b'{"fusion": true}')
        return rename(path, target)

    monkeypatch.setattr(type(metadata.path), "rename", complete_and_rename)
    metadata.merge(update(), at(104))
    assert not set_aside(metadata)
    assert json.loads(metadata.path.read_bytes())["fusion"] is True


def test_a_file_that_appears_meanwhile_is_not_overwritten(metadata, monkeypatch):
    real = files.rename_new

    def appear(new, path):
        path.write_bytes(b'{"theirs": 1}')
        monkeypatch.setattr(files, "rename_new", real)
        return real(new, path)

    monkeypatch.setattr(files, "rename_new", appear)
    metadata.merge(update(), at(100))
    found = json.loads(metadata.path.read_bytes())
    assert (found["theirs"], found["mission"]) == (1, "reef-42")


def test_one_who_opened_the_file_just_before_it_was_replaced_has_its_file_back(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"before")
    theirs = []
    hardlink = type(path).hardlink_to

    def open_and_link(link, target):
        hardlink(link, target)
        theirs.append(path.open("wb"))

    monkeypatch.setattr(type(path), "hardlink_to", open_and_link)
    assert not replace_unchanged(path, b"ours", b"before")
    with theirs[0] as stream:
        stream.write(b"theirs")
    assert path.read_bytes() == b"theirs"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.slow
def test_constant_rewriting_as_the_consumer_does_loses_no_key(metadata):
    """It opens the file, which empties it, and writes the whole of it, thousands of times a second."""
    keys = {f"key{number}": number for number in range(200)}
    ended, rewritten = threading.Event(), [0]

    def rewrite():
        while not ended.is_set():
            rewritten[0] += 1
            text = json.dumps(keys | {"count": rewritten[0]})
            with metadata.path.open("w") as stream:
                stream.write(text[:500])
                stream.flush()
                stream.write(text[500:])

    writer = threading.Thread(target=rewrite)
    writer.start()

    def keeps_every_key():
        metadata.merge(update(), at(rewritten[0] / 100))  # the time that passes while the other one writes
        return not set_aside(metadata)

    try:
        stays(keeps_every_key, 3, "the file in its place")
    finally:
        ended.set()
        writer.join()
    for _ in range(2):
        metadata.merge(update(), at(10**6))
    found = json.loads(metadata.path.read_bytes())
    assert {key: found.get(key) for key in keys} == keys
    assert found["timeSync"]["tidesync"]["session"] == "s1"
    assert not set_aside(metadata)
