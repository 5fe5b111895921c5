"""The benchmark's traces keep their promises; otherwise its tables mean nothing."""

import numpy as np
import pytest

from bench.estimators import delays, families
from bench.estimators.clocks import ClockLaw, Step, make_clock
from bench.estimators.families import Family
from bench.estimators.traces import EXTRA, FAMILIES, START_REALTIME_NS, TABLE, make_trace
from tests.effort import few, tries

DURATION_S = 600.0


class Traces(dict):
    def __missing__(self, family):
        self[family] = make_trace(family, seed=3, duration_s=DURATION_S)
        return self[family]


@pytest.fixture(scope="module")
def traces():
    return Traces()


def bounds(trace):
    upper = np.array([e.receive_ns - e.origin_ns for e in trace.exchanges])
    lower = np.array([e.transmit_ns - e.destination_ns for e in trace.exchanges])
    return lower, upper


def raw_offsets(trace):
    """Pi RAW − topside RAW at each transmit stamp, as far as the way back's delay lets it be seen."""
    return np.array(
        [
            (e.transmit_ns - e.pi_realtime_minus_raw_ns)
            - (e.destination_ns - e.topside_realtime_minus_raw_ns)
            for e in trace.exchanges
        ]
    )


@pytest.mark.parametrize("family", few(FAMILIES))
def test_no_message_arrives_before_it_was_sent(traces, family):
    trace = traces[family]
    lower, upper = bounds(trace)
    origin = np.array([e.origin_ns for e in trace.exchanges])
    destination = np.array([e.destination_ns for e in trace.exchanges])
    receive = np.array([e.receive_ns for e in trace.exchanges])
    transmit = np.array([e.transmit_ns for e in trace.exchanges])
    # the truth moves by 18 ppm of some hundred ms while an exchange is under way, and is rounded
    moved = 50e-6 * (destination - origin) + 1
    assert np.all(upper + moved >= trace.truth_ns)
    assert np.all(lower - moved <= trace.truth_ns)
    assert np.all(transmit >= receive)
    assert np.all(destination > origin)


@pytest.mark.parametrize("family", few(FAMILIES))
def test_the_same_seed_gives_the_same_integers_and_another_does_not(traces, family):
    first, again = traces[family], make_trace(family, seed=3, duration_s=DURATION_S)
    other = make_trace(family, seed=4, duration_s=DURATION_S)
    assert [e.model_dump() for e in first.exchanges] == [e.model_dump() for e in again.exchanges]
    assert np.array_equal(first.truth_ns, again.truth_ns)
    assert [e.destination_ns for e in first.exchanges] != [e.destination_ns for e in other.exchanges]


@pytest.mark.parametrize("rate_hz", [4.0, 1.0])
def test_exchanges_come_at_the_rate_asked_for(rate_hz):
    trace = make_trace("clean", seed=1, rate_hz=rate_hz, duration_s=DURATION_S)
    origins = np.array([e.origin_ns for e in trace.exchanges])
    assert len(trace.exchanges) == DURATION_S * rate_hz
    assert np.all(np.diff(origins) == round(1e9 / rate_hz))


def test_the_truth_drifts_by_18_ppm():
    """Recomputed from the drift alone: without wander the truth is a straight line."""
    law = ClockLaw(wander_per_sqrt_s=0.0)
    clock = make_clock(law, duration_s=DURATION_S, rng=np.random.default_rng(0))
    at_s = np.linspace(0.0, DURATION_S, 50)
    expected = law.offset_ns + np.rint(18e-6 * at_s * 1e9)
    assert np.abs(clock.realtime_offset_ns(at_s) - expected).max() <= 1


def test_frequency_wanders_as_a_random_walk():
    """After T the frequency has moved by σ√T: 1e-7 · √3600 = 6 ppm, here over 200 seeds."""
    moved = []
    for seed in range(tries(200)):
        rng = np.random.default_rng(seed)
        clock = make_clock(ClockLaw(wander_per_sqrt_s=1e-7), duration_s=3600.0, rng=rng)
        phase = clock.smooth_ns(np.array([3599.0, 3600.0]))
        moved.append((phase[1] - phase[0]) * 1e-9 - 18e-6)
    assert np.std(moved) == pytest.approx(6e-6, rel=0.15)


def test_the_truth_extends_beyond_the_last_exchange(traces):
    trace = traces["clean"]
    last = trace.exchanges[-1].destination_ns
    later = trace.truth_at(np.array([last, last + 1_800_000_000_000]))
    assert later[0] == trace.truth_ns[-1]
    assert later[1] - later[0] == pytest.approx(18e-6 * 1800e9, rel=0.01)


@pytest.mark.parametrize("family", few(FAMILIES))
def test_stamps_agree_with_the_truth_at_any_instant(traces, family):
    """An independent reading: least delays taken off, both bounds meet at the truth's level."""
    trace = traces[family]
    truth = trace.truth_at(np.array([e.destination_ns for e in trace.exchanges]))
    assert np.array_equal(truth, trace.truth_ns)
    raw_truth = trace.truth_at_raw(
        np.array([e.destination_ns - e.topside_realtime_minus_raw_ns for e in trace.exchanges])
    )
    assert np.array_equal(raw_truth, trace.truth_ns)


@pytest.mark.parametrize(
    ("family", "size_ns"),
    [("step", 50_000_000), ("step_5ms_unreported", 5_000_000), ("step_3s_unreported", 3_000_000_000)],
)
def test_an_unreported_step_moves_raw_alone(traces, family, size_ns):
    trace = traces[family]
    assert len({e.pi_realtime_minus_raw_ns for e in trace.exchanges}) == 1
    assert len({e.boot_id for e in trace.exchanges}) == 1
    jump = np.abs(np.diff(raw_offsets(trace))).max()
    assert jump == pytest.approx(size_ns, abs=20e6 if size_ns > 20e6 else 4e6)
    assert not trace.steps[0].reported


