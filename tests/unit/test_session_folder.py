"""A session's folder: one order of its exchanges for every reader, whatever topside's clock was set to."""

import json
import tracemalloc

import pytest

from schemas.exchange import Exchange
from tests.unit.test_recorder_session import S, exchange
from tidesync.command_line import run
from tidesync.sessions.errors import NothingMeasuredError
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.journal import LineCounts, lines_of, read_journal
from tidesync.sessions.recorder import closing
from tidesync.sessions.report.session import load
from tidesync.sessions.streams import read_streams

EXCHANGES = 2400
SET_BACK_AT, SET_BACK_S = 1300, -3600


def finished(seq):
    """Four a second; from SET_BACK_AT on topside's realtime is an hour earlier, its RAW clock goes on."""
    one = exchange(seq, seq / 4)
    set_by_ns = SET_BACK_S * S if seq >= SET_BACK_AT else 0
    changes = {name: getattr(one, name) + set_by_ns for name in ("origin_ns", "destination_ns")}
    difference_ns = one.topside_realtime_minus_raw_ns + set_by_ns
    return one.model_copy(update=changes | {"topside_realtime_minus_raw_ns": difference_ns})


@pytest.fixture
def folder(tmp_path):
    """Across the setting of the clock some exchanges were written late, as after an outage."""
    made = SessionFolder(tmp_path / "session_s1")
    made.time_sync_path.mkdir(parents=True)
    seqs = list(range(EXCHANGES))
    late = seqs[1290:1310]
    written = [*seqs[:1290], *seqs[1310:], *reversed(late)]
    made.exchanges_path.write_bytes(lines_of(map(finished, written)))
    return made


def test_report_and_correction_see_one_order_when_the_clock_was_set_back_by_an_hour(folder):
    (by_report,) = load(folder.path).each_measured()
    (by_correction,) = folder.measure().values()
    assert [one.seq for one in by_report.exchanges] == list(range(EXCHANGES))
    assert by_correction == by_report


def test_a_stop_and_a_correction_write_the_same_offsets(folder):
    closing.close(folder, {}, 0)
    stopped = folder.offsets_path.read_bytes()
    table = folder.path / "in-water_1" / "session.csv"
    table.parent.mkdir()
    table.write_text("timestamp,value\n2026-05-01T12:00:10.000000Z,1\n")
    run(["correct", str(folder.path), "--sensor", "inWater=rov1"])
    assert folder.offsets_path.read_bytes() == stopped
    assert stopped.count(b"\n") == EXCHANGES + 1


@pytest.mark.slow
def test_the_report_of_a_clock_set_back_is_not_larger_for_it(folder):
    assert run(["report", str(folder.path), "--output", str(folder.path / "a.html")]) == 0
    ordinary = lines_of(exchange(seq, seq / 4) for seq in range(EXCHANGES))
    folder.exchanges_path.write_bytes(ordinary)
    assert run(["report", str(folder.path), "--output", str(folder.path / "b.html")]) == 0
    sizes = [(folder.path / name).stat().st_size for name in ("a.html", "b.html")]
    assert sizes[0] < sizes[1] + 50_000


def test_streams_come_by_name_and_malformed_lines_are_counted_and_named():
    lines = (
        lines_of([exchange(0, 0, vehicle="rov2"), exchange(0, 0), exchange(1, 1, topside="b")])
        + b"\n{}\n\xff\n"
    )
    counts = LineCounts()
    streams = read_streams(lines.splitlines(keepends=True), counts)
    assert [*streams] == [("rov1", "b"), ("rov1", "topside"), ("rov2", "topside")]
    assert [one.seq for one in streams["rov1", "b"]] == [1]
    assert len(streams.without([("rov2", "topside")])) == 2
    assert [*streams.admitting(lambda labels: labels.topside == "b")] == [("rov1", "b")]
    assert (counts.valid, counts.malformed) == (3, 2)
    assert [fault.partition(":")[0] for fault in counts.faults] == ["line 5", "line 6"]
    assert counts.complaint.startswith("2 of 5 lines of exchanges.jsonl are no exchanges (line 5: ")


def test_a_folder_in_which_nothing_was_measured_says_so(tmp_path):
    folder = SessionFolder(tmp_path)
    with pytest.raises(NothingMeasuredError, match=r"exchanges\.jsonl is missing"):
        folder.measure()
    folder.time_sync_path.mkdir()
    folder.exchanges_path.write_bytes(b"\n")
    with pytest.raises(NothingMeasuredError, match="holds no exchange"):
        folder.measure()


def test_other_tools_lines_among_the_events_are_left_out(tmp_path):
    folder = SessionFolder(tmp_path)
    assert folder.read_events() == []
    assert folder.read_metadata() is None
    folder.time_sync_path.mkdir()
    ours = {"schema_version": 1, "vehicle": "rov1", "kind": "reboot", "at": "2026-05-01T12:00:00Z"}
    folder.events_path.write_text(json.dumps(ours | {"boot_id": "b"}) + '\n{"kind": "theirs"}\n\n')
    assert [event.kind for event in folder.read_events()] == ["reboot"]


def test_exchanges_that_are_read_take_little_memory_and_are_the_same_messages():
    few = [finished(seq) for seq in range(500)]
    lines = lines_of(few).splitlines(keepends=True)
    tracemalloc.start()
    try:
        read = read_journal(lines).exchanges
        assert tracemalloc.get_traced_memory()[0] < 500 * 150
    finally:
        tracemalloc.stop()
    assert read == few
    changed = read[0].model_copy(update={"seq": 999})
    assert (changed.seq, read[0].seq, read[1]) == (999, few[0].seq, few[1])
    assert changed.model_fields_set == set(Exchange.model_fields)
    assert [one.encode() for one in read] == [one.encode() for one in few]
