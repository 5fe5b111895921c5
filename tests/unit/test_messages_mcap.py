"""Corrected MCAP files: no answered time outside its error, and everything else as it was recorded."""

import json
import os

import numpy as np
import pytest
from mcap.reader import make_reader
from mcap.writer import Writer

from tests.unit.mcap_files import number_of, read_mcap, write_mcap
from tests.unit.recorded_clock import CLOCKS, timeline_of, write_session
from tests.unit.tracks import START, S
from tidesync.command_line import run
from tidesync.sessions.correction.formats import output_of, unanswered_of
from tidesync.sessions.correction.stamps.options import StampOptions
from tidesync.sessions.correction.table import Job
from tidesync.sessions.errors import UnusableFileError
from tidesync.sessions.messages.driver import correct_messages

WAYS = [{}, {"compression": "LZ4"}, {"compression": "NONE", "late_ns": 0}, {"use_chunking": False}]


def corrected(path, timeline, **job):
    return correct_messages(Job(path, "rov1", **job), timeline, lambda _: None, session="dive")


@pytest.mark.parametrize("name", CLOCKS)
def test_no_answered_time_is_outside_its_error_and_all_else_is_as_it_was(name, tmp_path, tmp_path_factory):
    path, way = tmp_path / "log.mcap", WAYS[list(CLOCKS).index(name) % len(WAYS)]
    truth = write_mcap(path, CLOCKS[name], **way)
    result = corrected(path, timeline_of(name, tmp_path_factory))
    assert result.rows == len(truth)
    assert result.corrected > 0.9 * len(truth)
    before = {number_of(message): (channel, message) for channel, message in read_mcap(path)[0]}
    after, errors = read_mcap(output_of(path))
    assert len(after) == len(errors) == result.corrected
    for channel, message in after:
        old_channel, old = before[number_of(message)]
        assert channel == old_channel
        assert (message.sequence, message.data) == (old.sequence, old.data)
        error_ns, published_ns, state = errors[message.channel_id, message.sequence, message.log_time]
        at_ns, sent_ns = truth[number_of(message)]
        assert abs(message.log_time - at_ns) <= error_ns <= result.max_error_ns
        assert state in {"ok", "holdover"}
        if published_ns is None:
            assert message.publish_time == message.log_time
        else:
            assert abs(message.publish_time - sent_ns) <= published_ns
    unanswered, _ = read_mcap(unanswered_of(output_of(path)))
    assert [path.name for path in result.outcome.beside] == ["log.unanswered.mcap"]
    assert len(unanswered) == len(truth) - result.corrected
    for channel, message in unanswered:
        assert (channel, message) == before[number_of(message)]


@pytest.mark.parametrize("way", WAYS)
def test_chunks_compression_attachments_and_metadata_are_kept(way, tmp_path, tmp_path_factory):
    path = tmp_path / "log.mcap"
    write_mcap(path, CLOCKS["drift"], seconds=30, **way)
    corrected(path, timeline_of("drift", tmp_path_factory))
    with path.open("rb") as one, output_of(path).open("rb") as other:
        old, new = make_reader(one), make_reader(other, validate_crcs=True)
        before, after = old.get_summary(), new.get_summary()
        assert [each.compression for each in after.chunk_indexes] == [
            each.compression for each in before.chunk_indexes
        ]
        assert list(new.iter_attachments()) == list(old.iter_attachments())
        mission, about = new.iter_metadata()
        assert mission.metadata == {"name": "reef"}
        assert new.get_header().profile == "ros2"
        assert {**after.schemas, **before.schemas} == after.schemas
        assert {**after.channels, **before.channels} == after.channels
        counts = after.statistics.channel_message_counts
        assert after.statistics.message_count == sum(counts.values())
        assert after.statistics.attachment_count == 1
    assert about.name == "tidesync"
    assert about.metadata["vehicle"] == "rov1"
    assert about.metadata["session"] == "dive"
    assert int(about.metadata["offset_greatest_ns"]) == pytest.approx(-1.2 * S, abs=0.01 * S)
    assert 0 < int(about.metadata["max_error_ns"]) < 10_000_000


def test_a_second_run_gives_the_same_bytes_and_an_output_is_no_input(tmp_path, tmp_path_factory):
    path, timeline = tmp_path / "log.mcap", timeline_of("back", tmp_path_factory)
    write_mcap(path, CLOCKS["back"])
    original = path.read_bytes()
    outputs = output_of(path), unanswered_of(output_of(path))
    first = [(corrected(path, timeline), [each.read_bytes() for each in outputs])[1] for _ in range(2)]
    assert first[0] == first[1]
    assert path.read_bytes() == original
    again = tmp_path / "again.mcap"
    again.write_bytes(first[0][0])
    with pytest.raises(UnusableFileError, match="it has been corrected before"):
        corrected(again, timeline)


def test_a_file_of_that_name_that_is_not_ours_is_left(tmp_path, tmp_path_factory):
    path, timeline = tmp_path / "log.mcap", timeline_of("drift", tmp_path_factory)
    write_mcap(path, CLOCKS["drift"], seconds=5)
    for taken in (output_of(path), unanswered_of(output_of(path))):
        taken.write_bytes(path.read_bytes())
        with pytest.raises(UnusableFileError, match="not written by tidesync correct"):
            corrected(path, timeline)
        taken.unlink()


