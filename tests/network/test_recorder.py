"""The recorder with a real broker: whatever is killed in the middle, nothing is missing or there twice."""

import json
import signal
import subprocess
import sys
import threading
import time

import pytest
from brokers import until

from broker.clock import SystemClock
from broker.connection import Connection, Outgoing
from broker.settings import ConnectionSettings
from schemas import topics
from schemas.exchange import Exchange
from schemas.instants import utc_from_ns
from schemas.messages import BurstCommand, Event, OffsetResult, ResendCommand
from topside_agent.backlog import Backlog

ROOT = "tidesync"
S = 1_000_000_000


class FakeTopside:
    """Finishes exchanges, publishes them in batches, and sends again what it is asked for."""

    def __init__(self, url, vehicle="rov1"):
        self.vehicle = vehicle
        self.clock = SystemClock()
        self.finished = []
        self.commands = []
        self.deaf = threading.Event()
        self._backlog = Backlog(1800 * S)
        self._due_ns = 0
        self.connection = Connection(
            ConnectionSettings(broker=url), self, self.clock, name="tidesync-topside-fake"
        )
        self.connection.start()
        assert self.connection.wait_until_up(10)

    def connected(self):
        self.connection.subscribe([(topics.build(ROOT, topics.TOPSIDE_COMMAND, topside="fake"), 1)])
        self._send(topics.TOPSIDE_STATUS, b"online", topside="fake")

    def disconnected(self, reason):
        pass

    def received(self, message):
        command = topics.TOPSIDE_COMMAND.decode(message.payload)
        self.commands.append(command)
        if isinstance(command, ResendCommand):
            for payload in self._backlog.again(command.from_seq, command.to_seq):
                self._send_batch(payload)

    def tick(self, now):
        """Five exchanges and a result ten times a second; while deaf they are finished but not published."""
        if now.raw_ns < self._due_ns:
            return (self._due_ns - now.raw_ns) / 1e9
        self._due_ns = now.raw_ns + S // 10
        for _ in range(5):
            self._finish()
        while payload := self._backlog.next_batch():
            if not self.deaf.is_set() and not self._send_batch(payload):
                break
            self._backlog.published()
        self._send(topics.OFFSET, self._result().encode(), vehicle=self.vehicle, topside="fake")
        return 0.1

    def step(self):
        event = Event(
            vehicle=self.vehicle, kind="step", at=utc_from_ns(0), at_raw_ns=7, step_ms=3000.0, boot_id="boot"
        )
        topic = topics.build(ROOT, topics.EVENT, vehicle=self.vehicle)
        for _ in range(2):  # QoS 1 may deliver twice
            self.connection.post(lambda: self.connection.publish(Outgoing(topic, event.encode())))

    def _finish(self):
        at = self.clock.realtime_ns()
        difference = at - self.clock.raw_ns()
        exchange = Exchange(
            vehicle=self.vehicle,
            topside="fake",
            seq=len(self.finished),
            boot_id="boot",
            origin_ns=at,
            receive_ns=at - 150 * 10**6,
            transmit_ns=at - 150 * 10**6 + 1000,
            destination_ns=at + 500_000,
            pi_realtime_minus_raw_ns=difference,
            topside_realtime_minus_raw_ns=difference,
        )
        self.finished.append(exchange)
        self._backlog.add(exchange, self.clock.raw_ns())

    def _result(self):
        return OffsetResult(
            vehicle=self.vehicle,
            topside="fake",
            state="locked",
            offset_ms=-150.25,
            lower_ms=-150.5,
            upper_ms=-150.0,
            max_error_ms=0.25,
            u95_ms=None,
            drift_ppm=None,
            drift_error_ppm=None,
            delay_min_ms=0.5,
            exchanges=5,
            rejected=0,
            segment=0,
            steps=0,
            boot_id="boot",
            measured_at=utc_from_ns(self.clock.realtime_ns()),
            measured_unix_ms=self.clock.realtime_ns() // 10**6,
            age_s=0.0,
            error=None,
        )

    def _send_batch(self, payload):
        return self._send(topics.EXCHANGE, payload, vehicle=self.vehicle, topside="fake")

    def _send(self, kind, payload, **names):
        return self.connection.publish(
            Outgoing(topics.build(ROOT, kind, **names), payload, kind.qos, kind.retain)
        )


