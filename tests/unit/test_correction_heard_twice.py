"""Topside's dates of two vehicles of one name: all instants of that time are in doubt, hardly any other."""

import random

import numpy as np
import pytest

from schemas.duplicate_span import DuplicateSpan
from schemas.events import Duplicate
from schemas.instants import utc_from_ns
from tests.effort import tries
from tests.unit.moving_clocks import MovingClock, exchanges_of, history_of
from tests.unit.tracks import S
from tidesync.sessions.correction.heard_twice import ENDLESS, MARGIN_NS
from tidesync.sessions.correction.named_twice import doubts_of, sentence
from topside_agent.estimator import Exchanges

SECONDS = 160
PI = MovingClock("pi", -1_200_000_000, 40e-6)
OWN = MovingClock("topside")
FAR = MovingClock("topside", 503 * S, -20e-6)
NEVER = utc_from_ns(17 * 10**17)
"""The recorder's clock shows another year."""


def measured(clock, name="own", *, gaps=(), boots=("b1",), change_s=(), seconds=SECONDS):
    """What the process `name` on `clock` measured of the vehicle, which booted at the instants `change_s`."""
    found = []
    for each in exchanges_of(PI, clock, seconds=seconds, gaps=gaps):
        true_s = (each.receive_ns - each.pi_realtime_minus_raw_ns - 1_000 * S) / S / (1 + PI.drift)
        boot = boots[sum(true_s > change for change in change_s)]
        labels = {"topside": name, "instance_id": name, "topside_boot_id": f"boot of {name}", "boot_id": boot}
        found.append(each.model_copy(update=labels))
    return Exchanges.of(found)


def line(at_s, until_s, clock=OWN, name="own", *, ended=True):
    at_raw_ns, until_raw_ns = clock.raw_ns(np.array([at_s, until_s])).tolist()
    at, until = (utc_from_ns(each) for each in clock.realtime_ns(np.array([at_s, until_s])).tolist())
    span = DuplicateSpan(at=at, at_raw_ns=at_raw_ns, until=until, until_raw_ns=until_raw_ns, ended=ended)
    about = {"vehicle": "rov1", "error": "duplicate_vehicle", "topside": name, "instance_id": name}
    return Duplicate(**about, at=NEVER, until=NEVER, by_topside=span)


def doubted(lines, own, at_s, clock=OWN, others=None):
    """Which of topside's instants at the true times `at_s` are in doubt."""
    pieces = {"boot of own": history_of(clock, SECONDS)}
    doubts = doubts_of(lines, own, lambda each: (others or {}).get(each.topside, Exchanges.of([])), pieces)
    instants = clock.realtime_ns(np.asarray(at_s, dtype=float))
    flags = np.zeros(instants.shape, dtype=bool)
    for first, last in doubts.doubtful:
        flags |= (instants >= first) & (instants <= last)
    return flags


def drawn_clock(chance):
    steps, at_s = [], 10.0
    while (at_s := at_s + chance.expovariate(1 / 30)) < SECONDS:
        steps.append((at_s, chance.choice((-1, 1)) * chance.choice((0.02, 3.0, 45.0))))
    begin = chance.uniform(10, SECONDS - 30)
    suspends = [(begin, chance.uniform(1, 20))] if chance.random() < 0.4 else []
    steps = [step for step in steps if not any(at <= step[0] <= at + long for at, long in suspends)]
    slews = [(chance.uniform(0, 100), chance.uniform(100, 150), chance.choice((-500.0, 83_333.0)))]
    return MovingClock("topside", chance.randrange(-500, 500) * S, 1e-5, steps, slews, suspends=suspends)


@pytest.mark.parametrize("seed", range(tries(12)))
def test_whatever_topsides_clock_did_all_of_that_time_is_in_doubt(seed):
    chance = random.Random(seed)
    clock, far = drawn_clock(chance), drawn_clock(chance)
    at_s = chance.uniform(5, SECONDS - 40)
    until_s = at_s + chance.uniform(0.3, 20)
    gap = chance.uniform(0, SECONDS - 30)
    own = measured(clock, gaps=[(gap, gap + 15)] if chance.random() < 0.5 else ())
    others = {"far": measured(far, "far")}
    by = chance.choice(("own", "far"))
    lines = [line(at_s, until_s, *((clock, "own") if by == "own" else (far, "far")))]
    when = np.arange(at_s, until_s, 0.1)
    for step_s, _ in clock.steps:
        when = when[abs(when - step_s) > 0.4]  # no history knows at which instant of a look it was
    assert doubted(lines, own, when, clock, others).all()


