"""Damaged MCAP files: what can be read is corrected, what is lost is stated, nothing ends in a traceback."""

import contextlib
import random

import pytest
from mcap.reader import make_reader
from mcap.writer import IndexType

from tests.effort import tries
from tests.unit.mcap_files import number_of, read_mcap, write_mcap
from tests.unit.recorded_clock import CLOCKS, timeline_of
from tidesync.sessions.correction.formats import output_of, unanswered_of
from tidesync.sessions.correction.table import Job
from tidesync.sessions.errors import UnusableFileError
from tidesync.sessions.messages import mcap_reader
from tidesync.sessions.messages.driver import correct_messages


def damaged(data, kind, chance):
    at = chance.randrange(len(data))
    if kind == "cut":
        return data[:at]
    if kind == "flip":
        return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
    if kind == "zeros":
        return data[:at] + bytes(min(3_000, len(data) - at)) + data[at + 3_000 :]
    return data[:at] + data[at + chance.randrange(1, 300) :]


KINDS = ("cut", "flip", "zeros", "missing")


def corrected(path, timeline):
    return correct_messages(Job(path, "rov1"), timeline, lambda _: None)


@pytest.mark.parametrize(
    "way", [{}, {"compression": "LZ4"}, {"compression": "NONE"}, {"use_chunking": False}]
)
def test_what_is_readable_is_right_and_the_loss_is_stated(way, tmp_path, tmp_path_factory):
    path, timeline = tmp_path / "log.mcap", timeline_of("back", tmp_path_factory)
    truth = write_mcap(path, CLOCKS["back"], seconds=90, rate=4, chunk_size=4_000, **way)
    whole, chance = path.read_bytes(), random.Random(5)
    for number in range(tries(8)):
        path.write_bytes(damaged(whole, KINDS[number % len(KINDS)], chance))
        for output in (output_of(path), unanswered_of(output_of(path))):
            output.unlink(missing_ok=True)
        with contextlib.suppress(UnusableFileError):
            check(path, timeline, truth, is_checked=way.get("use_chunking", True))


def check(path, timeline, truth, *, is_checked):
    """`is_checked`: whether there is a checksum that would show a damaged stamp."""
    result = corrected(path, timeline)
    messages, _ = read_mcap(output_of(path))
    left = read_mcap(unanswered_of(output_of(path)))[0] if result.outcome.beside else []
    assert len(messages) + len(left) == result.rows
    assert result.rows == len(truth) or result.outcome.losses, result.outcome
    for _, message in messages if is_checked else ():
        assert abs(message.log_time - truth[number_of(message)][0]) <= result.max_error_ns


def test_what_stands_before_a_cut_is_corrected(tmp_path, tmp_path_factory):
    path, timeline = tmp_path / "log.mcap", timeline_of("drift", tmp_path_factory)
    truth = write_mcap(path, CLOCKS["drift"], seconds=60, compression="NONE", chunk_size=10**7)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    result = corrected(path, timeline)
    assert 0.3 < result.rows / len(truth) < 0.6
    assert "a record is cut off" in "; ".join(result.remarks)
    assert "or is being written" in "; ".join(result.remarks)


def test_one_damaged_chunk_costs_its_own_messages(tmp_path, tmp_path_factory):
    path, timeline = tmp_path / "log.mcap", timeline_of("drift", tmp_path_factory)
    truth = write_mcap(path, CLOCKS["drift"], seconds=60, compression="NONE", chunk_size=10_000)
    whole = path.read_bytes()
    at = whole.index((600).to_bytes(8, "little"))
    path.write_bytes(whole[:at] + b"\xff" + whole[at + 1 :])
    result = corrected(path, timeline)
    assert len(truth) - 150 < result.rows < len(truth)
    assert [each.reason for each in result.outcome.losses] == ["a chunk's checksum does not match"]
    assert result.outcome.missing == len(truth) - result.rows
    assert result.document()["lost"][0]["size"] > 10_000


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"timestamp,value\n1,2\n", "it is no MCAP file"),
        (b"\x89MCAP0\r\n", "header"),
        (b"\x89MCAP0\r\n" + bytes(40), "header"),
        (b"\x89MCAP0\r\n\x01\x40\x00\x00\x00\x00\x00\x00\x00ab", "header"),
    ],
)
def test_what_is_no_mcap_file_is_named_and_nothing_is_written(content, reason, tmp_path, tmp_path_factory):
    path = tmp_path / "log.mcap"
    path.write_bytes(content)
    with pytest.raises(UnusableFileError, match=reason):
        corrected(path, timeline_of("drift", tmp_path_factory))
    assert [each.name for each in tmp_path.iterdir()] == ["log.mcap"]


def test_a_chunk_that_would_not_fit_in_memory_is_left_out(tmp_path, tmp_path_factory, monkeypatch):
    path = tmp_path / "log.mcap"
    write_mcap(path, CLOCKS["drift"], seconds=20)
    monkeypatch.setattr(mcap_reader, "_LARGEST", 1_000)
    result = corrected(path, timeline_of("drift", tmp_path_factory))
    assert result.rows == 0
    assert "expected at most 1000" in result.outcome.losses[0].reason


