"""The session's folder: whole lines or none, atomic metadata, nothing outside of the root."""

import errno
import os

import pytest

from runtime.files import replace
from tests.unit.test_clock_pieces import line, piece
from tests.unit.test_recorder_session import at, exchange, recording, step
from tidesync.sessions.errors import RefusedError, UnusableRootError
from tidesync.sessions.journal import is_exchange, lines_of, read_journal
from tidesync.sessions.recorder import files, sessions
from tidesync.sessions.recorder.resumption import resume
from tidesync.sessions.recorder.session_log import SessionLog
from tidesync.sessions.recorder.store import SessionStore

LINES = [exchange(seq, seq) for seq in range(3)]
NOW = at(100)


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "exchanges.jsonl"


@pytest.fixture
def store(tmp_path):
    made = SessionStore(tmp_path / "m" / "session_s1", 100)
    made.write(update(), recording(), NOW)
    assert made.problem is None
    return made


def update():
    return SessionLog(recording(), at(0)).metadata_update()


def recorded(path):
    journal = read_journal(path.read_bytes().split(b"\n"))
    return [*journal.exchanges], journal.malformed


def fail_writes(monkeypatch, after_bytes=0):
    """A disk that is full once `after_bytes` more have been written."""
    real, left = os.write, [after_bytes]

    def write(descriptor, data):
        if left[0] <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = real(descriptor, bytes(data)[: left[0]])
        left[0] -= written
        return written

    monkeypatch.setattr(os, "write", write)


def test_a_line_is_exactly_the_exchange_as_topside_sent_it(journal):
    files.append(journal, lines_of(LINES), is_exchange)
    assert journal.read_bytes().splitlines() == [one.encode() for one in LINES]


@pytest.mark.parametrize("kept", [1, 20, 100, -1])
def test_a_torn_last_line_is_cut_off_and_kept_aside(journal, kept):
    torn = LINES[1].encode()[:kept] if kept > 0 else b"x" * 300_000
    journal.write_bytes(lines_of(LINES[:1]) + torn)
    assert files.append(journal, lines_of(LINES[2:]), is_exchange) == len(torn)
    assert recorded(journal) == ([LINES[0], LINES[2]], 0)
    assert (journal.parent / "exchanges.jsonl.torn").read_bytes() == torn + b"\n"


def test_a_last_line_that_only_lacks_its_newline_is_kept(journal):
    journal.write_bytes(lines_of(LINES[:2])[:-1])
    assert files.append(journal, lines_of(LINES[2:]), is_exchange) == 0
    assert recorded(journal) == (LINES, 0)


@pytest.mark.parametrize("after_bytes", [0, 10, 500])
def test_a_disk_that_fills_up_within_a_line_leaves_whole_lines(journal, monkeypatch, after_bytes):
    files.append(journal, lines_of(LINES[:1]), is_exchange)
    with monkeypatch.context() as full:
        fail_writes(full, after_bytes)
        with pytest.raises(OSError, match="No space"):
            files.append(journal, lines_of(LINES[1:]), is_exchange)
    assert journal.read_bytes() == lines_of(LINES[:1])


