"""What must not harm a recording: other writers, full and read-only disks, hostile names."""

import json
import os
import subprocess
import threading
from contextlib import contextmanager, suppress

import pytest

from tests.command_line import tidesync
from tests.deadline import until
from tests.network.recording import Place, assert_complete, start, states, stop, until_written

FOREIGN = {"method": "ntp_handshake_v1", "offsetMs": -151, "uncertaintyMs": 4, "error": None}


class Consumer(threading.Thread):
    """Rewrites `timeSync.inWater` every 100 ms by its own read-modify-write, which is not atomic."""

    def __init__(self, folder):
        super().__init__()
        self.path = folder / "sync_metadata.json"
        self.writes = 0
        self.done = threading.Event()

    def run(self):
        while not self.done.wait(0.1):
            with suppress(ValueError, FileNotFoundError):
                self.write()

    def write(self):
        document = json.loads(self.path.read_text())
        document["timeSync"]["inWater"] = FOREIGN | {"write": self.writes}
        document["timeSync"].pop("tidesync", None)
        document["fusion"] = {"writes": self.writes}
        with self.path.open("w") as file:
            content = json.dumps(document)
            file.write(content[:100])
            file.flush()
            file.write(content[100:])
        self.writes += 1


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB, and a way to mount it read-only."""
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no tmpfs here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@contextmanager
def filled(disk):
    """Not one byte is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 1024):
                pass
        except OSError:
            pass
    yield
    filler.unlink()


@contextmanager
def read_only(disk):
    command = ["mount", "-o", "remount,ro", disk]
    until(lambda: not subprocess.run(command, check=False).returncode, what="no file open for writing")
    yield
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)


def test_a_consumer_that_rewrites_the_file_all_the_time_overwrites_nothing_of_ours(place, topside):
    place.record("--update-s", "0.1")
    assert start(place, "--sensor", "inWater=rov1")[0] == 0
    consumer = Consumer(place.folder())
    consumer.start()
    returned = 0

    def rewritten():
        nonlocal returned
        with suppress(ValueError):  # the consumer is in the middle of a write
            returned += "tidesync" in place.metadata()["timeSync"]
        return consumer.writes >= 50 and returned > 10

    until(rewritten, 60, lambda: f"50 writes of the consumer ({consumer.writes}), ours back ({returned})")
    consumer.done.set()
    consumer.join()

    def both_kept():
        """A write into a file that is replaced meanwhile is lost, and made again."""
        document = place.metadata()
        if document.get("fusion") != {"writes": consumer.writes - 1}:
            consumer.write()
            return False
        return document["timeSync"]["inWater"]["method"] == "mqtt_exchange_v1"

    until(both_kept, 5, "our entry beside the last write")
    assert stop(place)[0] == 0
    assert_complete(place, topside)
    block = place.metadata()["timeSync"]["tidesync"]
    assert (block["state"], block["vehicles"]["rov1"]["exchanges"]) == ("stopped", len(place.recorded()))
    assert list(place.folder().glob("*unreadable*")) == []


def test_a_second_recorder_on_the_same_root_says_who_has_it(place):
    place.record()
    until(lambda: "connected to broker" in place.log(), 15, "the first recorder")
    second = ("record", "--name", "second", "--root", place.root)
    done = tidesync(*second, "--broker", place.broker.url)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"{place.root} is in use by another recorder" in done.stderr


def test_two_recorders_with_roots_of_their_own_each_have_everything(place, topside, tmp_path):
    (tmp_path / "b").mkdir()
    other = Place(place.broker, tmp_path / "b" / "root", "other.log")
    try:
        place.record()
        other.record("--name", "second")
        until(lambda: "connected to broker" in other.log(), 15, "the second recorder")
        assert start(place, "--sensor", "inWater=rov1")[0] == 0
        for each in (place, other):
            until(lambda each=each: len(each.recorded()) > 40, 15, "exchanges")
        other.kill()
        seen = len(topside.finished)
        until(lambda: len(topside.finished) > seen + 20, 10, "exchanges meanwhile")
        other.record("--name", "second")
        until(lambda: other.recorded()[-1].seq > seen + 40, 15, "exchanges after the restart")
        assert stop(place)[0] == 0
        for each in (place, other):
            until_written(each.folder())
            assert_complete(each, topside)
    finally:
        other.stop()


