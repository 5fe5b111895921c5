"""A topside that finishes exchanges by the clock, and a place with a recorder in a process of its own."""

import json
import signal
import subprocess
import sys
import threading

import pytest

from broker.connection import Connection
from broker.interface import Outgoing
from broker.settings import ConnectionSettings
from runtime.clock import SystemClock
from schemas import topics
from schemas.exchange import Exchange
from schemas.instants import utc_from_ns
from schemas.messages import Event, ResendCommand, SessionState
from tests.clock_publisher import ClockPublisher
from tests.command_line import tidesync
from tests.deadline import until
from tests.results import offset_result
from topside_agent.measuring.backlog import Backlog

ROOT = "tidesync"
S = 1_000_000_000


class FakeTopside:
    """Finishes exchanges, publishes them in batches, and sends again what it is asked for."""

    def __init__(self, url, vehicle="rov1"):
        self.vehicle = vehicle
        self.clock = SystemClock()
        self.finished = []
        self.commands = []
        self.muted = threading.Event()
        self._backlog = Backlog(1800 * S)
        self._due_ns = 0
        self.connection = Connection(
            ConnectionSettings(broker=url), self, self.clock, name="tidesync-topside-fake"
        )
        self.connection.start()
        assert self.connection.wait_until_subscribed(60)

    def connected(self):
        self.connection.subscribe([(topics.build(ROOT, topics.TOPSIDE_COMMAND, topside="fake"), 1)])
        self._send(topics.TOPSIDE_STATUS, b"online", topside="fake")

    def disconnected(self, reason):
        pass

    def received(self, message):
        command = topics.TOPSIDE_COMMAND.decode(message.payload)
        self.commands.append(command)
        if isinstance(command, ResendCommand):
            for payload in self._backlog.resend(command.from_seq, command.to_seq):
                self._send_batch(payload)

    def tick(self, now):
        """Five exchanges and a result ten times a second; while muted they are finished but not published."""
        if now.raw_ns < self._due_ns:
            return (self._due_ns - now.raw_ns) / 1e9
        self._due_ns = now.raw_ns + S // 10
        for _ in range(5):
            self._finish()
        if self.connection.up:
            for payload in self._backlog.take_batches():
                if not self.muted.is_set():
                    self._send_batch(payload)
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
            topside_boot_id="topside-boot",
        )
        self.finished.append(exchange)
        self._backlog.add(exchange, self.clock.raw_ns())

    def _result(self):
        at_ns = self.clock.realtime_ns()
        return offset_result(
            vehicle=self.vehicle,
            topside="fake",
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
            measured_at=utc_from_ns(at_ns),
            measured_unix_ms=at_ns // 10**6,
        )

    def _send_batch(self, payload):
        return self._send(topics.EXCHANGE, payload, vehicle=self.vehicle, topside="fake")

    def _send(self, kind, payload, **names):
        return self.connection.publish(
            Outgoing(topics.build(ROOT, kind, **names), payload, kind.qos, kind.retain)
        )


class ConnectedClock(ClockPublisher):
    """The same on a connection of its own, which may be away for a while."""

    def __init__(self, url, machine, name):
        super().__init__(machine, name, SystemClock(), piece_s=0.2, open_s=1.0)
        self._settings = ConnectionSettings(broker=url)
        self.come()

    def come(self):
        """Publish from the open piece on: those before it are lost, unless they are asked for."""
        self.grow()
        self._published = self.number
        self.connection = Connection(
            self._settings, self, self.clock, name=f"{self.machine}-{self.name}-clock"
        )
        self.connection.start()
        assert self.connection.wait_until_subscribed(60)

    def leave(self):
        self.connection.stop()


