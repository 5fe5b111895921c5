"""What a session writes, and when: the metadata when it matters, and a slow disk holds up nothing."""

import errno
import json

import pytest

from tests.unit.test_recorder_session import at, exchange, measured, recording
from tidesync.sessions.recorder import metadata_file
from tidesync.sessions.recorder.closing import close
from tidesync.sessions.recorder.recording import Recording
from tidesync.sessions.recorder.session_recorder import SessionRecorder
from tidesync.sessions.recorder.settings import RecorderSettings


class SlowDisk:
    """Does what it was given when `work` is called."""

    def __init__(self):
        self.jobs = []

    def __call__(self, work, _name):
        self.jobs.append(work)

    def work(self):
        while self.jobs:
            self.jobs.pop(0)()


def recorder(root, disk=None, **changes):
    settings = RecorderSettings(root=root, broker="mqtt://localhost", metadata_s=30, stop_wait_s=1)
    folder = root / "m" / "session_s1"
    return SessionRecorder(recording(**changes), folder, settings, at(0), *([disk] if disk else []))


class Watched:
    """A session, and how often its metadata was written."""

    def __init__(self, session):
        self.session = session
        self.path = session.store.folder.metadata_path
        self.seq = 0

    def second(self, second, **changes):
        """A second with an exchange and a result; whether the metadata was written."""
        before = self.path.stat().st_ino if self.path.exists() else None
        self.session.take_batch([exchange(self.seq, second)], self.seq, at(second))
        self.seq += 1
        self.session.take_result(measured(second, **changes), at(second), stored=False)
        self.session.update(at(second))
        return self.path.stat().st_ino != before


@pytest.fixture
def watched(tmp_path):
    made = Watched(recorder(tmp_path))
    assert made.second(0)
    return made


def test_the_metadata_of_an_unchanged_session_is_written_every_half_minute(watched):
    assert [second for second in range(1, 95) if watched.second(second)] == [30, 60, 90]


@pytest.mark.parametrize("change", [{"state": "holdover"}, {"segment": 1}, {"error": "timeout"}])
def test_what_changes_of_a_sensors_vehicle_is_written_at_once(watched, change):
    assert [watched.second(second, **change) for second in (1, 2)] == [True, False]


def test_an_alarm_is_written_at_once_and_so_is_its_end(watched):
    watched.session.update(at(8.5))
    assert "nothing recorded" in json.loads(watched.path.read_bytes())["timeSync"]["tidesync"]["alarm"]
    assert watched.second(9)
    assert json.loads(watched.path.read_bytes())["timeSync"]["tidesync"]["alarm"] is None


def test_what_another_program_writes_over_ours_is_put_back(watched):
    document = json.loads(watched.path.read_bytes())
    document["timeSync"]["inWater"] = {"method": "ntp_handshake_v1", "offsetMs": -151}
    watched.path.write_text(json.dumps(document))
    watched.second(1)
    watched.second(2)
    assert json.loads(watched.path.read_bytes())["timeSync"]["inWater"]["method"] == "mqtt_exchange_v1"


def test_of_many_vehicles_a_change_waits_until_there_is_time_and_an_alarm_does_not(tmp_path):
    session = recorder(tmp_path, sensors={})
    names = [f"rov{number}" for number in range(200)]
    path = session.store.folder.metadata_path
    session.take_batch([exchange(0, 1, vehicle=name) for name in names], 0, at(1))
    session.update(at(1))
    written = path.stat().st_ino
    session.take_result(measured(2, vehicle="rov7"), at(2), stored=False)
    session.update(at(2))
    assert path.stat().st_ino == written
    session.take_batch([exchange(1, 8, vehicle=name) for name in names], 1, at(8))
    session.update(at(8))
    assert path.stat().st_ino == written
    session.update(at(13.1))
    assert json.loads(path.read_bytes())["timeSync"]["tidesync"]["vehicles"]["rov7"]["topside"]
    written = path.stat().st_ino
    session.update(at(16.5))
    assert path.stat().st_ino != written
    assert session.state.alarm.startswith("nothing recorded of 200 vehicles (rov0, rov1, rov2, …")


def test_a_slow_disk_holds_up_nothing_and_takes_everything_in_order(tmp_path):
    disk = SlowDisk()
    session = recorder(tmp_path, disk)
    session.update(at(0))
    assert session.store.folder.metadata_path.exists()  # the first is written before the start is answered
    many = [exchange(seq, seq / 10) for seq in range(100)]
    for batch in range(10):
        session.take_batch(many[10 * batch : 10 * batch + 10], batch, at(batch))
        session.update(at(batch))
    assert session.store.waiting == 100
    disk.work()
    session.update(at(10))
    disk.work()
    assert session.store.waiting == 0
    assert list(session.store.folder.read_exchanges().exchanges) == many


def test_a_recording_ends_when_the_disk_has_all_of_it(tmp_path):
    disk = SlowDisk()
    session = recorder(tmp_path, disk)
    session.update(at(0))
    session.take_batch([exchange(0, 1)], 0, at(1))
    session.stop("r2", at(2))
    assert not session.update(at(3.1)).smooth
    assert not session.active
    disk.work()
    assert session.update(at(3.2)).smooth
    assert len(session.store.folder.read_exchanges().exchanges) == 1


