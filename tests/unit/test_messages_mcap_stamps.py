"""Stamps in ROS headers within MCAP messages, where they are asked for."""

import json
import struct

import numpy as np
import pytest
from mcap.opcode import Opcode
from mcap.reader import make_reader
from mcap.records import Channel, Schema
from mcap.writer import Writer

from tests.effort import tries
from tests.unit.mcap_files import read_mcap
from tests.unit.recorded_clock import CLOCKS, timeline_of, write_session
from tests.unit.stamped_messages import (
    IDL,
    JSON,
    ROS1,
    ROS2,
    TIME,
    descriptors,
    json_text,
    of_bytes,
    of_int,
    protobuf,
    ros,
)
from tests.unit.tracks import START, S
from tidesync.command_line import run
from tidesync.sessions.correction.formats import output_of
from tidesync.sessions.correction.table import Job
from tidesync.sessions.messages import mcap_block
from tidesync.sessions.messages.driver import correct_messages
from tidesync.sessions.messages.json_stamps import json_stamps
from tidesync.sessions.messages.mcap_block import PAYLOAD_AT, Definition, block_of
from tidesync.sessions.messages.mcap_records import packed
from tidesync.sessions.messages.mcap_stamps import MessageStamps
from tidesync.sessions.messages.ros_places import places_of
from tidesync.sessions.messages.ros_stamps import ros_stamps

LINE = b"=" * 80 + b"\nMSG: "
OF_ROS2 = LINE + b"std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id\n"
OF_ROS1 = LINE + b"std_msgs/Header\nuint32 seq\ntime stamp\nstring frame_id\n"
KINDS = {
    "/imu": ("ros2msg", "cdr", b"uint8 KIND=1\nstd_msgs/Header header # when\nfloat64 x\n" + OF_ROS2, 4),
    "/clock": ("ros2msg", "cdr", b"builtin_interfaces/Time stamp\n", 4),
    "/old": ("ros1msg", "ros1", b"Header header\nfloat64 x\n" + OF_ROS1, 4),
    "/bare": ("ros1msg", "ros1", b"time at\n", 0),
    "/late": ("ros2msg", "cdr", b"int8 x\nuint16[2] y\nstd_msgs/Header header\n" + OF_ROS2, 12),
    "/json": ("jsonschema", "json", b"{}", None),
}

TAILS = {
    "/imu": struct.pack("<IBxxxd", 1, 0, 1.5),
    "/old": struct.pack("<Id", 0, 1.5),
    "/late": struct.pack("<IB", 1, 0),
}
"""What follows the stamp in a message."""


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
                b"\x00\x01\x00\x00"[: place or 0].ljust(place or 0, b"\x00") + stamp + TAILS.get(topic, b"")
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


MADE = {
    "/ros2": (
        "x/msg/Whole",
        "ros2msg",
        ROS2.encode(),
        "cdr",
        lambda stamps, number: ros(stamps, number, cdr=True)[0],
    ),
    "/idl": (
        "x/msg/Whole",
        "ros2idl",
        IDL.encode(),
        "cdr",
        lambda stamps, number: ros(stamps, number, cdr=True)[0],
    ),
    "/ros1": (
        "x/Whole",
        "ros1msg",
        ROS1.encode(),
        "ros1",
        lambda stamps, number: ros(stamps, number, cdr=False)[0],
    ),
    "/proto": ("x.Whole", "protobuf", descriptors(), "protobuf", protobuf),
    "/json": ("x.Whole", "jsonschema", json.dumps(JSON).encode(), "json", json_text),
}
NUMBERS = {topic: number for number, topic in enumerate(MADE)}


def write_several(path, clock, **options):
    """Messages with two to five stamps each; by their sequence topside's of each."""
    chance, truth = np.random.default_rng(9), {}
    with path.open("wb") as stream:
        writer = Writer(stream, **{"chunk_size": 5_000, **options})
        writer.start()
        channels = {}
        for topic, (name, encoding, text, message_encoding, _) in MADE.items():
            schema = writer.register_schema(name, encoding, text)
            channels[topic] = writer.register_channel(topic, message_encoding, schema)
        for number in range(1, 120 * 5):
            at_ns = START + number * S // 5 + int(chance.integers(S // 5))
            if clock.off((at_ns - START) / S):
                continue
            topic = list(MADE)[number % len(MADE)]
            taken = [at_ns - int(each) for each in chance.integers(30_000_000, size=2 + number % 4)]
            if number % 40 == 3:
                taken[0] = at_ns // S * S - 2 * S  # protobuf leaves nanos out
            shown = [int(clock.shows(each)) for each in taken]
            if number % 30 == 7:
                shown[-1] += 5 * S  # another clock: none of this message is corrected
            writer.add_message(
                channels[topic], int(clock.shows(at_ns)), MADE[topic][4](shown, number), 0, number
            )
            truth[number] = taken
        writer.finish()
    return truth