class Place:
    """A broker, a recorder in a process of its own, a folder, and the command line to drive them."""

    def __init__(self, broker, root, log="recorder.log"):
        self.broker = broker
        self.root = root
        self.log_path = root.parent / log
        self._log = self.log_path.open("ab")
        self._process = None

    def record(self, *options):
        command = [sys.executable, "-m", "tidesync", "record", "--broker", self.broker.url]
        command += ["--root", str(self.root), "--alarm-s", "20", *options]
        self._process = subprocess.Popen(command, stderr=self._log)
        return self

    def kill(self):
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self):
        if self._process and self._process.poll() is None:
            self._process.terminate()
            return self._process.wait(60)
        return None

    def session(self, *arguments):
        patient = ["--timeout", "60"] if "start" in arguments and "--timeout" not in arguments else []
        done = tidesync("session", *arguments, *patient)
        return done.returncode, done.stdout, done.stderr

    def log(self):
        return self.log_path.read_text()

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
        lines = (self.folder() / "time_sync" / "events.jsonl").read_bytes().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith(b"\n")]


class Operator:
    """Publishes session commands as bytes, on any topic, and keeps every state that is published."""

    def __init__(self, url):
        self.states = []
        self.commands = []
        self._heard = threading.Condition()
        self.connection = Connection(ConnectionSettings(broker=url), self, SystemClock(), name="operator")
        self.connection.start()
        assert self.connection.wait_until_up(60)

    def connected(self):
        self.connection.subscribe([(f"tidesync/v1/session/+/{kind}", 1) for kind in ("state", "command")])

    def disconnected(self, reason):
        pass

    def received(self, message):
        if message.topic.endswith("/state"):
            with self._heard:
                self.states.append(SessionState.decode(message.payload))
                self._heard.notify_all()
        else:
            self.commands.append(message.payload)

    def tick(self, now):  # noqa: ARG002 - the connection's signature
        return 1.0

    def say(self, session, **command):
        outgoing = Outgoing(f"tidesync/v1/session/{session}/command", json.dumps(command).encode())
        self.connection.post(lambda: self.connection.publish(outgoing))

    def ask(self, session, request_id, **command):
        """The answer to a command that is repeated, as clients do: a recorder may not have subscribed yet."""

        def answer():
            return next((state for state in self.states if state.request_id == request_id), None)

        def answer_within_a_second():
            self.say(session, request_id=request_id, **command)
            with self._heard:
                return self._heard.wait_for(answer, 1)

        return until(answer_within_a_second, 15, f"the answer to {request_id}")


def start(place, *more):
    """Start session s1."""
    until(lambda: "connected to broker" in place.log(), 15, "the recorder's connection")
    return place.session("start", "--mission", "reef-42", "--name", "s1", *more, "--broker", place.broker.url)


def stop(place, *more):
    """Stop session s1, and wait for all that is written of it."""
    answer = place.session("stop", "s1", *more, "--broker", place.broker.url)
    if answer[0] == 0:
        until_written(place.folder())
    return answer


def until_written(folder):
    """A stop is answered after three seconds, whatever is still being written."""
    path = folder / "sync_metadata.json"
    until(lambda: json.loads(path.read_bytes())["timeSync"]["tidesync"]["state"] == "stopped", 60, "the rest")


def assert_offset(entry, offset_ms):
    """A sensor's entry in the metadata has this offset, as nearly as it states itself."""
    assert entry["offsetMs"] == pytest.approx(offset_ms, abs=entry["uncertaintyMs"])


def assert_complete(place, topside):
    """Of a stopped session: from the first to the last each is recorded once."""
    recorded = place.recorded()
    keys = [(one.seq, one.origin_ns) for one in recorded]
    assert len(set(keys)) == len(keys)
    first, last = min(one.seq for one in recorded), max(one.seq for one in recorded)
    assert sorted(recorded, key=lambda one: one.seq) == topside.finished[first : last + 1]


def states(place, *more):
    code, out, err = place.session("list", "--json", "--broker", place.broker.url, *more)
    assert (code, err) == (0, "")
    return {state["session"]: state for state in json.loads(out)["sessions"]}
