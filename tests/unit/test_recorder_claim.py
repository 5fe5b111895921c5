"""A session's folder that is moved, replaced or linked elsewhere while it is recorded."""

import pytest

from schemas.messages import ResendCommand
from tests.unit.test_recorder_session import at, exchange, recording
from tidesync.sessions.recorder.claim import MOVED
from tidesync.sessions.recorder.missing_ranges import MOST_REPEATS, REPEAT_REQUEST_NS
from tidesync.sessions.recorder.session_recorder import SessionRecorder
from tidesync.sessions.recorder.settings import RecorderSettings

S = 1_000_000_000
FIRST = [exchange(seq, seq / 4) for seq in range(20)]
LATER = [exchange(seq, seq / 4) for seq in range(20, 40)]


class Session:
    """Recorded below `root`, beside which there is a folder that is none of the recorder's."""

    def __init__(self, base):
        self.root, self.outside = base / "root", base / "outside"
        self.outside.mkdir()
        self.path = self.root / "reef-42" / "session_s1"
        self.recorder = SessionRecorder(recording(), self.path, RecorderSettings(root=self.root), at(0))
        self.recorder.update(at(0))
        self.recorder.take_batch(FIRST, 0, at(5))
        self.recorder.update(at(5))

    def update(self, second):
        actions = self.recorder.update(at(second))
        if self.recorder.begin_to_resume(at(second)):
            self.recorder.resumed(self.recorder.read_folder(at(second)), at(second))
        return actions

    def recorded(self):
        return [*self.recorder.store.folder.read_exchanges().exchanges]

    def counts(self):
        block = self.recorder.store.folder.read_metadata()["timeSync"]["tidesync"]["vehicles"]["rov1"]
        return block["exchanges"], block["missing"]

    def asked(self, actions):
        return [
            (command.from_seq, command.to_seq)
            for _, command in actions.resend
            if isinstance(command, ResendCommand)
        ]


@pytest.fixture
def session(tmp_path):
    return Session(tmp_path)


def moved(session):
    session.path.rename(session.root / "elsewhere")


def deleted(session):
    for path in sorted(session.path.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    session.path.rmdir()


def replaced_by_an_empty_one(session):
    moved(session)
    session.path.mkdir()


def journal_deleted(session):
    session.recorder.store.folder.exchanges_path.unlink()


def journal_cut_short(session):
    session.recorder.store.folder.exchanges_path.write_bytes(b"")


def time_sync_moved(session):
    (session.path / "time_sync").rename(session.path / "kept")


CHANGES = [moved, deleted, replaced_by_an_empty_one, journal_deleted, journal_cut_short, time_sync_moved]


@pytest.mark.parametrize("change", CHANGES)
def test_what_the_new_folder_lacks_is_asked_for_and_the_metadata_counts_what_is_there(session, change):
    change(session)
    session.recorder.take_batch(LATER[:10], 1, at(7))
    session.update(7)
    session.update(7.1)
    assert session.recorded() == LATER[:10]
    assert session.counts() == (10, 20)
    assert MOVED in session.recorder.state.alarm
    assert session.recorder.state.exchanges == 10
    assert session.asked(session.update(8)) == [(0, 19)]
    session.recorder.take_batch(FIRST, 2, at(8.5))
    session.recorder.take_batch(LATER[10:], 3, at(10))
    session.update(40)
    assert sorted(session.recorded(), key=lambda one: one.seq) == FIRST + LATER
    assert session.counts() == (40, 0)


def test_what_cannot_be_had_any_more_becomes_a_gap(session):
    moved(session)
    session.update(6)
    session.recorder.take_batch(LATER[:1], 1, at(6.5))
    for number in range(2 * MOST_REPEATS):
        second = 8 + number * REPEAT_REQUEST_NS / S
        session.update(second)
        session.recorder.take_batch([LATER[1 + number % 19]], 2 + number, at(second + 0.5))
    session.update(60)
    gaps = [event for event in session.recorder.store.folder.read_events() if event.kind == "gap"]
    assert [(gap.from_seq, gap.to_seq) for gap in gaps] == [(0, 19)]
    assert session.counts() == (20, 20)


def test_a_folder_that_comes_back_is_gone_on_with(session):
    session.path.rename(session.root / "away")
    session.recorder.take_batch(LATER[:10], 1, at(7))
    session.update(7)
    session.update(7.1)
    session.path.rename(session.root / "meanwhile")
    (session.root / "away").rename(session.path)
    session.update(9)
    session.update(9.1)
    assert session.recorded() == FIRST
    assert session.counts() == (20, 10)
    assert session.asked(session.update(10)) == [(20, 29)]


def linked_elsewhere(session):
    session.path.rename(session.root / "kept")
    session.path.symlink_to(session.outside)


def linked_to_the_moved_folder(session):
    session.path.rename(session.outside / "moved")
    session.path.symlink_to(session.outside / "moved")


def time_sync_linked(session):
    time_sync_moved(session)
    (session.path / "time_sync").symlink_to(session.outside)


def mission_linked(session):
    session.path.parent.rename(session.outside / "mission")
    session.path.parent.symlink_to(session.outside / "mission")


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "change", [linked_elsewhere, linked_to_the_moved_folder, time_sync_linked, mission_linked]
)
def test_nothing_is_written_through_a_link_out_of_the_root(session, change):
    change(session)
    before = contents(session.outside)
    session.recorder.take_batch(LATER[:10], 1, at(7))
    for second in range(8, 20):
        session.update(second)
    session.recorder.store.forget()
    assert contents(session.outside) == before
    state = session.recorder.state
    assert state.state == "failed"
    assert "leads outside of the recorder's root" in state.error
    assert session.recorder.store.waiting == 10


def test_what_was_held_because_of_a_link_is_written_once_it_is_gone(session):
    linked_elsewhere(session)
    session.recorder.take_batch(LATER[:10], 1, at(7))
    session.update(8)
    session.path.unlink()
    (session.root / "kept").rename(session.path)
    session.update(9)
    assert session.recorded() == FIRST + LATER[:10]
    assert session.recorder.state.state == "recording"


def test_a_torn_line_is_not_put_aside_through_a_link(session):
    journal = session.recorder.store.folder.exchanges_path
    with journal.open("ab") as stream:
        stream.write(b'{"vehicle": "ro')
    journal.with_name("exchanges.jsonl.torn").symlink_to(session.outside / "torn")
    session.recorder.take_batch(LATER, 1, at(7))
    assert session.recorder.store.problem
    assert contents(session.outside) == {}


def test_a_session_that_is_moved_after_its_end_is_not_made_again(session):
    session.recorder.stop("r2", at(6))
    assert session.update(9).smooth
    moved(session)
    assert not session.recorder.store.is_claimed()
    session.update(10)
    assert not session.path.exists()
    assert "before all was written" in session.recorder.state.alarm