@pytest.mark.parametrize("name", CLOCKS)
def test_all_stamps_of_a_message_are_corrected_or_none_and_all_else_is_as_it_was(
    name, tmp_path, tmp_path_factory
):
    path = tmp_path / "log.mcap"
    truth = write_several(path, CLOCKS[name])
    job = Job(path, "rov1", message_stamps=True)
    result = correct_messages(job, timeline_of(name, tmp_path_factory), lambda _: None)
    before = {message.sequence: message for _, message in read_mcap(path)[0]}
    errors, corrected = errors_of(output_of(path)), dict.fromkeys(MADE, 0)
    for channel, message in read_mcap(output_of(path))[0]:
        taken = truth[message.sequence]
        make = MADE[channel.topic][4]
        if errors[message.sequence] is None:
            assert message.data == before[message.sequence].data
            continue
        assert message.sequence % 30 != 7
        # What it was made of again: only stamps differ, by what the error allows.
        found = stamps_in(channel.topic, message.data, len(taken), message.sequence)
        assert message.data == make(found, message.sequence)
        assert len(found) == len(taken)
        for at_ns, true_ns in zip(found, taken, strict=True):
            assert abs(at_ns - true_ns) <= errors[message.sequence]
        corrected[channel.topic] += 1
    of_each = {topic: sum(number % len(MADE) == NUMBERS[topic] for number in truth) for topic in MADE}
    assert all(corrected[topic] > 0.65 * of_each[topic] for topic in MADE), corrected
    assert "messages are not what" not in "".join(result.outcome.notes)


def stamps_in(topic, data, count, number):
    """The stamps of a message of MADE, in the order in which it was made of so many."""
    if topic == "/json":
        document = json.loads(data)
        found = [document["timestamp"], *(each["stamp"] for each in document["parts"])]
        return [each["sec"] * S + each["nsec"] for each in found]
    if topic == "/proto":
        return proto_stamps(data)
    places = ros([0] * count, number, cdr=topic != "/ros1")[1]
    parts = (struct.unpack_from("<II", data, place) for place in places)
    return [seconds * S + rest for seconds, rest in parts]


def proto_stamps(data, depth=0):
    """Own stamps first, then those of parts; by the numbers of the fields in `stamped_messages`."""
    own, parts, at = [], [], 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            value, shift, at = value | (data[at] & 127) << shift, shift + 7, at + 1
            if data[at - 1] < 128:
                return value

    while at < len(data):
        field, wire = divmod(number(), 8)
        if wire == 1:
            at += 8
        elif wire == 0:
            number()
        else:
            size = number()
            content, at = data[at : at + size], at + size
            if field == 1:
                values = dict.fromkeys((1, 2), 0) | dict(pairs(content))
                own.append(values[1] * S + values[2])
            elif field == (3 if depth else 4):
                parts += proto_stamps(content, depth + 1)
    return own + parts


def pairs(content):
    at = 0
    while at < len(content):
        field, at, value, shift = content[at] >> 3, at + 1, 0, 0
        while True:
            value, shift, at = value | (content[at] & 127) << shift, shift + 7, at + 1
            if content[at - 1] < 128:
                break
        yield field, value