@pytest.mark.parametrize("by", ["own", "far"])
@pytest.mark.parametrize("gaps", [(), [(58, 64)], [(30, 90)]])
def test_no_other_time_is_in_doubt_but_the_margin_and_what_was_not_measured(by, gaps):
    own, others = measured(OWN, gaps=gaps), {"far": measured(FAR, "far")}
    lines = [line(60, 70, *((OWN, "own") if by == "own" else (FAR, "far")))]
    begin = min([60 - MARGIN_NS / S, *(each for each, end in gaps if end > 50)])
    end = max([70 + MARGIN_NS / S, *(each for _, each in gaps)])
    assert doubted(lines, own, np.arange(begin + 1, end - 1, 0.1), others=others).all()
    sure = np.concatenate([np.arange(0, begin - 2, 0.1), np.arange(end + 2, SECONDS + 500, 0.1)])
    assert not doubted(lines, own, sure, others=others).any()


def test_one_that_topside_did_not_see_end_lasts_until_another_process_of_it_measured():
    own = measured(OWN, seconds=80)
    lines = [line(60, 70), line(60, 75, ended=False)]
    assert doubted(lines, own, [61, 80, 500]).all()
    later = [each for each in measured(OWN, "next") if each.origin_ns > own[-1].destination_ns + 20 * S]
    later = [each.model_copy(update={"topside_boot_id": "boot of own"}) for each in later]
    both = Exchanges.of([*own, *later])
    assert doubted(lines, both, np.arange(51, 99, 0.5)).all()
    assert not doubted(lines, both, np.concatenate([np.arange(0, 48, 0.5), np.arange(103, 500, 0.5)])).any()


def test_a_boot_that_was_not_heard_before_is_in_doubt_until_one_that_was_answers_again():
    own = measured(OWN, boots=("b1", "b2", "b1"), change_s=(75, 110))
    found = doubted([line(60, 70)], own, np.arange(0, SECONDS, 0.5))
    assert found[2 * 50 : 2 * 110].all()
    assert not found[: 2 * 48].any()
    assert not found[2 * 113 :].any()


def test_what_ended_before_the_session_leaves_nothing_in_doubt():
    own = Exchanges.of([each for each in measured(OWN) if each.seq > 4 * 100])
    assert doubts_of([line(60, 70)], own, lambda _: own).doubtful == []
    assert doubted([line(60, 95)], own, [90, 100]).all()


def test_dates_of_a_process_of_which_nothing_is_recorded_leave_all_in_doubt():
    own = measured(OWN)
    assert doubted([line(60, 70, name="lost")], own, np.arange(0, SECONDS + 500, 1.0)).all()


def test_what_one_stamped_within_the_margin_is_in_doubt_where_the_others_clock_reads_it():
    moved = dict.fromkeys(("receive_ns", "transmit_ns", "pi_realtime_minus_raw_ns"), -3 * S)
    own = Exchanges.of(
        each.model_copy(update={name: getattr(each, name) + by for name, by in moved.items()})
        if each.boot_id == "b2"
        else each
        for each in measured(OWN, boots=("b1", "b2"), change_s=(65,))
    )
    found = doubted([line(60, 64)], own, np.arange(0, SECONDS, 0.5))
    assert found[95:].all()
    assert not found[: 2 * 44].any()


def test_where_nothing_shows_the_other_ones_clock_all_is_in_doubt_and_the_sentence_says_so():
    own, heard = measured(OWN), line(60, 70)
    span = heard.by_topside.model_copy(update={"boot_ids": ("b1", "b2")})
    lines = [heard.model_copy(update={"by_topside": span})]
    unknown, known = (doubts_of(lines, own, lambda _: own, {}, clocks) for clocks in ((), {"b2"}))
    assert (-ENDLESS, ENDLESS) in unknown.doubtful
    assert (-ENDLESS, ENDLESS) not in known.doubtful
    assert "what the other one's clock showed was not recorded: every row" in sentence("rov1", unknown)
    assert "every row" not in sentence("rov1", known)


def test_the_complaint_states_the_time_by_topsides_clock():
    own = measured(OWN)
    shown = sentence("rov1", doubts_of([line(60, 70)], own, lambda _: own))
    assert "between 2026-05-01T12:00:49." in shown
    assert " and 2026-05-01T12:01:20." in shown
    assert "recorded" not in shown
