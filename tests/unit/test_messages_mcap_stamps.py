"""Stamps in ROS headers within MCAP messages, where they are asked for."""

import json
import struct

import numpy as np
import pytest
from mcap.reader import make_reader
from mcap.writer import Writer

from tests.unit.mcap_files import read_mcap
from tests.unit.recorded_clock import CLOCKS, timeline_of, write_session
from tests.unit.tracks import START, S
from tidesync.command_line import run
from tidesync.sessions.correction.formats import output_of
from tidesync.sessions.correction.table import Job
from tidesync.sessions.messages.driver import correct_messages

HEADER = (
    b"# of the sensor\nuint8 KIND=1\nstd_msgs/Header header # when\nfloat64 x\n===\nMSG: std_msgs/Header\n"
)
KINDS = {
    "/imu": ("ros2msg", "cdr", HEADER, 4),
    "/clock": ("ros2msg", "cdr", b"builtin_interfaces/Time stamp\n", 4),
    "/old": ("ros1msg", "ros1", b"Header header\nfloat64 x\n", 4),
    "/bare": ("ros1msg", "ros1", b"time at\n", 0),
    "/late": ("ros2msg", "cdr", b"float64 x\nstd_msgs/Header header\n", None),
    "/json": ("jsonschema", "json", b"{}", None),
}


def write(path, clock):
    """Messages of all kinds; topside's instant of each stamp by its number, None where it has none."""
    chance, truth = np.random.default_rng(3), {}
    with path.open("wb") as stream:
        writer = Writer(stream, chunk_size=5_000)
        writer.start()
        channels = {}
        for topic, (encoding, message_encoding, text, _) in KINDS.items():
            schema = writer.register_schema(topic[1:], encoding, text)
            channels[topic] = writer.register_channel(topic, message_encoding, schema)
        for number in range(120 * 10):
            at_ns = START + number * S // 10 + int(chance.integers(S // 10))
            if clock.off((at_ns - START) / S):
                continue
            topic = list(KINDS)[number % len(KINDS)]
            place = KINDS[topic][3]
            taken_ns = at_ns - int(chance.integers(30_000_000))
            ahead = number % 50 == 0
            shown = int(clock.shows(taken_ns)) + ahead * S
            stamp = struct.pack("<II", shown // S, shown % S)
            payload = (
                b"\x00\x01\x00\x00"[: place or 0].ljust(place or 0, b"\x00")
                + stamp
                + struct.pack("<Q", number)
            )
            log_ns = int(clock.shows(at_ns))
            writer.add_message(channels[topic], log_ns, payload, log_ns, number)
            truth[number] = None if place is None or ahead else taken_ns
        writer.finish()
    return truth


def errors_of(path):
    """The error of each message's stamp by channel and sequence."""
    found = {}
    with path.open("rb") as stream:
        for _, _, message in make_reader(stream).iter_messages(topics=["/tidesync/error"]):
            errors = json.loads(message.data)
            stamps = errors["stamp_max_error_ns"] or [None] * len(errors["channel_id"])
            found |= dict(zip(errors["sequence"], stamps, strict=True))
    return found


@pytest.mark.parametrize("name", CLOCKS)
def test_stamps_are_right_within_their_errors_and_all_else_is_as_it_was(name, tmp_path, tmp_path_factory):
    path = tmp_path / "log.mcap"
    truth = write(path, CLOCKS[name])
    job = Job(path, "rov1", message_stamps=True)
    result = correct_messages(job, timeline_of(name, tmp_path_factory), lambda _: None)
    before = {message.sequence: message for _, message in read_mcap(path)[0]}
    errors, corrected = errors_of(output_of(path)), 0
    for channel, message in read_mcap(output_of(path))[0]:
        old, place, error_ns = (
            before[message.sequence],
            KINDS[channel.topic][3] or 0,
            errors[message.sequence],
        )
        assert message.data[:place] == old.data[:place]
        assert message.data[place + 8 :] == old.data[place + 8 :]
        if error_ns is None:
            assert message.data == old.data
            continue
        seconds, rest = struct.unpack_from("<II", message.data, place)
        assert abs(seconds * S + rest - truth[message.sequence]) <= error_ns
        corrected += 1
    stamps = sum(each is not None for each in truth.values())
    assert 0.85 * stamps < corrected <= stamps
    assert result.outcome.notes[-1].startswith(f"{corrected} stamps within messages are corrected")


def test_they_stay_unless_they_are_asked_for(tmp_path):
    session = tmp_path / "session_1"
    write_session(session, CLOCKS["drift"])
    path = session / "log.mcap"
    write(path, CLOCKS["drift"])
    before = {message.sequence: message.data for _, message in read_mcap(path)[0]}
    options = ["correct", str(session), "--file", str(path), "--vehicle", "rov1"]
    assert run(["-q", *options]) == 0
    after = {message.sequence: message.data for _, message in read_mcap(output_of(path))[0]}
    assert all(before[number] == data for number, data in after.items())
    assert set(errors_of(output_of(path)).values()) == {None}
    assert run(["-q", *options, "--message-stamps"]) == 0
    after = {message.sequence: message.data for _, message in read_mcap(output_of(path))[0]}
    assert sum(before[number] != data for number, data in after.items()) > 600