def test_a_publish_time_of_another_clock_is_replaced_by_the_log_time_and_counted(tmp_path, tmp_path_factory):
    path = tmp_path / "log.mcap"
    with path.open("wb") as stream:
        writer = Writer(stream)
        writer.start()
        channel = writer.register_channel("/x", "json", 0)
        for second in range(1, 61):
            at_ns = int(CLOCKS["drift"].shows(START + second * S + second * 7_654_321))
            published = 0 if second % 2 else at_ns + 500_000_000
            writer.add_message(channel, at_ns, b"{}", publish_time=published, sequence=second)
        writer.finish()
    result = corrected(path, timeline_of("drift", tmp_path_factory))
    messages, errors = read_mcap(output_of(path))
    assert len(messages) == result.corrected == 60
    assert all(message.publish_time == message.log_time for _, message in messages)
    assert {published for _, published, _ in errors.values()} == {None}
    assert result.outcome.notes == ["60 publish times without an answer are written as the log time"]


def test_coarse_stamps_have_their_resolution_in_their_error_unless_it_is_promised(tmp_path, tmp_path_factory):
    path, timeline = tmp_path / "log.mcap", timeline_of("drift", tmp_path_factory)
    chance = np.random.default_rng(1)
    with path.open("wb") as stream:
        writer = Writer(stream)
        writer.start()
        channel = writer.register_channel("/x", "json", 0)
        for at_ns in (START + chance.uniform(1, 100, 500) * S).astype(np.int64).tolist():
            writer.add_message(channel, int(CLOCKS["drift"].shows(at_ns)) // 10**7 * 10**7, b"{}", 0)
        writer.finish()
    result = corrected(path, timeline)
    assert 10_000_000 < result.max_error_ns < 25_000_000
    promised = corrected(path, timeline, stamps=StampOptions(resolution_ms=0.0))
    assert promised.max_error_ns < 1_000_000


def test_the_command_corrects_those_in_a_sensors_folder_and_those_that_are_named(tmp_path, capsys):
    session = tmp_path / "session_1"
    write_session(session, CLOCKS["step"])
    (session / "in-water_7").mkdir()
    truth = write_mcap(session / "in-water_7" / "log.mcap", CLOCKS["step"])
    write_mcap(session / "other.mcap", CLOCKS["step"], seconds=10)
    (session / "empty.mcap").write_bytes(b"")
    named = ["--file", str(session / "other.mcap"), "--file", str(session / "empty.mcap"), "--json"]
    target = tmp_path / "out"
    options = ["correct", str(session), "--sensor", "inWater=rov1", "--output", str(target), *named]
    assert run(["-q", *options]) == 1
    document = json.loads(capsys.readouterr().out)
    assert [len(truth), 200] == [each["rows"] for each in document["files"]]
    assert document["files"][0]["also_written"] == [str(target / "in-water_7" / "log.unanswered.mcap")]
    assert document["files"][0]["lost"] == []
    assert "empty.mcap: it is no MCAP file: it is empty" in document["failed"][0]
    assert sorted(path.name for path in target.rglob("*.mcap")) == [
        "log.topside.mcap",
        "log.unanswered.mcap",
        "other.topside.mcap",
        "other.unanswered.mcap",
    ]
    assert run(["-q", "correct", str(session), "--sensor", "inWater=rov1"]) == 0
    assert "messages of rov1" in capsys.readouterr().out


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
@pytest.mark.parametrize("name", ["log.mcap", "log.csv"])
def test_a_pipe_is_refused_and_not_waited_for(name, tmp_path, capsys):
    session = tmp_path / "session_1"
    write_session(session, CLOCKS["drift"], seconds=5)
    os.mkfifo(tmp_path / name)
    assert run(["-q", "correct", str(session), "--file", str(tmp_path / name), "--vehicle", "rov1"]) == 2
    assert f"{name}: expected a regular file" in capsys.readouterr().err


def test_fuse_leaves_files_of_messages(tmp_path, capsys):
    session = tmp_path / "session_1"
    write_session(session, CLOCKS["drift"])
    (session / "in-water_7").mkdir()
    write_mcap(session / "in-water_7" / "log.mcap", CLOCKS["drift"], seconds=5)
    times = (CLOCKS["drift"].shows(START + second * S) for second in range(5, 100))
    (session / "in-water_7" / "a.csv").write_text("timestamp,v\n" + "".join(f"{ns},1\n" for ns in times))
    out = tmp_path / "fused.csv"
    assert run(["-q", "fuse", str(session), "--out", str(out), "--sensor", "inWater=rov1"]) == 0
    assert "log.mcap: it has messages" in capsys.readouterr().out
    target = tmp_path / "cockpit"
    options = ["correct", str(session), "--for-cockpit", str(target), "--sensor", "inWater=rov1"]
    assert run(["-q", *options]) == 0