def test_a_stop_is_answered_after_three_seconds_whatever_is_still_missing_or_computed(tmp_path):
    session = recorder(tmp_path)
    session.take_batch([exchange(0, 1), exchange(5, 2)], 0, at(2))
    session.stop("r2", at(3))
    for second, seq in ((3.5, 6), (4.3, 1), (5.2, 2), (5.9, 3)):
        session.take_batch([exchange(seq, seq / 3)], seq, at(second))
        assert not session.update(at(second)).smooth
    assert (session.state.state, session.state.request_id, session.state.closing) == (
        "recording",
        "r1",
        False,
    )
    assert not session.update(at(6)).smooth
    assert (session.state.state, session.state.request_id, session.state.closing) == ("stopped", "r2", True)
    session.take_batch([exchange(4, 1.1)], 9, at(6.5))
    assert session.update(at(6.5)).smooth
    assert session.state.closing
    session.close(close(session.store.folder, {"rov1": "topside"}, 7), at(9))
    session.update(at(9))
    assert (session.state.state, session.state.closing) == ("stopped", False)


def ending(root, disk):
    """A session whose track is computed, of which the disk has all but that."""
    session = recorder(root, disk)
    for second in (1, 2):
        session.take_batch([exchange(second, second)], second, at(second))
        session.update(at(second))
        disk.work()
    session.stop("r2", at(3))
    session.take_batch([exchange(3, 3.1)], 3, at(3.2))
    while not session.update(at(3.3)).smooth:
        disk.work()
    disk.work()
    session.close(close(session.store.folder, {"rov1": "topside"}, 7), at(3.4))
    return session


def written_state(session):
    return json.loads(session.store.folder.metadata_path.read_bytes())["timeSync"]["tidesync"]["state"]


def test_who_hears_that_a_session_is_stopped_finds_its_end_in_the_metadata(tmp_path):
    disk = SlowDisk()
    session = ending(tmp_path, disk)
    session.update(at(3.4))
    assert session.state.state == written_state(session) == "recording"
    disk.work()
    assert session.next_update_ns <= at(3.5).raw_ns
    session.update(at(3.5))
    assert (session.state.state, session.state.closing) == ("stopped", False)
    assert written_state(session) == "stopped"


def test_a_stop_that_the_disk_holds_up_is_answered_and_goes_on(tmp_path):
    disk = SlowDisk()
    session = ending(tmp_path, disk)
    for second in (3.4, 6.5):
        session.update(at(second))
    assert (session.state.state, session.state.request_id, session.state.closing) == ("stopped", "r2", True)
    disk.work()
    session.update(at(6.6))
    assert not session.state.closing


def test_the_end_that_a_full_disk_has_not_taken_is_written_once_there_is_room(tmp_path, monkeypatch):
    disk = SlowDisk()
    session = ending(tmp_path, disk)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(metadata_file, "replace_unchanged", full)
        for second in (3.4, 4.5, 5.6):
            session.update(at(second))
            disk.work()
            session.update(at(second + 0.1))
            assert session.state.state == "failed"
            assert "No space left" in session.state.error
            disk.work()
    session.update(at(7))
    disk.work()
    session.update(at(7.1))
    assert (session.state.state, session.state.error) == ("stopped", None)
    assert written_state(session) == "stopped"


def test_of_many_vehicles_a_stop_is_answered_as_soon_as_a_restart_would_know_of_it(tmp_path):
    disk = SlowDisk()
    session = recorder(tmp_path, disk, sensors={}, vehicles=[])
    session.update(at(0))
    for number in range(60):
        session.take_batch([exchange(0, 1, vehicle=f"rov{number}")], 0, at(1))
    for second in (1.5, 2, 2.5):
        session.update(at(second))
        disk.work()
    session.stop("r2", at(3))
    session.update(at(3.01))
    assert not session.state.closing  # the disk has not taken it: a kill now would undo the stop
    disk.work()
    assert session.next_update_ns <= at(3.1).raw_ns
    session.update(at(3.1))
    assert (session.state.state, session.state.request_id, session.state.closing) == ("stopped", "r2", True)
    assert Recording.decode(session.store.folder.recording_path.read_bytes()).stop_request_id == "r2"
    assert session.active  # the last exchanges still come


def test_a_recorder_that_is_killed_while_it_finishes_a_session_finishes_it_when_it_is_started_again(tmp_path):
    session = recorder(tmp_path)
    session.update(at(0))
    session.take_batch([exchange(0, 1)], 0, at(1))
    session.stop("r2", at(3))
    session.update(at(4.1))
    saved = Recording.decode(session.store.folder.recording_path.read_bytes())
    settings = RecorderSettings(root=tmp_path, broker="mqtt://localhost", stop_wait_s=1)
    again = SessionRecorder(saved, session.store.folder.path, settings, at(10))
    assert again.begin_to_resume(at(10))
    again.resumed(again.read_folder(at(10)), at(10))
    assert again.update(at(11.1)).smooth


def test_a_disk_that_does_not_answer_is_an_alarm_until_it_does(tmp_path):
    disk = SlowDisk()
    session = recorder(tmp_path, disk)
    for second in range(40):
        session.take_batch([exchange(second, second)], second, at(second))
        session.update(at(second))
    assert session.state.alarm == "the disk has not answered for 30 s: what comes is held in memory"
    disk.work()
    session.update(at(40))
    disk.work()
    session.update(at(41))
    assert session.state.alarm is None
    assert len(session.store.folder.read_exchanges().exchanges) == 40
