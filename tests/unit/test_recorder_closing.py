"""The end of a session: the consumer's drift model and offsets.csv from a smoothed track."""

import os
from contextlib import contextmanager
from errno import ENOSPC
from io import BytesIO

import pytest

from tests.unit.test_recorder_session import EPOCH_S, S, exchange
from tidesync.sessions import folder
from tidesync.sessions.folder import SessionFolder, writing_table
from tidesync.sessions.journal import lines_of
from tidesync.sessions.recorder import closing
from topside_agent.estimator import Row, Track, in_order

MS = 1_000_000
MINUTE_NS = 60_000_000_000
HEADER = "vehicle,topside,topside_unix_ns,pi_unix_ns,offset_ns,lower_ns,upper_ns,u95_ns,segment,state"


def row(minute, offset_ms, **changes):
    values = {
        "vehicle": "rov1",
        "topside": "topside",
        "topside_unix_ns": 1_777_636_800_000_000_001 + round(minute * MINUTE_NS),
        "pi_unix_ns": 1_777_636_800_000_000_001 + round(minute * MINUTE_NS + offset_ms * MS),
        "offset_ns": round(offset_ms * MS),
        "lower_ns": round(offset_ms * MS) - 5,
        "upper_ns": round(offset_ms * MS) + 5,
        "u95_ns": None,
        "segment": 0,
        "state": "ok",
    }
    return Row(**values | changes)


def test_the_drift_model_is_a_line_from_the_first_sound_row_to_the_last():
    rows = [
        row(0, 99, state="outside"),
        row(1, -150),
        row(3, -151),
        row(11, -162),
        row(12, 0, state="holdover"),
    ]
    model = closing.drift_model(rows)
    assert (model.start_offset_ms, model.end_offset_ms) == (-150.0, -162.0)
    assert model.drift_rate_ms_per_min == pytest.approx(-1.2)


@pytest.mark.parametrize(
    "rows", [[], [row(0, 1)], [row(0, 1, state="outside")], [row(0, 1), row(1, 3000, segment=1)]]
)
def test_no_line_is_drawn_through_too_little_or_across_a_step(rows):
    assert closing.drift_model(rows) is None


def test_start_and_end_are_reported_across_a_step_too():
    rows = [row(0, 9, state="ambiguous"), row(1, -150), row(2, 2850, segment=1), row(3, 2851, segment=1)]
    found = closing.summary(rows)
    assert (found.drift_model, found.segments) == (None, 2)
    assert (found.start.offset_ms, found.start.segment) == (-150.0, 0)
    assert (found.end.offset_ms, found.end.segment, found.end.max_error_ms) == (2851.0, 1, 5e-6)
    assert closing.summary([]) == closing.Summary(None, None, None, 0)


def test_the_table_has_every_row_in_integers_and_absent_is_empty():
    stream = BytesIO()
    with writing_table(stream) as add:
        add(("rov1", "topside"), [row(0, -150)])
        add(("rov2", "b"), [row(0, 7, u95_ns=0)])
    lines = stream.getvalue().decode()
    assert lines.splitlines() == [
        HEADER,
        "rov1,topside,1777636800000000001,1777636799850000001,-150000000,-150000005,-149999995,,0,ok",
        "rov2,b,1777636800000000001,1777636800007000001,7000000,6999995,7000005,0,0,ok",
    ]


def test_a_close_writes_the_table_and_a_model_by_the_topside_in_use(tmp_path, monkeypatch):
    path = tmp_path / "time_sync" / "exchanges.jsonl"
    path.parent.mkdir()
    both = [exchange(0, 0), exchange(0, 0, topside="other")]
    path.write_bytes(lines_of(both) + b'{"torn')

    def smooth(listed, _settings):
        sign = 1 if listed[0].topside == "topside" else -1
        return Track([row(0, 1 * sign), row(1, 2 * sign)], [], None, 2, 0)

    monkeypatch.setattr(folder, "smooth", smooth)
    ended = closing.close(SessionFolder(tmp_path), {"rov1": "other"}, 5)
    assert (ended.stopped_ns, ended.offsets) == (5, "time_sync/offsets.csv")
    assert ended.summaries["rov1"].drift_model.end_offset_ms == -2.0
    assert len((path.with_name("offsets.csv")).read_text().splitlines()) == 5


