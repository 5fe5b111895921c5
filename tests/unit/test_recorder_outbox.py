"""A recorder's subscriptions, commands, and what it knows of clocks before a session starts."""

import json

from broker.address import parse_address
from broker.errors import NotAuthorizedError
from schemas.clock_history import ClockResendCommand, VehicleClock
from tests.unit.contracts import VALID
from tests.unit.test_clock_pieces import S, piece
from tests.unit.test_recorder_session import recording
from tidesync.sessions.recorder.clock_log import LIVE_NS
from tidesync.sessions.recorder.outbox import ClockDirectory, Outbox

CLOCKS = ("tidesync/v1/topside/+/clock", "tidesync/v1/vehicle/+/clock")


class FakeConnection:
    """Keeps what is subscribed to, and what is published."""

    def __init__(self, refusal=None):
        self.refusal = refusal
        self.filters = {}
        self.published = []

    def subscribe(self, filters, answered=None):  # noqa: ARG002
        self.filters |= dict(filters)

    def unsubscribe(self, topics):
        for topic in topics:
            del self.filters[topic]

    def publish(self, *messages):
        self.published += messages
        return True


def subscribed(*recordings):
    connection = FakeConnection()
    outbox = Outbox(connection, "tidesync")
    for each in recordings:
        outbox.subscribe(each)
    return connection.filters


def test_clocks_are_heard_always_and_queued_for_the_recorder_only_while_a_session_needs_them():
    every_vehicle = recording(sensors={})
    assert [subscribed([])[topic] for topic in CLOCKS] == [0, 0]
    assert [subscribed([], [every_vehicle])[topic] for topic in CLOCKS] == [1, 1]
    assert [subscribed([], [every_vehicle], [])[topic] for topic in CLOCKS] == [0, 0]
    of_one = subscribed([], [recording()])
    assert [of_one[topic] for topic in (*CLOCKS, "tidesync/v1/vehicle/rov1/clock")] == [1, 0, 1]
    assert "tidesync/v1/vehicle/rov1/clock" not in subscribed([recording()], [])


def test_a_command_goes_to_the_machine_that_has_the_pieces():
    connection = FakeConnection()
    command = ClockResendCommand(request_id="r", instance_id="i1", from_number=3, to_number=7)
    for owner in (("vehicle", "rov1"), ("topside", "laptop")):
        Outbox(connection, "tidesync").commands([(owner, command)])
    topics = [one.topic for one in connection.published]
    assert topics == ["tidesync/v1/vehicle/rov1/command", "tidesync/v1/topside/laptop/command"]
    assert json.loads(connection.published[0].payload) == {
        "request_id": "r",
        "action": "resend",
        "what": "clock",
        "instance_id": "i1",
        "from": 3,
        "to": 7,
    }


def test_the_newest_piece_of_a_machine_heard_of_late_is_kept_for_a_session_that_starts():
    directory = ClockDirectory()
    pieces = (piece(0, 3), piece(3, 5))
    message = VehicleClock(vehicle="rov1", boot_id="b1", instance_id="i1", first=7, pieces=pieces)
    directory.note(("vehicle", "rov1"), message, 5 * S)
    ((owner, newest),) = directory.alive(5 * S + LIVE_NS)
    assert (owner, newest.first, newest.pieces) == (("vehicle", "rov1"), 8, pieces[1:])
    assert directory.alive(5 * S + LIVE_NS + 1) == []


def test_what_the_broker_refuses_a_recorder_stands_in_the_state_of_its_sessions():
    topic = "tidesync/v1/vehicle/+/exchange/+"
    refusal = NotAuthorizedError(parse_address("mqtt://boat"), "recorder", [topic])
    connection = FakeConnection(refusal)
    Outbox(connection, "tidesync").state(
        VALID["session_state"].model_copy(update={"alarm": "nothing recorded"})
    )
    alarm = json.loads(connection.published[0].payload)["alarm"]
    assert alarm.startswith("nothing recorded; broker mqtt://boat:1883 refuses account 'recorder'")
    assert topic in alarm