@pytest.mark.parametrize("way", [{}, {"use_statistics": False}, {"enable_crcs": False}])
@pytest.mark.parametrize("change", ["removed", "doubled"])
def test_a_summary_that_is_not_of_the_file_is_stated(change, way, tmp_path, tmp_path_factory):
    path = tmp_path / "log.mcap"
    write_mcap(path, CLOCKS["drift"], seconds=20, **way)
    whole = path.read_bytes()
    with path.open("rb") as stream:
        index = make_reader(stream).get_summary().chunk_indexes[1]
    begin, end = index.chunk_start_offset, index.chunk_start_offset + index.chunk_length
    keep, go_on = (begin, end) if change == "removed" else (end, begin)
    path.write_bytes(whole[:keep] + whole[go_on:])
    result = corrected(path, timeline_of("drift", tmp_path_factory))
    assert [each.reason.partition(":")[0] for each in result.outcome.losses] == ["its summary cannot be read"]


def test_a_file_without_a_summary_is_whole(tmp_path, tmp_path_factory):
    path = tmp_path / "log.mcap"
    without = ("use_statistics", "use_summary_offsets", "repeat_channels", "repeat_schemas")
    kinds = IndexType.NONE
    write_mcap(path, CLOCKS["drift"], seconds=20, index_types=kinds, **dict.fromkeys(without, False))
    result = corrected(path, timeline_of("drift", tmp_path_factory))
    assert (result.rows, result.outcome.losses) == (400, [])


def test_a_channel_whose_schema_is_lost_is_named(tmp_path, tmp_path_factory):
    path = tmp_path / "log.mcap"
    write_mcap(path, CLOCKS["drift"], seconds=20, use_chunking=False)
    whole = path.read_bytes()
    begin = whole.index(b"x/Imu") - 15
    size = 9 + int.from_bytes(whole[begin + 1 : begin + 9], "little")
    path.write_bytes(whole[:begin] + whole[begin + size :])
    result = corrected(path, timeline_of("drift", tmp_path_factory))
    assert result.rows == 400
    assert [each.reason.partition(":")[0] for each in result.outcome.losses] == [
        f"schema 1 of channel {number} is not defined" for number in (1, 2, 3)
    ]


@pytest.mark.parametrize("at", [11, 20, 31])  # of the lengths of its name, encoding and text
def test_a_damaged_schema_in_an_unchecked_summary_costs_the_summary(at, tmp_path, tmp_path_factory):
    path = tmp_path / "log.mcap"
    write_mcap(path, CLOCKS["drift"], seconds=20, enable_crcs=False)
    data = bytearray(path.read_bytes())
    begin = data.rindex(b"x/Imu") - 15
    data[begin + at] ^= 0x40
    path.write_bytes(data)
    result = corrected(path, timeline_of("drift", tmp_path_factory))
    assert result.rows == 400
    assert [each.reason.partition(":")[0] for each in result.outcome.losses] == ["its summary cannot be read"]


@pytest.mark.parametrize("opcode", [0x02, 0x0F, 0x86, 0x07])
def test_a_chunk_that_seems_to_be_another_record_is_stated_and_reading_goes_on(
    opcode, tmp_path, tmp_path_factory
):
    path = tmp_path / "log.mcap"
    write_mcap(path, CLOCKS["drift"], seconds=60, use_statistics=False, use_summary_offsets=False)
    with path.open("rb") as stream:
        index = make_reader(stream).get_summary().chunk_indexes[1]
    data = bytearray(path.read_bytes())
    data[index.chunk_start_offset] = opcode
    path.write_bytes(data)
    result = corrected(path, timeline_of("drift", tmp_path_factory))
    (loss,) = result.outcome.losses
    assert (loss.at, loss.reason) == (index.chunk_start_offset, "no record begins here")
    assert 900 < result.rows < 1_200


@pytest.mark.parametrize("way", [{"use_chunking": False}, {"compression": "NONE", "chunk_size": 10**7}])
@pytest.mark.parametrize("summary", [True, False])
def test_a_message_whose_kind_is_damaged_is_named(way, summary, tmp_path, tmp_path_factory):
    path, timeline = tmp_path / "log.mcap", timeline_of("drift", tmp_path_factory)
    without = {} if summary else {"use_statistics": False, "use_summary_offsets": False}
    truth = write_mcap(path, CLOCKS["drift"], seconds=5, enable_crcs=False, **way, **without)
    whole = path.read_bytes()
    at = whole.index((60).to_bytes(8, "little") + b"", whole.index((59).to_bytes(8, "little")) + 8) - 31
    assert whole[at] == 5
    for bit in range(8):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
        result = corrected(path, timeline)
        assert result.rows < len(truth)
        assert result.outcome.losses or "does not define" in "".join(result.outcome.notes), bit
        if summary:
            assert result.outcome.missing == len(truth) - result.rows