def test_a_smoother_that_fails_for_one_vehicle_leaves_the_others_their_tracks(tmp_path, monkeypatch, caplog):
    path = tmp_path / "time_sync" / "exchanges.jsonl"
    path.parent.mkdir()
    path.write_bytes(lines_of([exchange(0, 0), exchange(0, 0, vehicle="rov2")]))

    def smooth(listed, _settings):
        if listed[0].vehicle == "rov1":
            raise ZeroDivisionError
        return Track([row(0, 1), row(1, 2)], [], None, 2, 0)

    monkeypatch.setattr(folder, "smooth", smooth)
    ended = closing.close(SessionFolder(tmp_path), {"rov1": "topside"}, 5)
    assert (ended.offsets, [*ended.summaries]) == ("time_sync/offsets.csv", ["rov2"])
    assert "internal fault: ZeroDivisionError at test_recorder_closing.py" in ended.failed["rov1"]
    assert "rov1" in caplog.text
    monkeypatch.setattr(folder, "smooth", lambda *_: Track([], [], None, 0, 7))
    ended = closing.close(SessionFolder(tmp_path), {}, 5)
    assert ended.failed == dict.fromkeys(["rov1", "rov2"], "no usable exchange, 7 refused")


@contextmanager
def full_disk(_stream):
    def add(name, _rows):
        if name[0] == "rov2":
            raise OSError(ENOSPC, os.strerror(ENOSPC))

    yield add


@pytest.mark.parametrize("fault", ["full", "moved", "moved before"])
def test_a_table_that_cannot_be_written_leaves_all_their_summaries(tmp_path, monkeypatch, caplog, fault):
    path = tmp_path / "time_sync" / "exchanges.jsonl"
    path.parent.mkdir()
    path.write_bytes(lines_of(exchange(0, 0, vehicle=name) for name in ("rov1", "rov2", "rov3")))
    path.with_name("offsets.csv").write_text("old")
    monkeypatch.setattr(folder, "smooth", lambda *_: Track([row(0, 1), row(1, 2)], [], None, 2, 0))
    may_write = {"full": [True], "moved": [True, False], "moved before": [False]}[fault]
    if fault == "full":
        monkeypatch.setattr(folder, "writing_table", full_disk)
    ended = closing.close(SessionFolder(tmp_path), {}, 5, lambda: may_write.pop(0))
    assert (ended.offsets, [*ended.summaries], ended.failed) == (None, ["rov1", "rov2", "rov3"], {})
    assert [each.name for each in sorted(path.parent.iterdir())] == ["exchanges.jsonl", "offsets.csv"]
    assert path.with_name("offsets.csv").read_text() == "old"
    logged = {"full": "No space left on device; it was not written", "moved": "was moved", "moved before": ""}
    assert logged[fault] in caplog.text


def test_a_stop_that_fails_altogether_ends_the_session_and_says_why(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(SessionFolder, "read_streams", lambda *_: 1 / 0)
    ended = closing.close(SessionFolder(tmp_path), {"rov1": "topside"}, 5)
    assert (ended.offsets, dict(ended.summaries)) == (None, {})
    assert "ZeroDivisionError" in ended.failed["rov1"]
    assert "no track could be computed" in caplog.text


def test_a_line_of_drift_does_not_end_with_an_exchange_that_is_far_less_certain():
    weak = row(30, 900, lower_ns=-(10**9), upper_ns=2 * 10**9)
    model = closing.drift_model([row(0, 1), row(1, 2), row(2, 3), weak])
    assert (model.start_offset_ms, model.end_offset_ms) == (1.0, 3.0)


def finished(seq, raw_s, realtime_s=None):
    """At topside's RAW and realtime, the latter differing from the former by what its clock was set to."""
    one = exchange(seq, raw_s)
    set_by_ns = 0 if realtime_s is None else round((realtime_s - raw_s) * S)
    moved = {name: getattr(one, name) + set_by_ns for name in ("origin_ns", "destination_ns")}
    return one.model_copy(update=moved | {"topside_realtime_minus_raw_ns": EPOCH_S * S + set_by_ns})


def seqs(exchanges):
    return [one.seq for one in exchanges]


def test_what_was_sent_again_is_placed_where_it_was_finished():
    late = [finished(seq, seq) for seq in (0, 1, 5, 6, 3, 2, 4, 7)]
    assert seqs(in_order(late)) == list(range(8))


@pytest.mark.parametrize("set_by_s", [-3600, -2, 2, 3600])
def test_a_setting_of_topsides_clock_changes_no_order_even_of_what_came_late(set_by_s):
    before, after = [finished(seq, seq) for seq in range(4)], [finished(4, 4, 4 + set_by_s)]
    back = [finished(5, 5), finished(6, 6)]
    assert seqs(in_order([*before[:2], *after, *back, before[3], before[2]])) == list(range(7))


def test_a_boot_of_topsides_computer_begins_after_all_that_was_before():
    before = [finished(seq, 1000 + seq) for seq in (0, 2, 1)]
    rebooted = [finished(seq, 5 + seq, 2000 + seq) for seq in (0, 2, 1)]
    assert [one.origin_ns for one in in_order(before + rebooted)] == sorted(
        one.origin_ns for one in before + rebooted
    )


def test_without_raw_the_realtime_decides():
    listed = [finished(seq, seq).model_copy(update={"topside_realtime_minus_raw_ns": None}) for seq in (1, 0)]
    assert seqs(in_order(listed)) == [0, 1]
