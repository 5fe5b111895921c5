"""Corrected ROS bags: no answered time outside its error, and everything else as rosbags reads it."""

import csv
import random
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from rosbags.rosbag1 import Reader as Reader1
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import Reader as Reader2
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_typestore

from tests.effort import tries
from tests.unit.recorded_clock import CLOCKS, timeline_of, write_session
from tests.unit.test_messages_mcap_damage import KINDS, damaged
from tests.unit.tracks import START, S
from tidesync.command_line import run
from tidesync.sessions.correction.formats import output_of, sidecar_of, unanswered_of
from tidesync.sessions.correction.table import Job
from tidesync.sessions.errors import UnusableFileError
from tidesync.sessions.messages.driver import correct_messages

TOPICS = ("/imu", "/depth, raw")


def corrected(path, timeline):
    return correct_messages(Job(path, "rov1"), timeline, lambda _: None)


def instants(clock, seconds=120, rate=10):
    chance = np.random.default_rng(9)
    found = (START + number * S // rate + int(chance.integers(S // rate)) for number in range(seconds * rate))
    return [at_ns for at_ns in found if not clock.off((at_ns - START) / S)]


def write_bag(path, clock, compression=None, **manner):
    """A ROS 1 bag; topside's instants of its messages, ns."""
    store, truth = get_typestore(Stores.ROS1_NOETIC), instants(clock, **manner)
    writer = Writer1(path)
    if compression:
        writer.set_compression(Writer1.CompressionFormat[compression])
    with writer:
        writer.chunk_threshold = 2_000
        connections = [writer.add_connection(each, "std_msgs/msg/String", typestore=store) for each in TOPICS]
        for number, at_ns in enumerate(truth):
            writer.write(connections[number % 2], int(clock.shows(at_ns)), number.to_bytes(8, "little") * 3)
    return truth


def write_bag2(folder, clock, **manner):
    """A ROS 2 bag; its database, and topside's instants of its messages."""
    store, truth = get_typestore(Stores.ROS2_HUMBLE), instants(clock, **manner)
    with Writer2(folder, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connections = [writer.add_connection(each, "std_msgs/msg/String", typestore=store) for each in TOPICS]
        for number, at_ns in enumerate(truth):
            writer.write(connections[number % 2], int(clock.shows(at_ns)), number.to_bytes(8, "little") * 3)
    return next(folder.glob("*.db3")), truth


def read_bag(path):
    """(topic, time, data) of each message."""
    with Reader1(path) as reader:
        return [(connection.topic, at_ns, bytes(data)) for connection, at_ns, data in reader.messages()]


def read_bag2(database, original):
    """The same of a database, in the place of that of a bag."""
    folder = database.parent.parent / f"read_{database.stem}"
    shutil.copytree(original.parent, folder)
    shutil.copyfile(database, folder / original.name)
    with Reader2(folder) as reader:
        return [(connection.topic, at_ns, bytes(data)) for connection, at_ns, data in reader.messages()]


def check(found, left, errors, truth, before):
    """Whether all messages are there once, and the answered ones right."""
    old = {data: (topic, at_ns) for topic, at_ns, data in before}
    for topic, at_ns, data in found:
        number = int.from_bytes(data[:8], "little")
        assert topic == old[data][0]
        assert abs(at_ns - truth[number]) <= errors[number]
    assert {(topic, at_ns, data) for topic, at_ns, data in left} <= set(before)
    assert len({data for *_, data in [*found, *left]}) == len(found) + len(left) == len(truth)


@pytest.mark.parametrize("name", CLOCKS)
def test_a_ros_1_bag(name, tmp_path, tmp_path_factory):
    path = tmp_path / "dive.bag"
    compression = {"drift": None, "step": "BZ2"}.get(name, "LZ4")
    truth = write_bag(path, CLOCKS[name], compression)
    result = corrected(path, timeline_of(name, tmp_path_factory))
    assert result.corrected > 0.85 * result.rows == 0.85 * len(truth)
    with sidecar_of(output_of(path)).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["topic"] for row in rows[:2]] == list(TOPICS)
    errors = {place: float(row["time_max_error_ms"] or 0) * 1e6 for place, row in enumerate(rows)}
    left = read_bag(unanswered_of(output_of(path))) if result.rows > result.corrected else []
    check(read_bag(output_of(path)), left, errors, truth, read_bag(path))
    with Reader1(path) as old, Reader1(output_of(path)) as new:
        assert [each[:5] for each in new.connections] == [each[:5] for each in old.connections]
        kinds = [{each.decompressor for each in reader.chunks.values()} for reader in (old, new)]
        assert kinds[0] == kinds[1]


@pytest.mark.parametrize("name", CLOCKS)
def test_a_ros_2_bag_in_sqlite(name, tmp_path, tmp_path_factory):
    path, truth = write_bag2(tmp_path / "dive", CLOCKS[name])
    original = path.read_bytes()
    result = corrected(path, timeline_of(name, tmp_path_factory))
    assert path.read_bytes() == original
    assert result.corrected > 0.85 * result.rows == 0.85 * len(truth)
    with closing(sqlite3.connect(output_of(path))) as database:
        found = database.execute("SELECT message_id, max_error_ns FROM tidesync_error").fetchall()
        about = dict(database.execute("SELECT * FROM tidesync").fetchall())
    assert about["vehicle"] == "rov1"
    errors = {number - 1: error_ns for number, error_ns in found}
    left = read_bag2(unanswered_of(output_of(path)), path) if result.rows > result.corrected else []
    check(read_bag2(output_of(path), path), left, errors, truth, read_bag2(path, path))


def test_second_runs_and_files_that_are_not_ours(tmp_path, tmp_path_factory):
    timeline = timeline_of("drift", tmp_path_factory)
    bag = tmp_path / "dive.bag"
    write_bag(bag, CLOCKS["drift"])
    database, _ = write_bag2(tmp_path / "dive", CLOCKS["drift"])
    for path in (bag, database):
        first = [(corrected(path, timeline), output_of(path).read_bytes())[1] for _ in range(2)]
        assert first[0] == first[1]
        own = sidecar_of(output_of(path))
        own.unlink(missing_ok=True)
        output_of(path).write_bytes(path.read_bytes())
        with pytest.raises(UnusableFileError, match="not written by tidesync correct"):
            corrected(path, timeline)
        assert not [each for each in path.parent.iterdir() if each.name.startswith(".")]


def test_damaged_bags_are_refused_by_name_and_nothing_is_written(tmp_path, tmp_path_factory):
    timeline, bag = timeline_of("drift", tmp_path_factory), tmp_path / "dive.bag"
    write_bag(bag, CLOCKS["drift"])
    database, _ = write_bag2(tmp_path / "dive", CLOCKS["drift"])
    for path in (bag, database):
        whole = path.read_bytes()
        half = () if path == bag else (whole[: len(whole) // 2],)
        for content in (b"", b"timestamp,value\n1,2\n", whole[:100], *half):
            path.write_bytes(content)
            with pytest.raises(UnusableFileError, match=path.name):
                corrected(path, timeline)
            assert not output_of(path).exists()


@pytest.mark.parametrize("compression", [None, "LZ4", "BZ2"])
def test_a_bag_without_an_index_is_corrected_as_far_as_it_goes(compression, tmp_path, tmp_path_factory):
    bag, timeline = tmp_path / "dive.bag", timeline_of("step", tmp_path_factory)
    truth = write_bag(bag, CLOCKS["step"], compression)
    whole, before = bag.read_bytes(), read_bag(bag)
    bag.write_bytes(whole[: len(whole) // 2])
    result = corrected(bag, timeline)
    assert 0.4 * len(truth) < result.rows < 0.6 * len(truth)
    assert 1 <= len(result.outcome.losses) <= 3
    with sidecar_of(output_of(bag)).open(newline="") as stream:
        errors = {
            place: float(row["time_max_error_ms"] or 0) * 1e6
            for place, row in enumerate(csv.DictReader(stream))
        }
    found, left = (read_bag(path) for path in (output_of(bag), unanswered_of(output_of(bag))))
    check(found, left, errors, truth[: result.rows], before[: result.rows])


@pytest.mark.parametrize(
    ("name", "stated"),
    [("time=", "is not the time that the bag's index has"), ("conn=", "which is not defined")],
)
def test_a_message_that_its_index_or_its_connections_contradict_is_stated(
    name, stated, tmp_path, tmp_path_factory
):
    bag = tmp_path / "dive.bag"
    truth = write_bag(bag, CLOCKS["drift"])
    data = bytearray(bag.read_bytes())
    near = data.index(b"op=\x02") - 45  # the header of the first message
    data[data.index(name.encode(), near) + len(name) + 1] ^= 0x10
    bag.write_bytes(data)
    result = corrected(bag, timeline_of("drift", tmp_path_factory))
    assert stated in "".join(each.reason for each in (*result.outcome.losses, *result.shown))
    assert result.rows - result.malformed == len(truth) - 1


def test_damage_of_a_bag_costs_what_it_hit_and_is_stated(tmp_path, tmp_path_factory):
    bag, timeline, chance = tmp_path / "dive.bag", timeline_of("back", tmp_path_factory), random.Random(6)
    for compression in (None, "LZ4"):
        bag.unlink(missing_ok=True)
        truth = write_bag(bag, CLOCKS["back"], compression)
        whole, by_data = bag.read_bytes(), {data: topic for topic, _, data in read_bag(bag)}
        for number in range(tries(8)):
            bag.write_bytes(damaged(whole, KINDS[number % 4], chance))
            for path in (output_of(bag), unanswered_of(output_of(bag)), sidecar_of(output_of(bag))):
                path.unlink(missing_ok=True)
            try:
                result = corrected(bag, timeline)
            except UnusableFileError:
                continue
            assert result.rows == len(truth) or result.outcome.losses
            for _, at_ns, data in read_bag(output_of(bag)) if result.corrected else ():
                if data in by_data and any(data):  # zeros may be damage
                    assert abs(at_ns - truth[int.from_bytes(data[:8], "little")]) <= result.max_error_ns


@pytest.mark.parametrize("kind", ["INTEGER", "TEXT", "REAL", "TEXT PRIMARY KEY", "REAL PRIMARY KEY"])
def test_messages_that_are_not_numbered_as_a_bags_are_refused(kind, tmp_path, tmp_path_factory):
    database, _ = write_bag2(tmp_path / "dive", CLOCKS["drift"])
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(
            f"ALTER TABLE messages RENAME TO old; CREATE TABLE messages (id {kind}, topic_id INTEGER, "
            "timestamp INTEGER, data BLOB); "
            "INSERT INTO messages SELECT id, topic_id, timestamp, data FROM old; DROP TABLE old;"
        )
    with pytest.raises(UnusableFileError, match=f"INTEGER PRIMARY KEY, received {kind.split()[0]}, "):
        corrected(database, timeline_of("drift", tmp_path_factory))
    assert not output_of(database).exists()


def test_a_trigger_is_refused(tmp_path, tmp_path_factory):
    database, _ = write_bag2(tmp_path / "dive", CLOCKS["drift"])
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(
            "CREATE TRIGGER late AFTER UPDATE ON messages "
            "BEGIN UPDATE messages SET timestamp = 5 WHERE id = new.id; END"
        )
    with pytest.raises(UnusableFileError, match="it has a trigger, late"):
        corrected(database, timeline_of("drift", tmp_path_factory))


def test_the_command_finds_them_in_a_sensors_folder(tmp_path, capsys):
    session = tmp_path / "session_1"
    write_session(session, CLOCKS["step"])
    (session / "in-water_7").mkdir()
    write_bag(session / "in-water_7" / "dive.bag", CLOCKS["step"])
    database, _ = write_bag2(tmp_path / "dive", CLOCKS["step"])
    options = ["--sensor", "inWater=rov1", "--file", str(database), "--vehicle", "rov1"]
    assert run(["-q", "correct", str(session), *options]) == 0
    out = capsys.readouterr().out
    assert "in-water_7/dive.topside.bag: 1200 messages of rov1" in out
    assert "dive.topside.db3: 1200 messages of rov1" in out


def test_a_time_that_is_no_integer_is_shown_as_it_is(tmp_path, tmp_path_factory):
    path, truth = write_bag2(tmp_path / "dive", CLOCKS["drift"])
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE messages SET timestamp = 'soon' WHERE id = 5")
        database.execute("UPDATE messages SET timestamp = 1777636800.25 WHERE id = 7")
        database.commit()
    result = corrected(path, timeline_of("drift", tmp_path_factory))
    assert [(each.place, each.value) for each in result.shown] == [(5, "'soon'"), (7, "1777636800.25")]
    assert (result.rows, result.malformed) == (len(truth), 2)


def test_no_option_is_named_that_a_bag_does_not_have(tmp_path, tmp_path_factory):
    path, _ = write_bag2(tmp_path / "dive", CLOCKS["drift"])
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE messages SET timestamp = timestamp - 86400000000000")
        database.commit()
    hint = corrected(path, timeline_of("drift", tmp_path_factory)).form.hint
    assert "by another clock, or of another dive?" in hint
    assert "--" not in hint
