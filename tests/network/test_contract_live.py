"""What really goes over the wire and into the files, held against the published schemas."""

import csv
import json
from collections import Counter

from broker.connection import Connection
from broker.interface import Outgoing
from broker.settings import ConnectionSettings
from runtime.clock import SystemClock
from schemas import topics
from schemas.messages import BurstCommand, StartCommand, StopCommand
from tests.deadline import until
from tests.network.recording import until_written
from tests.published import PUBLISHED, validator, validator_of

S = 1_000_000_000


class Wire:
    """Holds every message below the root against its published schema."""

    def __init__(self, url):
        self.seen = Counter()
        self.faults = []
        self.connection = Connection(ConnectionSettings(broker=url), self, SystemClock(), name="wire")
        self._schemas = {kind.name: validator_of(kind) for kind in topics.TOPICS}

    def connected(self):
        self.connection.subscribe([("tidesync/v1/#", 1)])

    def disconnected(self, reason):
        pass

    def received(self, message):
        kind = topics.parse("tidesync", message.topic).kind
        payload = message.payload.decode() if kind.payload is None else json.loads(message.payload)
        self.seen[kind.name] += 1
        self.faults += [
            f"{message.topic}: {error.message}" for error in self._schemas[kind.name].iter_errors(payload)
        ]

    def tick(self, now):  # noqa: ARG002 - the connection's signature
        return 1.0

    def say(self, kind, command, **names):
        topic = topics.build("tidesync", kind, **names)
        self.connection.post(lambda: self.connection.publish(Outgoing(topic, command.encode())))


def test_every_message_and_file_of_a_session_is_what_is_published(mosquitto_boat, tmp_path):
    boat = mosquitto_boat
    wire = Wire(boat.url)
    boat.start(wire.connection)
    assert wire.connection.wait_until_subscribed(60)
    checker = boat.checker()
    boat.topside(group="fleet")
    vehicle = boat.vehicle("rov1", offset_ns=-3 * S)
    boat.recorder(tmp_path)
    checker.until_state("rov1", "locked")

    start = StartCommand(request_id="start", mission="reef-42", sensors={"inWater": "rov1"})

    def answered(request_id):
        return checker.wait_for_session(lambda state: state.request_id == request_id, 0.5)

    def started():
        wire.say(topics.SESSION_COMMAND, start, session="s1")
        return answered("start")

    folder = tmp_path / until(started, 15, "the session's start").path
    boat.step("rov1", S)
    wire.say(topics.TOPSIDE_COMMAND, BurstCommand(request_id="burst", vehicle="rov1"), topside="topside")
    until(lambda: wire.seen["exchange"] >= 3 and wire.seen["event"], 15, "batches of exchanges, and the step")
    lines, events = (folder / "time_sync" / f"{name}.jsonl" for name in ("exchanges", "events"))
    until(lambda: all(path.exists() for path in (lines, events)), what="both journals")
    until(lambda: lines.read_bytes().count(b"\n") >= 8, what="exchanges recorded")
    wire.say(topics.SESSION_COMMAND, StopCommand(request_id="stop"), session="s1")
    state = until(lambda: (found := answered("stop")) and found.state == "stopped" and found, 15, "its stop")
    vehicle.stop()
    until(lambda: wire.seen["status"] >= 2, 10, "the vehicle's goodbye")
    until_written(tmp_path / state.path)

    kinds = {kind.name for kind in topics.TOPICS}
    until(lambda: kinds == set(wire.seen), what=lambda: f"messages of {kinds - set(wire.seen)}")
    assert wire.faults == []

    assert folder == tmp_path / state.path
    for line in lines.read_text().splitlines():
        validator("exchange_line").validate(json.loads(line))
    for line in events.read_text().splitlines():
        validator("event_line").validate(json.loads(line))
    clock = folder / "time_sync" / "clock.jsonl"
    for line in clock.read_text().splitlines() if clock.exists() else ():
        validator("clock_line").validate(json.loads(line))
    validator("sync_metadata").validate(json.loads((folder / "sync_metadata.json").read_text()))
    check_table(folder / "time_sync" / "offsets.csv")


def check_table(path):
    document = json.loads((PUBLISHED / "offsets.csv.table-schema.json").read_text())
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert list(rows[0]) == [field["name"] for field in document["fields"]]
    for row in rows:
        for field in document["fields"]:
            value = row[field["name"]]
            assert value or not field["constraints"]["required"]
            assert field["type"] == "string" or not value or str(int(value)) == value
            assert value in field["constraints"].get("enum", [value])