def test_messages_that_are_not_what_their_schemas_say_are_left_and_counted(tmp_path, tmp_path_factory):
    path, chance = tmp_path / "log.mcap", np.random.default_rng(4)
    clock, timeline = CLOCKS["back"], timeline_of("back", tmp_path_factory)
    for _ in range(tries(4)):
        truth, flipped = {}, 0
        with path.open("wb") as stream:
            writer = Writer(stream, chunk_size=3_000)
            writer.start()
            for topic, (name, encoding, text, message_encoding, make) in MADE.items():
                altered = bytearray(text)
                if chance.integers(4) == 0:
                    altered[int(chance.integers(len(altered)))] ^= 1 << int(chance.integers(8))
                schema = writer.register_schema(name, encoding, bytes(altered))
                channel = writer.register_channel(topic, message_encoding, schema)
                for number in range(60):
                    at_ns = START + 20 * S + number * S // 2
                    payload = bytearray(make([int(clock.shows(at_ns - S // 4))] * 3, number))
                    for _ in range(int(chance.integers(3))):
                        payload[int(chance.integers(len(payload)))] ^= 1 << int(chance.integers(8))
                    if chance.integers(5) == 0:
                        del payload[int(chance.integers(len(payload))) :]
                    flipped += 1
                    sequence = len(truth) + 1
                    truth[sequence] = bytes(payload)
                    writer.add_message(channel, int(clock.shows(at_ns)), bytes(payload), 0, sequence)
            writer.finish()
        result = correct_messages(Job(path, "rov1", message_stamps=True), timeline, lambda _: None)
        assert result.corrected > 0.9 * flipped
        errors = errors_of(output_of(path))
        for _, message in read_mcap(output_of(path))[0]:
            if errors[message.sequence] is None:
                assert message.data == truth[message.sequence]
        assert "messages are not what their schemas say" in "".join(result.outcome.notes)


@pytest.mark.parametrize("topic", ["/proto", "/json", "/ros2"])
@pytest.mark.parametrize("far_s", [253_402_300_799, 2**33, -5, -62_135_596_800])
def test_one_stamp_that_is_no_usable_time_leaves_all_of_its_message(topic, far_s, tmp_path, tmp_path_factory):
    path, (name, encoding, text, message_encoding, make) = tmp_path / "log.mcap", MADE[topic]
    clock, far_ns = CLOCKS["drift"], far_s * S + 7
    shown = [int(clock.shows(START + each * S)) for each in (30, 31)]
    if topic == "/proto":
        stamp = b"".join(of_int(number, value) for number, value in ((1, far_s % 2**64), (2, 7)))
        far = make([shown[0]] * 2, 1) + of_bytes(4, of_bytes(1, stamp))
    elif topic == "/json":
        far = make([shown[0], far_ns], 1)
    else:
        payload, places = ros([shown[0]] * 3, 1, cdr=True)
        stamp = struct.pack("<iI", far_s, 7) if abs(far_s) < 2**31 else struct.pack("<II", shown[0] // S, S)
        far = payload[: places[1]] + stamp + payload[places[1] + 8 :]
    payloads = {1: make([shown[0]] * 3, 1), 2: far, 3: make([shown[1], 0, shown[1]], 1)}
    with path.open("wb") as stream:
        writer = Writer(stream)
        writer.start()
        channel = writer.register_channel(
            topic, message_encoding, writer.register_schema(name, encoding, text)
        )
        for number, payload in payloads.items():
            writer.add_message(channel, shown[1], payload, shown[1], number)
        writer.finish()
    job = Job(path, "rov1", message_stamps=True)
    result = correct_messages(job, timeline_of("drift", tmp_path_factory), lambda _: None)
    errors = errors_of(output_of(path))
    assert [errors[number] is None for number in payloads] == [False, True, False]
    found = {message.sequence: message.data for _, message in read_mcap(output_of(path))[0]}
    assert [found[number] == payloads[number] for number in payloads] == [False, True, False]
    assert "stay as recorded" in result.outcome.notes[-1]


def block_with(payloads):
    return block_of(
        b"".join(mcap_block.message(1, number, START, each) for number, each in enumerate(payloads))
    )


@pytest.mark.parametrize("topic", ["/imu", "/late", "/old", "/clock", "/bare"])
def test_many_messages_are_walked_as_one_is(topic):
    encoding, _, text, place = KINDS[topic]
    text = text if topic != "/imu" else b"uint8[] y\nint16[3] z\nfloat64[] v\nstring s\n" + text
    stamps, chance = ros_stamps(Schema(1, text, encoding, "x/msg/X")), np.random.default_rng(7)
    front = b"\x00\x01\x00\x00"[:place] if encoding == "ros2msg" else b""
    payloads = [b"", front, front[:1]]
    for _ in range(tries(3_000)):
        size = int(chance.integers(70))
        content = chance.integers(256, size=size) * (chance.random(size) < 0.1)
        low = chance.integers(6, size=size) * (chance.random(size) < 0.1)
        payloads.append(front + bytes((content if chance.random() < 0.2 else low).astype(np.uint8)))
    block = block_with(payloads)
    whole, places = places_of(
        stamps.leaves, block.data, block.starts + PAYLOAD_AT, block.ends, is_cdr=stamps.is_cdr
    )
    one_by_one = [stamps.places(each) for each in payloads]
    assert whole.tolist() == [each is not None for each in one_by_one]
    assert 0 < whole.sum() < len(payloads)
    for number in np.flatnonzero(whole).tolist():
        assert (places[number] - block.starts[number] - PAYLOAD_AT).tolist() == one_by_one[number]


@pytest.mark.parametrize("topic", ["/imu", "/late", "/old"])
def test_a_message_that_is_cut_off_or_written_in_another_way_is_left_and_counted(topic):
    encoding, message_encoding, text, place = KINDS[topic]
    front = b"\x00\x01\x00\x00" if encoding == "ros2msg" else b""
    whole = front.ljust(place, b"\x00") + struct.pack("<II", START // S, 5) + TAILS[topic]
    payloads = [whole, whole[: place + 4], whole[: place + 8], whole[: place + 10], whole + bytes(8)]
    if front:
        payloads += [bytes([0, kind]) + whole[2:] for kind in (0, 3, 7, 9)] + [b"\x01" + whole[1:]]
    records = [Schema(1, text, encoding, "x/msg/X"), Channel(1, topic, message_encoding, {}, 1)]
    kinds = (Opcode.SCHEMA, Opcode.CHANNEL)
    stamps = MessageStamps(
        Definition(kind, 1, packed(record)) for kind, record in zip(kinds, records, strict=True)
    )
    found = stamps.of(block_with(payloads))
    assert (found.rows.tolist(), found.mismatched) == ([0], len(payloads) - 1)
    assert found.at_ns.tolist() == [START // S * S + 5]


def test_no_stamp_of_a_json_schema_that_refers_to_itself_is_taken():
    stamp = {
        "type": "object",
        "title": "time",
        "properties": {"sec": {"type": "integer"}, "nsec": {"type": "integer"}},
    }
    plain = {"type": "object", "properties": {"stamp": stamp}}
    assert json_stamps(json.dumps(plain).encode()) is not None
    part = {"type": "object", "properties": {key: {"$ref": "#/definitions/part"} for key in "abc"}}
    endless = {**plain, "properties": {"stamp": stamp, "part": part}, "definitions": {"part": part}}
    with pytest.raises(ValueError, match="it refers to itself, or is deeper than 16"):
        json_stamps(json.dumps(endless).encode())


def wide_json(levels, fields):
    """A schema of which each level has so many properties of the next one: few bytes, many places."""
    parts = {
        f"p{level}": {
            "type": "object",
            "properties": {f"f{each}": {"$ref": f"#/definitions/p{level + 1}"} for each in range(fields)},
        }
        for level in range(levels)
    }
    last = {f"p{levels}": {"type": "object", "properties": {"stamp": TIME}}}
    return {**parts["p0"], "definitions": parts | last}


def test_a_json_schema_whose_parts_are_used_again_and_again_is_read_once():
    found = json_stamps(json.dumps(wide_json(12, 10)).encode())
    message = {"stamp": {"sec": 7, "nsec": 5}}
    for _ in range(12):
        message = {"f3": message}
    assert found.stamps(json.dumps(message).encode()) == [7 * S + 5]


def nested(levels, members):
    """A definition for ROS: each type has the `members`, which are of the next one."""
    texts = [members.format(f"x/T{level}") for level in range(levels)] + ["builtin_interfaces/Time t\n"]
    return texts[0] + "".join(f"{'=' * 80}\nMSG: x/T{level}\n{text}" for level, text in enumerate(texts[1:]))


HUGE = {
    "arrays of arrays": ("ros2msg", nested(3, "{0}[1000] a\n")),
    "types of types": ("ros2msg", nested(25, "{0} a\n{0} b\n")),
    "a long text": ("ros2msg", "builtin_interfaces/Time t\n" + "#" * 2_000_000),
    "empty ones": ("ros1msg", f"time t\nx/T0[4000000000] e\n{'=' * 80}\nMSG: x/T0\n\n"),
}


@pytest.mark.parametrize("name", HUGE)
def test_a_schema_of_ros_that_means_very_much_costs_little(name):
    encoding, text = HUGE[name]
    schema = Schema(1, text.encode(), encoding, "x/msg/Whole" if encoding == "ros2msg" else "x/Whole")
    try:
        found = ros_stamps(schema)
    except ValueError:
        return
    front = b"\x00\x01\x00\x00" if encoding == "ros2msg" else b""
    assert found.places(front + bytes(800)) is None


def test_schemas_that_cannot_be_read_are_named(tmp_path, tmp_path_factory):
    path, clock = tmp_path / "log.mcap", CLOCKS["drift"]
    with path.open("wb") as stream:
        writer = Writer(stream)
        writer.start()
        for name, encoding in (("x/msg/Torn", "ros2msg"), ("Odd", "jsonschema"), ("Cut", "protobuf")):
            schema = writer.register_schema(name, encoding, b"{")
            channel = writer.register_channel(name, {"ros2msg": "cdr"}.get(encoding, "json"), schema)
            for number in range(40):
                shown = int(clock.shows(START + number * S))
                writer.add_message(channel, shown, b"{}", shown, number)
        writer.finish()
    timeline = timeline_of("drift", tmp_path_factory)
    result = correct_messages(Job(path, "rov1", message_stamps=True), timeline, lambda _: None)
    (note,) = (each for each in result.outcome.notes if "cannot be read" in each)
    assert note.startswith("3 schemas cannot be read ('Cut', 'Odd', 'x/msg/Torn')")