@pytest.mark.parametrize(
    ("family", "size_ns"),
    [
        ("step_5ms_reported", 5_000_000),
        ("step_50ms_reported", 50_000_000),
        ("step_3s_reported", 3_000_000_000),
        ("step_back_3s_reported", -3_000_000_000),
    ],
)
def test_a_reported_step_moves_realtime_and_leaves_raw_alone(traces, family, size_ns):
    trace = traces[family]
    differences = [e.pi_realtime_minus_raw_ns for e in trace.exchanges]
    assert differences[-1] - differences[0] == size_ns
    assert len(set(differences)) == 2
    smooth = 18e-6 * DURATION_S * 1e9
    assert np.ptp(raw_offsets(trace)) < smooth + 20e6
    moved = int(trace.truth_ns[-1] - trace.truth_ns[0])
    assert moved == pytest.approx(size_ns + smooth, abs=0.01 * smooth + 1e6)


def test_a_reboot_starts_raw_again_under_a_new_boot_id(traces):
    exchanges = traces["reboot"].exchanges
    first = next(i for i, e in enumerate(exchanges) if e.boot_id == "boot-1")
    before, after = exchanges[first - 1], exchanges[first]
    assert after.receive_ns - after.pi_realtime_minus_raw_ns < 1_000_000_000
    assert before.receive_ns - before.pi_realtime_minus_raw_ns > 100_000_000_000_000
    assert after.origin_ns - before.origin_ns >= 25_000_000_000


def test_a_suspend_stops_raw_and_keeps_the_boot_id(traces):
    trace = traces["suspend"]
    differences = [e.pi_realtime_minus_raw_ns for e in trace.exchanges]
    assert differences[-1] - differences[0] == 60_000_000_000 + 20_000_000
    assert len({e.boot_id for e in trace.exchanges}) == 1
    assert np.diff(raw_offsets(trace)).min() == pytest.approx(-60e9, rel=0.001)


def test_loss_duplicates_and_reordering_are_as_frequent_as_stated(traces):
    whole = len(traces["clean"].exchanges)
    assert len(traces["loss"].exchanges) == pytest.approx(0.8 * whole, rel=0.05)
    assert len(traces["duplicates"].exchanges) == pytest.approx(1.1 * whole, rel=0.03)
    assert len({e.seq for e in traces["duplicates"].exchanges}) == whole
    order = np.array([e.seq for e in traces["reordering"].exchanges])
    assert 0.03 < np.mean(np.diff(order) < 0) < 0.15
    assert sorted(order) == list(range(whole))


def test_bursts_load_the_way_back_for_a_third_of_the_time():
    at_s = np.arange(0.0, 36_000.0, 0.25)
    out_s, back_s = delays.bursts()(np.random.default_rng(5), at_s)
    loaded = back_s > 6e-3
    assert np.mean(loaded) == pytest.approx(1 / 3, abs=0.03)
    assert back_s[loaded].max() < 0.155
    assert out_s.max() < 6e-3


def test_least_delays_are_those_of_the_law():
    at_s = np.arange(0.0, 3600.0, 0.25)
    for law, least_out_s, least_back_s in [
        (delays.exponential(), 1e-3, 1e-3),
        (delays.held_answers(), 1e-3, 1e-3),
        (delays.exponential(base_back_s=3e-3), 1e-3, 3e-3),
    ]:
        out_s, back_s = law(np.random.default_rng(6), at_s)
        assert out_s.min() == pytest.approx(least_out_s, abs=2e-6)
        assert back_s.min() == pytest.approx(least_back_s, abs=2e-6)


def test_an_outage_leaves_a_gap_of_its_length():
    trace = make_trace("outage_5min", seed=0, duration_s=1200.0)
    assert np.diff(trace.at_s).max() == pytest.approx(300.0, abs=1.0)


def test_bursts_of_eight_come_every_ten_seconds(traces):
    origins_s = np.array([(e.origin_ns - START_REALTIME_NS) / 1e9 for e in traces["bursts_of_8"].exchanges])
    counts = np.bincount((origins_s // 10).astype(int))
    assert set(counts) == {8}


def test_clocks_decades_apart_keep_their_nanoseconds(traces):
    far, near = traces["decades"], traces["clean"]
    assert abs(far.truth_ns[0]) > 50 * 365 * 86_400 * 10**9
    assert np.array_equal(np.diff(far.truth_ns), np.diff(near.truth_ns))


def test_a_step_between_receive_and_transmit_stays_consistent(monkeypatch):
    """Both Pi stamps are RAW plus the one realtime_minus_raw of the message, so they stay consistent."""
    step = Step(at_s=10.0012, size_ns=3_000_000_000, kind="reported")
    family = Family("split", clock=lambda _s: ClockLaw(steps=(step,)), delays=lambda _s: delays.constant())
    monkeypatch.setitem(families.FAMILIES, "split", family)
    trace = make_trace("split", seed=0, duration_s=20.0)
    turnaround = [e.transmit_ns - e.receive_ns for e in trace.exchanges]
    assert max(turnaround) < 5_000_000
    assert np.ptp(raw_offsets(trace)) < 2e6


def test_every_family_of_the_acceptance_table_is_there():
    assert len(TABLE) == 8
    assert not set(TABLE) & set(EXTRA)
