"""The online estimator, exchange by exchange: what it accepts, refuses, cuts and reports."""

import pytest
from pydantic import ValidationError

from schemas.exchange import Exchange
from topside_agent.estimator import EstimatorSettings, OffsetEstimator

MS = 1_000_000
S = 1_000_000_000
TOPSIDE_UP = 86_400 * S
TOPSIDE_DIFFERENCE = 1_777_550_400 * S
PI_UP = 100_000 * S
PI_DIFFERENCE = 1_777_536_923 * S


def exchange(at_s, seq=None, *, out=1 * MS, back=1 * MS, raw_jump=0, pi_jump=0, topside_jump=0, **changes):
    """An exchange asked at `at_s`; RAW offset, and both differences, can have jumped by so many ns before."""
    origin = TOPSIDE_UP + round(at_s * S)
    receive = PI_UP + round(at_s * S) + out + raw_jump
    pi, topside = PI_DIFFERENCE + pi_jump, TOPSIDE_DIFFERENCE + topside_jump
    values = {
        "vehicle": "rov1",
        "topside": "topside",
        "seq": round(at_s * 1000) if seq is None else seq,
        "boot_id": "boot-0",
        "origin_ns": origin + topside,
        "receive_ns": receive + pi,
        "transmit_ns": receive + 100_000 + pi,
        "destination_ns": origin + out + 100_000 + back + topside,
        "pi_realtime_minus_raw_ns": pi,
        "topside_realtime_minus_raw_ns": topside,
        "resolution_ns": 0,
    }
    return Exchange(**(values | changes))


TRUTH = PI_UP + PI_DIFFERENCE - TOPSIDE_UP - TOPSIDE_DIFFERENCE


def estimator(until_s=20, **settings):
    running = OffsetEstimator(EstimatorSettings(**settings))
    for quarter in range(until_s * 4):
        assert running.add(exchange(quarter / 4)).accepted
    return running


def half_width(estimate):
    return (estimate.upper_ns - estimate.lower_ns) / 2


def test_before_the_first_exchange_there_is_no_estimate():
    assert OffsetEstimator().estimate() is None


def test_one_exchange_gives_the_offset_near_half_its_delay():
    running = OffsetEstimator()
    added = running.add(exchange(0, out=3 * MS, back=1 * MS))
    assert (added.accepted, added.reason, added.cut) == (True, None, None)
    estimate = running.estimate()
    assert estimate.offset_ns == pytest.approx(TRUTH + 1 * MS, abs=1000)
    assert 2 * MS < half_width(estimate) < 2 * MS * 1.8  # nothing is known of the rate yet, nor of slews
    pong = exchange(0, out=3 * MS, back=1 * MS)
    assert estimate.measured_at_ns + estimate.offset_ns == pong.transmit_ns
    assert (estimate.exchanges, estimate.delay_min_ns, estimate.age_ns) == (1, 4 * MS, 0)
    assert (estimate.drift_ppm, estimate.drift_error_ppm) == (None, None)
    assert estimate.boot_id == "boot-0"


@pytest.mark.parametrize("every_s", [0.05, 3, 20, 29, 60, 900])
def test_however_rare_exchanges_are_there_is_an_answer(every_s):
    running = OffsetEstimator()
    for count in range(80):
        running.add(exchange(count * every_s, seq=count))
        estimate = running.estimate()
        assert estimate.lower_ns <= TRUTH <= estimate.upper_ns
        assert abs(estimate.offset_ns - TRUTH) < 20_000


def test_u95_is_never_more_than_what_is_certain():
    running = OffsetEstimator()
    for quarter in range(240):
        running.add(exchange(quarter / 4))
        assert running.estimate().u95_ns <= running.estimate().max_error_ns


def test_max_error_is_the_farther_bound():
    estimate = estimator().estimate()
    assert estimate.max_error_ns == max(
        estimate.upper_ns - estimate.offset_ns, estimate.offset_ns - estimate.lower_ns
    )


