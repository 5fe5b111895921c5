"""What a clock that was set shows again is never taken for what it had shown before."""

import numpy as np
import pytest

from runtime.clock import Reading
from schemas.clock_history import VehicleClock
from tests.unit.moving_clocks import MovingClock, S, exchanges_of, history_of
from tidesync.library.live import SharedState
from topside_agent.estimator import EstimatorSettings, OffsetEstimator
from topside_agent.shared_state.layout import DOUBT, EVER_NS, SPANS, Span
from topside_agent.shared_state.past import Past
from topside_agent.shared_state.writer import SharedFile

SECONDS, BACK_S = 70, 6.6


def until(raw_ns, piece):
    """What of a piece was known at an instant of its RAW."""
    if piece.to_raw_ns <= raw_ns:
        return piece
    length_ns, shown_ns = piece.to_raw_ns - piece.from_raw_ns, piece.to_realtime_ns - piece.from_realtime_ns
    realtime_ns = piece.from_realtime_ns + (raw_ns - piece.from_raw_ns) * shown_ns // length_ns
    return piece.model_copy(update={"to_raw_ns": raw_ns, "to_realtime_ns": realtime_ns})


class Shared:
    """What is shared of `pi` at the instant `now_s`, whose exchanges until then were all accepted."""

    def __init__(self, path, pi, topside, now_s, *, current=True, refused=(), late_s=0):
        self.pi, self.topside = pi, topside
        estimator, past, made = OffsetEstimator(EstimatorSettings()), Past(5e-7), []
        now_ns = int(topside.raw_ns(np.array([now_s]))[0])
        history, own = history_of(pi, SECONDS), list(enumerate(history_of(topside, now_s)))
        for exchange in exchanges_of(pi, topside, seconds=SECONDS):
            raw_ns = exchange.destination_ns - exchange.topside_realtime_minus_raw_ns
            if raw_ns > now_ns or exchange.seq in refused:
                continue
            estimator.add(exchange)
            past.boottime_ns = raw_ns
            past.exchanged(exchange, estimator)
            known_ns = exchange.transmit_ns - exchange.pi_realtime_minus_raw_ns - late_s * S
            pieces = tuple(until(known_ns, each) for each in history if each.from_raw_ns < known_ns)
            names = {"vehicle": "rov1", "boot_id": "b1", "instance_id": "i1"}
            if pieces:
                past.pieces(VehicleClock(**names, first=0, pieces=pieces))
            made += past.advance(own)
        past.boottime_ns = now_ns
        made += past.advance(own)
        file = SharedFile.create(path)
        difference_ns = int(topside.difference_ns(np.array([now_s]))[0])
        now = Reading(now_ns, difference_ns, 0)
        file.write(
            file.place("rov1"),
            made,
            counts=(past.runs.first, past.runs.following),
            tail=past.tail(now, current=current),
            spans=past.spans(now, current=current, unknown=False),
            written_ns=0,
        )
        self._reader = SharedState([path], lambda: 0)

    def ask(self, made_s):
        stamp_ns, truth_ns = (
            int(clock.realtime_ns(np.array([made_s]))[0]) for clock in (self.pi, self.topside)
        )
        return self._reader.interval(stamp_ns, "rov1"), truth_ns


def stepped_back():
    return MovingClock("pi", 3 * S, 20e-6, steps=[(60.1, -BACK_S)])


STEPPED = MovingClock("topside", steps=[(60.3, 80e-6)])
FIRST_LOST = 238
"""Of the exchanges those from 60.5 s on."""


@pytest.mark.parametrize(
    ("topside", "current"), [(STEPPED, True), (MovingClock("topside"), False), (MovingClock("topside"), True)]
)
def test_what_a_clock_that_was_set_back_shows_since_its_last_exchange_is_ambiguous(
    topside, current, tmp_path
):
    lost = range(FIRST_LOST, 1_000)
    shared = Shared(tmp_path / "state", stepped_back(), topside, 61.3, current=current, refused=lost)
    assert shared.ask(40)[0].state == "ok"
    for made_s in np.arange(60.3, 61.3, 0.1):
        assert shared.ask(made_s)[0].state == "ambiguous"


def test_where_nothing_is_known_since_the_last_exchange_the_times_before_keep_their_answers(tmp_path):
    pi = MovingClock("pi", 3 * S, 20e-6)
    shared = Shared(tmp_path / "state", pi, STEPPED, 61.3, refused=range(FIRST_LOST, 1_000))
    for made_s in np.arange(20, 59.9, 0.3):
        answer, truth_ns = shared.ask(made_s)
        assert answer.state in {"ok", "conditional"}
        assert answer.lower_ns <= truth_ns <= answer.upper_ns
    assert shared.ask(60.8)[0].state == "outside"


def test_an_exchange_that_shows_a_cut_and_no_relation_leaves_all_in_doubt():
    exchanges = exchanges_of(stepped_back(), MovingClock("topside"), seconds=SECONDS)
    estimator, past = OffsetEstimator(EstimatorSettings()), Past(5e-7)
    for exchange in exchanges[:FIRST_LOST]:
        estimator.add(exchange)
        past.exchanged(exchange, estimator)
    last = exchanges[FIRST_LOST - 1]
    now = Reading(
        last.destination_ns - last.topside_realtime_minus_raw_ns, last.topside_realtime_minus_raw_ns, 0
    )
    assert len(past.tail(now, current=True)) > 1
    alone = {"pi_realtime_minus_raw_ns": None, "topside_realtime_minus_raw_ns": None}
    without = exchanges[FIRST_LOST].model_copy(update=alone)
    assert estimator.add(without).accepted
    past.exchanged(without, estimator)
    assert past.spans(now, current=True, unknown=False) == (Span(-EVER_NS, EVER_NS, DOUBT),)


def test_of_more_cuts_than_there_is_room_for_none_is_lost():
    past = Past(5e-7)
    for number in range(2 * SPANS):
        past.runs.cut([Span(number, number, DOUBT)])
    exchanges = exchanges_of(
        MovingClock("pi", 3 * S, steps=[(at + 0.1, -100) for at in range(2, 22)]),
        MovingClock("topside"),
        seconds=SECONDS,
    )
    estimator = OffsetEstimator(EstimatorSettings())
    for exchange in exchanges[:90]:
        estimator.add(exchange)
        past.exchanged(exchange, estimator)
    now = Reading(exchanges[89].destination_ns - exchanges[89].topside_realtime_minus_raw_ns, 0, 0)
    spans = past.spans(now, current=True, unknown=False)
    assert len(spans) == SPANS
    assert all(any(low <= number <= high for low, high, _ in spans) for number in range(2 * SPANS))


@pytest.mark.parametrize("late_s", [0, 9])
def test_what_a_clock_showed_that_was_set_and_set_right_between_two_exchanges_is_ambiguous(late_s, tmp_path):
    pi = MovingClock("pi", 3 * S, 20e-6, steps=[(30.1, -20), (32.1, 20)])
    lost = range(116, 126)  # from 30 s to 32.5 s
    shared = Shared(tmp_path / "state", pi, MovingClock("topside"), 60, refused=lost, late_s=late_s)
    for made_s in np.arange(30.3, 32, 0.1):
        assert shared.ask(made_s)[0].state == "ambiguous"
    for made_s in (*np.arange(3, 9.5, 0.5), *np.arange(45, 58, 0.5)):
        answer, truth_ns = shared.ask(made_s)
        assert answer.state in {"ok", "conditional"}
        assert answer.lower_ns <= truth_ns <= answer.upper_ns