class Place:
    """A broker, a recorder in a process of its own, a folder, and the command line to drive them."""

    def __init__(self, broker, root):
        self.broker = broker
        self.root = root
        self._log = (root.parent / "recorder.log").open("ab")
        self._process = None

    def record(self):
        command = [*self._command("record"), "--root", str(self.root), "--alarm-s", "2"]
        self._process = subprocess.Popen(command, stderr=self._log)
        return self

    def kill(self):
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self):
        if self._process and self._process.poll() is None:
            self._process.terminate()
            return self._process.wait(10)
        return None

    def session(self, *arguments):
        done = subprocess.run(
            [*self._command("session"), *arguments], capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout, done.stderr

    def log(self):
        return (self.root.parent / "recorder.log").read_text()

    def folder(self, session="s1"):
        return self.root / "reef-42" / f"session_{session}"

    def metadata(self):
        return json.loads((self.folder() / "sync_metadata.json").read_bytes())

    def recorded(self):
        try:
            lines = (self.folder() / "time_sync" / "exchanges.jsonl").read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        return [Exchange.decode(line) for line in lines if line.endswith(b"\n")]

    def events(self):
        lines = (self.folder() / "time_sync" / "events.jsonl").read_bytes().splitlines()
        return [json.loads(line) for line in lines]

    def _command(self, name):
        command = [sys.executable, "-m", "tidesync"]
        if name == "session":
            return [*command, name]
        return [*command, name, "--broker", self.broker.url]


@pytest.fixture
def place(mosquitto, tmp_path):
    made = Place(mosquitto, tmp_path / "root")
    yield made
    made.stop()


@pytest.fixture
def topside(mosquitto):
    fake = FakeTopside(mosquitto.url)
    yield fake
    fake.connection.stop()


def start(place, *more):
    """Start session s1; the recorder may not have subscribed yet."""
    until(lambda: "connected to broker" in place.log(), 15, "the recorder's connection")
    return place.session("start", "--mission", "reef-42", "--name", "s1", *more, "--broker", place.broker.url)


def stop(place, *more):
    return place.session("stop", "s1", *more, "--broker", place.broker.url)


def assert_complete(place, topside):
    """From the first that was recorded to the last, each that topside finished stands there once."""
    recorded = place.recorded()
    keys = [(one.seq, one.origin_ns) for one in recorded]
    assert len(set(keys)) == len(keys)
    first, last = min(one.seq for one in recorded), max(one.seq for one in recorded)
    assert sorted(recorded, key=lambda one: one.seq) == topside.finished[first : last + 1]


def test_a_session_from_start_to_stop(place, topside):
    place.record()
    code, out, err = start(place, "--sensor", "inWater=rov1", "--json")
    assert (code, err) == (0, "")
    state = json.loads(out)
    assert (state["state"], state["path"]) == ("recording", "reef-42/session_s1")
    entry = place.metadata()["timeSync"]["inWater"]
    assert (entry["method"], entry["offsetMs"], entry["uncertaintyMs"]) == ("mqtt_exchange_v1", -150.25, 0.25)
    until(lambda: any(isinstance(command, BurstCommand) for command in topside.commands), 5, "a burst")

    topside.step()
    until(lambda: len(place.recorded()) >= 50, 10, "exchanges")
    assert start(place, "--sensor", "inWater=rov1")[0] == 0  # it is recorded already
    finished = len(topside.finished)
    code, out, err = stop(place)
    assert (code, err) == (0, "")
    assert out.startswith("stopped session s1 (inWater=rov1): ")

    assert_complete(place, topside)
    assert max(one.seq for one in place.recorded()) >= finished - 1
    document = place.metadata()
    block = document["timeSync"]["tidesync"]
    assert (block["state"], block["vehicles"]["rov1"]["topside"]) == ("stopped", "fake")
    assert block["vehicles"]["rov1"]["exchanges"] == len(place.recorded())
    assert [event["kind"] for event in place.events()] == ["step"]
    recording = place.folder() / "time_sync" / "recording.json"
    until(lambda: not recording.exists(), 5, "the end of the recording noted")


def test_a_recorder_killed_in_the_middle_goes_on_with_nothing_missing_and_nothing_twice(place, topside):
    place.record()
    assert start(place)[0] == 0
    for _ in range(3):
        count = len(place.recorded())
        until(lambda count=count: len(place.recorded()) > count + 20, 15, "exchanges")
        place.kill()
        before = len(topside.finished)
        until(lambda before=before: len(topside.finished) > before + 10, 10, "exchanges meanwhile")
        with (place.folder() / "time_sync" / "exchanges.jsonl").open("ab") as journal:
            journal.write(b'{"vehicle":"rov1","topsi')
        place.record()
    count = len(place.recorded())
    until(lambda: len(place.recorded()) > count, 15, "exchanges")
    assert stop(place)[0] == 0
    assert_complete(place, topside)
    assert (place.folder() / "time_sync" / "exchanges.jsonl.torn").read_bytes().count(b"\n") == 3
    assert "Traceback" not in place.log()


def test_what_was_lost_on_the_way_is_asked_for_and_sent_again(place, topside):
    place.record()
    assert start(place, "--sensor", "inWater=rov1")[0] == 0
    until(place.recorded, 10, "exchanges")
    topside.deaf.set()
    before = len(topside.finished)
    until(lambda: len(topside.finished) > before + 20, 10, "exchanges that nobody hears")
    topside.deaf.clear()
    until(lambda: any(isinstance(command, ResendCommand) for command in topside.commands), 15, "a request")
    assert stop(place)[0] == 0
    assert_complete(place, topside)
    assert place.metadata()["timeSync"]["tidesync"]["vehicles"]["rov1"]["missing"] == 0


def test_a_broker_killed_with_all_it_held_loses_nothing(place, topside):
    place.record()
    assert start(place, "--sensor", "inWater=rov1")[0] == 0
    until(place.recorded, 10, "exchanges")
    place.kill()
    held = len(topside.finished)
    until(lambda: len(topside.finished) > held + 10, 10, "exchanges that the broker holds")
    place.broker.kill()
    place.broker.start()
    until(lambda: topside.connection.reconnects and topside.connection.up, 10, "topside there again")
    unheard = len(topside.finished)
    until(lambda: len(topside.finished) > unheard + 10, 10, "exchanges that nobody subscribes to")
    place.record()
    until(lambda: any(one.seq > unheard + 20 for one in place.recorded()), 20, "exchanges after the restart")
    assert stop(place)[0] == 0
    assert_complete(place, topside)


def test_what_another_program_writes_into_the_metadata_survives_and_ours_is_put_back(place, topside):
    assert topside.vehicle == "rov1"
    place.record()
    assert start(place, "--sensor", "inWater=rov1")[0] == 0
    theirs = place.metadata() | {"fusion": {"status": "done"}}
    theirs["timeSync"] = {"inWater": {"method": "ntp_handshake_v1", "offsetMs": -151}, "surface": None}
    (place.folder() / "sync_metadata.json").write_text(json.dumps(theirs))
    until(lambda: place.metadata()["timeSync"].get("tidesync"), 5, "our part put back")
    document = place.metadata()
    assert document["fusion"] == {"status": "done"}
    assert document["timeSync"]["inWater"]["method"] == "mqtt_exchange_v1"


def test_silence_is_an_alarm_and_a_stop_does_not_wait_for_it(place):
    place.record()
    assert start(place, "--sensor", "surface=rov9")[0] == 0
    alarm = "nothing recorded of rov9 for more than 2 s"
    until(lambda: alarm in place.log(), 10, "the alarm")
    until(lambda: place.metadata()["timeSync"]["tidesync"]["alarm"] == alarm, 5, "the alarm in the file")
    entry = place.metadata()["timeSync"]["surface"]
    assert (entry["method"], entry["error"]) == ("unsynced", "timeout")
    begun = time.monotonic()
    assert stop(place)[0] == 0
    assert time.monotonic() - begun < 5
    assert [event["kind"] for event in place.events()] == ["outage"]


def test_what_cannot_be_done_is_refused_with_a_reason(place, tmp_path):
    place.record()
    assert start(place)[0] == 0
    url = ("--broker", place.broker.url)
    code, _, err = place.session("stop", "unknown", *url)
    assert (code, err.count("\n")) == (1, 1)
    assert "unknown" in err
    (tmp_path / "root" / "outside").symlink_to(tmp_path)
    code, out, err = place.session("start", "--mission", "outside", "--name", "s2", "--json", *url)
    assert (code, json.loads(out)["state"]) == (1, "refused")
    assert "leads outside" in err
    assert not (tmp_path / "session_s2").exists()
    assert place.session("start", "--mission", "../x", *url)[0] == 2
    assert place.session("start", "--mission", "m", "--sensor", "inWater", *url)[0] == 2


def test_nobody_who_records_is_said_in_one_line(mosquitto, tmp_path):
    place = Place(mosquitto, tmp_path / "root")
    begin = ("start", "--mission", "m", "--timeout", "0.5", "--broker")
    code, _, err = place.session(*begin, mosquitto.url)
    assert (code, err.count("\n")) == (1, 1)
    assert "no recorder answered" in err
    mosquitto.stop()
    code, _, err = place.session(*begin, mosquitto.url)
    assert (code, err.count("\n")) == (1, 1)
    assert "connection refused" in err


def test_a_root_that_cannot_be_written_is_wrong_usage(mosquitto, tmp_path):
    (tmp_path / "file").write_text("")
    command = [sys.executable, "-m", "tidesync", "record", "--root", str(tmp_path / "file" / "root")]
    done = subprocess.run(
        [*command, "--broker", mosquitto.url], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert str(tmp_path / "file" / "root") in done.stderr
