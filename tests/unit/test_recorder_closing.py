"""The end of a session: the consumer's drift model and offsets.csv from a smoothed track."""

from types import SimpleNamespace

import pytest
from test_recorder_session import exchange

from topside_agent.recorder import closing
from topside_agent.recorder.journal import lines_of

MS = 1_000_000
MINUTE_NS = 60_000_000_000
HEADER = "vehicle,topside,topside_unix_ns,pi_unix_ns,offset_ns,lower_ns,upper_ns,u95_ns,segment,state"


def row(minute, offset_ms, **changes):
    values = {
        "topside_unix_ns": 1_777_636_800_000_000_001 + round(minute * MINUTE_NS),
        "pi_unix_ns": 1_777_636_800_000_000_001 + round(minute * MINUTE_NS + offset_ms * MS),
        "offset_ns": round(offset_ms * MS),
        "lower_ns": round(offset_ms * MS) - 5,
        "upper_ns": round(offset_ms * MS) + 5,
        "u95_ns": None,
        "segment": 0,
        "state": "ok",
    }
    return SimpleNamespace(**values | changes)


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


def test_the_table_has_every_row_in_integers_and_absent_is_empty():
    lines = closing.table(
        {("rov1", "topside"): [row(0, -150)], ("rov2", "b"): [row(0, 7, u95_ns=0)]}
    ).decode()
    assert lines.splitlines() == [
        HEADER,
        "rov1,topside,1777636800000000001,1777636799850000001,-150000000,-150000005,-149999995,,0,ok",
        "rov2,b,1777636800000000001,1777636800007000001,7000000,6999995,7000005,0,0,ok",
    ]


def test_a_close_writes_the_table_and_a_model_by_the_topside_that_stands(tmp_path, monkeypatch):
    path = tmp_path / "time_sync" / "exchanges.jsonl"
    path.parent.mkdir()
    both = [exchange(0, 0), exchange(0, 0, topside="other")]
    path.write_bytes(lines_of(both) + b'{"torn')

    def smooth(listed):
        sign = 1 if listed[0].topside == "topside" else -1
        return [row(0, 1 * sign), row(1, 2 * sign)]

    monkeypatch.setattr(closing, "_smoother", lambda: smooth)
    ended = closing.close(path, path.with_name("offsets.csv"), {"rov1": "other"}, 5)
    assert (ended.stopped_ns, ended.offsets) == (5, "time_sync/offsets.csv")
    assert ended.drift_models["rov1"].end_offset_ms == -2.0
    assert len((path.with_name("offsets.csv")).read_text().splitlines()) == 5


def test_a_smoother_that_fails_does_not_keep_a_session_from_ending(tmp_path, monkeypatch, caplog):
    path = tmp_path / "exchanges.jsonl"
    path.write_bytes(lines_of([exchange(0, 0)]))

    def smooth(_listed):
        raise ZeroDivisionError

    monkeypatch.setattr(closing, "_smoother", lambda: smooth)
    ended = closing.close(path, path.with_name("offsets.csv"), {}, 5)
    assert (ended.offsets, dict(ended.drift_models)) == (None, {})
    assert "no track could be computed" in caplog.text