def test_a_duplicate_is_refused_and_changes_nothing():
    running = estimator()
    before = running.estimate()
    assert running.add(exchange(19.75)).reason == "duplicate"
    assert running.estimate() == before
    assert running.rejected == 1


@pytest.mark.parametrize("reason", ["negative_delay", "clock_stepped"])
def test_impossible_stamps_are_refused_with_their_reason(reason):
    running = estimator()
    bad = exchange(20)
    later = 9 * MS if reason == "negative_delay" else -9 * MS
    added = running.add(bad.model_copy(update={"transmit_ns": bad.transmit_ns + later}))
    assert (added.accepted, added.reason) == (False, reason)
    assert running.exchanges_total == 80


def test_an_exchange_that_was_overtaken_still_narrows_the_bound():
    running = estimator()
    wide = running.estimate()
    assert running.add(exchange(19.7, out=100_000, back=100_000)).accepted
    narrow = running.estimate()
    assert narrow.measured_at_ns == wide.measured_at_ns
    assert half_width(narrow) < half_width(wide) / 5


def test_an_exchange_from_long_ago_is_too_old():
    assert estimator().add(exchange(5.1, seq=9999)).reason == "too_old"


def test_a_late_exchange_from_before_a_cut_is_too_old():
    running = estimator()
    running.add(exchange(20, boot_id="boot-1"))
    assert running.add(exchange(19.9)).reason == "too_old"


@pytest.mark.parametrize("size", [50 * MS, -50 * MS, 3 * S, -3 * S])
def test_a_reported_step_counts_and_costs_no_accuracy(size):
    running = estimator()
    before = running.estimate()
    cut = running.add(exchange(20, pi_jump=size)).cut
    after = running.estimate()
    assert (cut.cause, cut.step_ns) == ("step", size)
    assert cut.at_ns == exchange(20, pi_jump=size).destination_ns
    assert cut.ambiguous_from_ns == exchange(19.75).destination_ns
    assert after.offset_ns == pytest.approx(before.offset_ns + size, abs=1000)
    assert half_width(after) == pytest.approx(half_width(before), rel=0.01)
    assert (running.steps, running.segment, after.segment) == (1, 1, 1)


def test_a_step_of_topside_moves_the_offset_the_other_way():
    running = estimator()
    cut = running.add(exchange(20, topside_jump=3 * S)).cut
    assert (cut.cause, cut.step_ns) == ("topside_step", 3 * S)
    assert running.estimate().offset_ns == pytest.approx(TRUTH - 3 * S, abs=20_000)


def test_slewing_is_followed_and_is_no_step():
    running = estimator()
    for size in (100_000, 20 * MS):  # at 20 ms in a quarter of a second chrony can slew
        assert running.add(exchange(20 + size / 80e6, pi_jump=size)).cut is None
        assert running.estimate().offset_ns == pytest.approx(TRUTH + size, abs=20_000)
    assert running.steps == 0


def test_a_suspend_cuts_because_raw_stopped():
    running = estimator()
    cut = running.add(exchange(80, raw_jump=-60 * S, pi_jump=60 * S)).cut
    assert cut.cause == "suspend"
    assert running.steps == 0
    assert running.estimate().offset_ns == pytest.approx(TRUTH, abs=1_000_000)


def test_a_suspend_of_topside_cuts_too():
    running = estimator()
    assert running.add(exchange(20.25, raw_jump=60 * S, topside_jump=60 * S)).cut.cause == "suspend"


def test_where_step_and_suspend_both_fit_the_old_bounds_are_dropped():
    running = estimator()
    kept = half_width(running.estimate())
    cut = running.add(exchange(20, out=60 * MS, back=60 * MS, pi_jump=20 * MS)).cut
    assert cut.cause == "step"
    assert half_width(running.estimate()) > 30 * kept


def test_another_boot_id_is_a_reboot():
    running = estimator()
    cut = running.add(exchange(20, raw_jump=-PI_UP, boot_id="boot-1")).cut
    assert cut.cause == "reboot"
    assert running.estimate().boot_id == "boot-1"
    assert running.estimate().offset_ns == pytest.approx(TRUTH - PI_UP, abs=1 * MS)


