"""Tracks: order, rows, segments, and what is known only afterwards."""

import random

import pytest

from bench.estimators.traces import make_trace
from topside_agent.estimator import OffsetEstimator, online, smooth


@pytest.fixture(scope="module")
def trace():
    return make_trace("reboot", seed=1, rate_hz=2.0, duration_s=300.0)


@pytest.mark.parametrize("estimate", [online, smooth])
def test_no_exchanges_give_an_empty_track(estimate):
    track = estimate([])
    assert (track.rows, track.segments, track.final, track.exchanges) == ([], [], None, 0)


@pytest.mark.parametrize("estimate", [online, smooth])
def test_the_order_of_the_lines_does_not_matter(estimate, trace):
    shuffled = trace.exchanges[:]
    random.Random(1).shuffle(shuffled)
    assert estimate(shuffled) == estimate(trace.exchanges)


@pytest.mark.parametrize("estimate", [online, smooth])
def test_topside_set_back_does_not_disorder_the_rows(estimate, trace):
    first_half = trace.exchanges[:200]
    back = [
        e.model_copy(
            update={
                "origin_ns": e.origin_ns - 3_000_000_000,
                "destination_ns": e.destination_ns - 3_000_000_000,
                "topside_realtime_minus_raw_ns": e.topside_realtime_minus_raw_ns - 3_000_000_000,
            }
        )
        for e in trace.exchanges[200:260]
    ]
    track = estimate(first_half + back)
    assert [segment.cause for segment in track.segments] == ["start", "topside_step"]
    assert [row.topside_unix_ns for row in track.rows] == [e.destination_ns for e in first_half + back]
    assert track.exchanges == 260


def test_a_row_per_exchange_in_the_order_of_time_with_its_segment(trace):
    track = smooth(trace.exchanges)
    assert [row.topside_unix_ns for row in track.rows] == [e.destination_ns for e in trace.exchanges]
    assert [segment.cause for segment in track.segments] == ["start", "reboot"]
    assert {row.segment for row in track.rows} == {0, 1}
    for row in track.rows:
        assert row.pi_unix_ns == row.topside_unix_ns + row.offset_ns
        assert row.lower_ns <= row.offset_ns <= row.upper_ns
        assert row.state == "ambiguous" or row.u95_ns <= row.max_error_ns


def test_segments_report_where_they_begin_their_drift_and_their_max_error(trace):
    track = smooth(trace.exchanges)
    for segment in track.segments:
        rows = [row for row in track.rows if row.segment == segment.segment]
        assert (segment.from_ns, segment.to_ns) == (rows[0].topside_unix_ns, rows[-1].topside_unix_ns)
        assert segment.offset_ns == rows[0].offset_ns
    first, second = track.segments
    assert first.drift_ppm == pytest.approx(18.0, abs=0.5)
    assert second.drift_ppm == pytest.approx(21.0, abs=0.5)


def test_the_final_estimate_is_the_last_row(trace):
    for track in (online(trace.exchanges), smooth(trace.exchanges)):
        final, last = track.final, track.rows[-1]
        assert (final.measured_at_ns, final.offset_ns) == (last.topside_unix_ns, last.offset_ns)
        assert (final.lower_ns, final.upper_ns) == (last.lower_ns, last.upper_ns)
        assert final.drift_ppm == pytest.approx(21.0, abs=0.5)


def test_online_rows_are_the_estimates_after_each_exchange(trace):
    estimator, estimates = OffsetEstimator(), []
    for exchange in trace.exchanges:
        estimator.add(exchange)
        estimates.append(estimator.estimate_at(estimator.constraint).offset_ns)
    assert [row.offset_ns for row in online(trace.exchanges).rows] == estimates


def test_duplicates_are_counted_and_make_no_row(trace):
    track = smooth(trace.exchanges + trace.exchanges[:10])
    assert track.exchanges == len(trace.exchanges)
    assert track.rejected == 10


@pytest.mark.parametrize("seconds", [1, 5, 12, 40, 100])
def test_a_short_recording_is_smoothed_too(seconds):
    trace = make_trace("clean", seed=4, rate_hz=4.0, duration_s=float(seconds))
    track = smooth(trace.exchanges)
    for row, truth in zip(track.rows, trace.truth_ns.tolist(), strict=True):
        assert row.lower_ns <= truth <= row.upper_ns
    worst = max(abs(row.offset_ns - t) for row, t in zip(track.rows, trace.truth_ns.tolist(), strict=True))
    assert worst < 500_000


def test_the_last_row_before_a_reboot_is_ambiguous_since_the_clock_may_have_been_set_on_the_way_back(trace):
    for track in (online(trace.exchanges), smooth(trace.exchanges)):
        first = [row for row in track.rows if row.segment == 0]
        assert [row.state for row in first[-3:]] == ["ok", "ok", "ambiguous"]
        assert {row.state for row in track.rows if row.segment == 1} == {"ok"}


@pytest.mark.parametrize("estimate", [online, smooth])
@pytest.mark.parametrize(("late_ms", "state"), [(900, "ok"), (1100, "ambiguous")])
def test_the_last_row_of_all_is_ambiguous_if_its_answer_was_long_under_way(estimate, late_ms, state):
    """No later reading shows whether the Pi's clock was set meanwhile."""
    exchanges = make_trace("clean", seed=4, rate_hz=4.0, duration_s=12.0).exchanges
    late = {"destination_ns": exchanges[-1].destination_ns + late_ms * 1_000_000}
    rows = estimate([*exchanges[:-1], exchanges[-1].model_copy(update=late)]).rows
    assert [row.state for row in rows] == ["ok"] * (len(exchanges) - 1) + [state]