def test_the_metadata_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "sync_metadata.json"
    replace(path, b"old")
    path.chmod(0o640)
    with monkeypatch.context() as full:
        fail_writes(full, 2)
        with pytest.raises(OSError, match="No space"):
            replace(path, b"new content")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["sync_metadata.json"]
    replace(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640


def test_what_a_full_disk_does_not_take_is_held_in_memory_and_written_later(store, monkeypatch, caplog):
    with monkeypatch.context() as full:
        fail_writes(full)
        store.add(LINES[:1], [step()])
        assert "No space left on device" in store.problem
        store.add(LINES[1:], [])
        for second in (101, 102, 103):
            store.write(update(), recording(), at(second))
        assert "No space left on device" in store.problem
    assert not store.folder.exchanges_path.exists() or recorded(store.folder.exchanges_path) == ([], 0)
    store.write(update(), recording(), at(104))
    assert store.problem is None
    assert recorded(store.folder.exchanges_path) == (LINES, 0)
    assert store.folder.events_path.read_bytes() == step().encode() + b"\n"
    assert len([record for record in caplog.records if "No space" in record.getMessage()]) == 1


def test_pieces_of_clock_histories_are_held_and_repaired_as_exchanges_are(store, monkeypatch):
    lines = [line(number, piece(number, number + 1)) for number in range(3)]
    with monkeypatch.context() as full:
        fail_writes(full, 200)
        store.add(clock=lines[:2])
        assert "No space left on device" in store.problem
        assert store.waiting == 2
    store.add(clock=lines[2:])
    store.write(update(), recording(), NOW)
    assert (store.problem, store.waiting) == (None, 0)
    with store.folder.clock_path.open("ab") as journal:
        journal.write(b'{"machine": "veh')
    resume(store.folder, recording(), {}, NOW)
    assert store.folder.read_clock().sound == len(lines)
    assert store.folder.clock_path.read_bytes() == lines_of(lines)
    assert (store.folder.time_sync_path / "clock.jsonl.torn").read_bytes() == b'{"machine": "veh\n'


def test_pieces_fill_the_memory_as_exchanges_do(tmp_path):
    (tmp_path / "away").write_text("a file where a folder should be")
    store = SessionStore(tmp_path / "away" / "session_s1", 2)
    store.add(clock=[line(number, piece(number, number + 1)) for number in range(2)])
    assert store.full


def test_the_memory_is_bounded(tmp_path):
    (tmp_path / "m").write_text("a file where a folder should be")
    store = SessionStore(tmp_path / "m" / "session_s1", 2)
    store.write(update(), recording(), NOW)
    assert store.problem
    store.add(LINES[:1], [])
    assert not store.full
    store.add(LINES[1:], [])
    assert store.full


def test_a_restart_finds_what_was_written_and_puts_the_last_line_right(store):
    store.add(LINES, [step()])
    with store.folder.exchanges_path.open("ab") as journal:
        journal.write(b'{"vehicle": "ro')
    found = resume(store.folder, recording(), {}, NOW)
    assert (found.unindexed, found.log.take(LINES, 0, NOW).exchanges) == (len(LINES), [])
    assert not found.log.take_event(step(), NOW)
    assert recorded(store.folder.exchanges_path) == (LINES, 0)


def test_a_recording_that_has_ended_is_not_resumed(store):
    path = store.folder.recording_path
    assert path.exists()
    store.forget()
    store.write(update(), None, NOW)
    assert not path.exists()


@pytest.mark.parametrize("level", ["m", "m/session_s1", "m/session_s1/time_sync"])
def test_a_link_that_leads_outside_of_the_root_is_refused(tmp_path, level):
    root, outside = tmp_path / "root", tmp_path / "outside"
    outside.mkdir()
    link = root / level
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    with pytest.raises(RefusedError, match="leads outside"):
        sessions.safe_folder(root, "m/session_s1")
    assert list(outside.iterdir()) == []


def test_a_file_in_the_way_is_refused_and_a_root_behind_a_link_is_none_of_that(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "root")
    assert sessions.safe_folder(tmp_path / "link", "m/session_s1") == tmp_path / "root" / "m" / "session_s1"
    (tmp_path / "root" / "m").write_text("")
    with pytest.raises(RefusedError, match="not a folder"):
        sessions.safe_folder(tmp_path / "root", "m/session_s1")


def test_a_root_belongs_to_one_recorder(tmp_path):
    claim = sessions.claim_root(tmp_path / "new" / "root")
    with pytest.raises(UnusableRootError, match="in use by another recorder"):
        sessions.claim_root(tmp_path / "new" / "root")
    os.close(claim)
    os.close(sessions.claim_root(tmp_path / "new" / "root"))


def test_a_root_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UnusableRootError, match=str(tmp_path / "file")):
        sessions.claim_root(tmp_path / "file" / "below")