def test_an_unknown_boot_id_is_no_reboot():
    running = estimator()
    assert running.add(exchange(20, boot_id=None)).cut is None
    assert running.estimate().boot_id == "boot-0"


def test_raw_that_runs_backwards_without_boot_ids_is_a_reboot():
    running = OffsetEstimator()
    running.add(exchange(0, boot_id=None))
    assert running.add(exchange(1, raw_jump=-PI_UP // 2, boot_id=None)).cut.cause == "reboot"


def test_topside_that_booted_again_cuts():
    running = estimator()
    jump = TOPSIDE_UP
    cut = running.add(exchange(20 - 86_400, seq=1, raw_jump=86_400 * S, topside_jump=jump)).cut
    assert cut.cause == "topside_step"


@pytest.mark.parametrize("size", [5 * MS, -50 * MS, 3 * S])
def test_a_step_that_nobody_reported_contradicts_and_cuts(size):
    running = estimator()
    cut = running.add(exchange(20, raw_jump=size)).cut
    assert (cut.cause, cut.step_ns) == ("inconsistent", None)
    assert running.estimate().offset_ns == pytest.approx(TRUTH + size, abs=1 * MS)
    assert running.steps == 1


def test_a_reported_step_that_comes_with_a_contradiction_is_one_cut(monkeypatch):
    running = estimator()
    monkeypatch.setattr(
        running.timebase, "add", lambda _constraint: 12.0
    )  # as if a small step were found there
    cut = running.add(exchange(20, pi_jump=3 * S)).cut
    assert cut.cause == "step"
    assert cut.ambiguous_from_ns == exchange(12).origin_ns
    assert (running.segment, running.steps) == (1, 1)
    assert running.estimate().offset_ns == pytest.approx(TRUTH + 3 * S, abs=1 * MS)


def test_rows_before_a_cut_are_ambiguous_back_to_the_last_exchange_that_shows_the_old_offset():
    running = estimator()
    for late in range(3):  # so slow that both the old and the new offset fit
        running.add(exchange(20 + late, out=60 * MS, back=60 * MS, raw_jump=20 * MS))
    cut = running.add(exchange(23, raw_jump=20 * MS)).cut
    assert cut.ambiguous_from_ns == exchange(19.75).destination_ns


def test_a_change_to_stamps_without_raw_begins_a_segment_without_a_step():
    running = estimator()
    cut = running.add(exchange(20, pi_realtime_minus_raw_ns=None)).cut
    assert cut.cause == "start"
    assert running.steps == 0
    assert running.estimate().offset_ns == pytest.approx(TRUTH, abs=1 * MS)


def test_holdover_widens_with_age_and_reports_its_age():
    running = estimator()
    last = exchange(19.75).destination_ns - TOPSIDE_DIFFERENCE
    widths = []
    for later_s in (0, 1, 10, 100, 1000):
        estimate = running.estimate(last + later_s * S, TOPSIDE_DIFFERENCE)
        assert estimate.age_ns == later_s * S
        assert estimate.measured_at_ns == last + later_s * S + TOPSIDE_DIFFERENCE
        assert estimate.lower_ns <= TRUTH <= estimate.upper_ns
        widths.append(half_width(estimate))
    assert widths == sorted(widths)
    assert widths[-1] - widths[0] <= 200e-6 * 1000 * S


def test_an_estimate_far_ahead_does_not_change_the_present_one():
    running = estimator()
    now = running.estimate()
    running.estimate(TOPSIDE_UP + 5000 * S, TOPSIDE_DIFFERENCE)
    assert running.estimate() == now


def test_a_result_is_conditional_exactly_when_it_is_carried_beyond_the_last_reading():
    running = estimator()
    last = exchange(19.75).destination_ns - TOPSIDE_DIFFERENCE
    assert not running.estimate().conditional
    assert running.estimate(last).conditional
    assert running.estimate(last + 10 * S).conditional


def test_topside_that_stepped_during_holdover_is_allowed_for():
    running = estimator()
    at = exchange(19.75).destination_ns - TOPSIDE_DIFFERENCE + S
    stepped = running.estimate(at, TOPSIDE_DIFFERENCE + 3 * S)
    assert stepped.offset_ns == running.estimate(at, TOPSIDE_DIFFERENCE).offset_ns - 3 * S


def test_clocks_decades_apart_are_measured_to_the_nanosecond():
    near, far = OffsetEstimator(), OffsetEstimator()
    decades = -1_700_000_000 * S
    for quarter in range(80):
        near.add(exchange(quarter / 4))
        far.add(exchange(quarter / 4, pi_jump=decades))
    assert far.estimate().offset_ns - near.estimate().offset_ns == decades
    assert far.estimate().upper_ns - near.estimate().upper_ns == decades


def test_the_result_is_made_of_integers():
    estimate = estimator().estimate()
    for name in ("measured_at_ns", "offset_ns", "lower_ns", "upper_ns", "u95_ns", "delay_min_ns", "age_ns"):
        assert type(getattr(estimate, name)) is int


def test_settings_refuse_what_they_do_not_know_and_explain_what_they_do():
    with pytest.raises(ValidationError):
        EstimatorSettings(rate_limit=200)
    assert all(field.description for field in EstimatorSettings.model_fields.values())


@pytest.mark.parametrize("windows_s", [(8.0, 8.0), (16.0, 8.0), (8.0, 9.0), (2.0, 8.0)])
def test_windows_that_do_not_rise_in_whole_blocks_are_refused(windows_s):
    with pytest.raises(ValidationError):
        EstimatorSettings(windows_s=windows_s)


def test_both_machines_asleep_in_one_silence_for_unequal_times_keep_no_bound():
    running = estimator()
    for count in range(1, 40):
        running.add(exchange(19.75 + count / 4, out=80 * MS, back=80 * MS))
    jump = -60_000 * MS + 60_098 * MS  # RAW of the Pi stopped for 60 s, topside's for 60.098 s
    sleeps = {"raw_jump": jump, "pi_jump": 60_000 * MS, "topside_jump": 60_098 * MS}
    cut = running.add(exchange(40, out=150 * MS, back=150 * MS, **sleeps)).cut
    assert cut.cause in {"step", "suspend"}
    estimate = running.estimate()
    assert estimate.lower_ns <= TRUTH + jump + 60_000 * MS - 60_098 * MS <= estimate.upper_ns


@pytest.mark.parametrize("step", [3 * S, -3 * S])
def test_a_sleep_shorter_than_the_delays_beside_a_step_keeps_no_bound(step):
    running = OffsetEstimator()
    for count in range(80):
        running.add(exchange(count / 4, out=80 * MS, back=80 * MS))
    slept = 98 * MS
    cut = running.add(
        exchange(21, out=80 * MS + slept, back=80 * MS, raw_jump=-slept, pi_jump=step + slept)
    ).cut
    assert cut.cause == "step"
    estimate = running.estimate()
    assert estimate.lower_ns <= TRUTH + step <= estimate.upper_ns


def test_a_sleep_that_a_slew_could_explain_keeps_no_bound():
    running = OffsetEstimator()
    for count in range(80):
        running.add(exchange(count / 4, out=80 * MS, back=80 * MS))
    slept = 98 * MS
    running.add(exchange(320, out=80 * MS, back=80 * MS, raw_jump=-slept, pi_jump=slept))
    estimate = running.estimate()
    assert estimate.lower_ns <= TRUTH <= estimate.upper_ns


def test_a_step_on_a_fast_link_leaves_no_room_for_a_sleep():
    running = estimator()
    running.add(exchange(20, pi_jump=3 * S))
    assert half_width(running.estimate()) < 1.1 * MS


@pytest.mark.parametrize("jump", [{"pi_jump": 3 * S}, {"topside_jump": -3 * S}])
def test_after_a_step_one_more_exchange_is_needed_to_date_a_reading(jump):
    running = estimator()
    assert running.settled
    running.add(exchange(20.5, **jump))
    assert not running.settled
    running.add(exchange(20.75, **jump))
    assert running.settled