@pytest.mark.parametrize("trouble", [filled, read_only])
def test_a_disk_that_takes_nothing_is_reported_and_nothing_is_lost_once_it_does_again(
    mosquitto, small_disk, topside, trouble
):
    sentence = "No space left on device" if trouble is filled else "Read-only file system"
    place = Place(mosquitto, small_disk / "root", "../recorder.log")
    place.record()
    try:
        assert start(place, "--sensor", "inWater=rov1")[0] == 0
        until(lambda: len(place.recorded()) > 20, 10, "exchanges")
        with trouble(small_disk):
            until(lambda: sentence in place.log(), 10, "the warning")
            state = until(
                lambda: (s := states(place)["s1"])["state"] == "failed" and s, 10, "the state failed"
            )
            assert sentence in state["error"]
            assert state["alarm"]
            code, out, _ = place.session("list", "--broker", mosquitto.url)
            assert (code, sentence in out) == (0, True)
            assert json.loads((place.folder() / "sync_metadata.json").read_bytes())["mission"] == "reef-42"
            held = len(topside.finished)
            until(lambda: len(topside.finished) > held + 60, 10, "exchanges that are held in memory")
        until(lambda: "can be written again" in place.log(), 10, "the healing")
        until(lambda: states(place)["s1"]["state"] == "recording", 10, "the state recording")
        stopped = stop(place)
        assert stopped[0] == 0, stopped
        assert_complete(place, topside)
        assert "Traceback" not in place.log()
    finally:
        place.stop()


def test_a_start_on_a_full_disk_is_answered_and_records_once_there_is_space(mosquitto, small_disk, topside):
    place = Place(mosquitto, small_disk / "root", "../recorder.log")
    try:
        with filled(small_disk):
            place.record()
            code, _, err = start(place, "--sensor", "inWater=rov1")
            assert (code, err.count("\n")) == (1, 1)
            assert "No space left on device" in err
            begun = len(topside.finished)
            until(lambda: len(topside.finished) > begun + 30, 10, "exchanges that are held in memory")
        until(lambda: len(place.recorded()) > 30, 10, "exchanges")
        assert stop(place)[0] == 0
        assert_complete(place, topside)
        assert min(one.seq for one in place.recorded()) <= begun + 1
    finally:
        place.stop()


MISSIONS = [
    "..",
    "../x",
    "/etc",
    "a/b",
    "a\\b",
    "",
    ".",
    "x" * 300,
    "a\u202eb",
    "a\x00b",
    " a",
]
SESSIONS = ["..", "%2e%2e", "=2E=2E", "a..b", "x" * 300, "Ω", ".a", " "]


def test_no_name_from_the_network_leaves_the_root(place, operator, tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "outside")
    place.record()
    until(lambda: "connected to broker" in place.log(), 15, "the recorder's connection")
    before = sorted(path for path in tmp_path.rglob("*") if path.name != "mosquitto.log")
    for number, mission in enumerate([*MISSIONS, "link"]):
        state = operator.ask("s1", f"m{number}", action="start", mission=mission, sensors={})
        assert (state.state, bool(state.error)) == ("refused", True)
    for sensors in ({"../x": "rov1"}, {"inWater": "../rov1"}, {"markers": "rov1"}):
        state = operator.ask("s1", str(sensors), action="start", mission="m", sensors=sensors)
        assert state.state == "refused"
    for session in SESSIONS:
        operator.say(session, request_id="s", action="start", mission="m", sensors={})
    assert operator.ask("s2", "last", action="stop").state == "refused"
    assert "expected a session name" in place.log()
    assert "Traceback" not in place.log()
    assert sorted(path for path in tmp_path.rglob("*") if path.name != "mosquitto.log") == before
