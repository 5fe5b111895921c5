"""What the clock showed after the last exchange of a boot or a segment is not taken for what others show."""

import numpy as np
import pytest

from tests.effort import few, tries
from tests.unit.moving_clocks import FIRST_RAW, MovingClock, S, exchanges_of, history_of
from tidesync.sessions.correction.clock_limits import limits_of
from tidesync.sessions.correction.histories import Histories
from tidesync.sessions.correction.order import RowCorrector
from tidesync.sessions.correction.session import timeline_of
from tidesync.sessions.correction.timeline import HOLDOVER, OK
from tidesync.sessions.folder import Measured
from topside_agent.estimator import EstimatorSettings, in_order, smooth

SETTINGS = EstimatorSettings()
TOPSIDE = MovingClock("topside")


class Boots:
    """A Pi that boots at the first instant of each (from, until, offset in s, steps)."""

    def __init__(self, *boots):
        self.boots = [
            (begin, end, MovingClock("pi", round(offset * S), 20e-6, steps=list(steps)))
            for begin, end, offset, steps in boots
        ]

    def exchanges(self, seconds, silences=(), rate=4.0):
        found = []
        for number, (begin, end, clock) in enumerate(self.boots):
            off = ((0, begin + 0.01), (end - 0.1, seconds))
            of_boot = exchanges_of(clock, TOPSIDE, seconds=seconds, gaps=(*silences, *off), rate=rate)
            restarted = round(begin * S)
            found += [
                each.model_copy(
                    update={
                        "boot_id": f"b{number}",
                        "pi_realtime_minus_raw_ns": each.pi_realtime_minus_raw_ns
                        + FIRST_RAW["pi"]
                        + restarted,
                    }
                )
                for each in of_boot
            ]
        return found

    def history(self, seconds):
        found = {}
        for number, (begin, end, clock) in enumerate(self.boots):
            less = FIRST_RAW["pi"] + round(begin * S)
            pieces = history_of(clock, min(end, seconds), unheard=((0, begin),))
            found[f"b{number}"] = [
                each.model_copy(
                    update={"from_raw_ns": each.from_raw_ns - less, "to_raw_ns": each.to_raw_ns - less}
                )
                for each in pieces
            ]
        return found

    def stamps(self, at_s):
        found = np.zeros(at_s.size, dtype=np.int64)
        on = np.zeros(at_s.size, dtype=bool)
        for begin, end, clock in self.boots:
            here = (at_s >= begin) & (at_s < end)
            found[here], on = clock.realtime_ns(at_s[here]), on | here
        return found[on], on


def correct(boots, exchanges, at_s, *, pi=None, topside=None, ordered=True):
    """(instants of the rows while it was on, their states, which of them are wrong)."""
    exchanges = in_order(exchanges)
    measured = Measured("rov1", "topside", exchanges, smooth(exchanges, SETTINGS))
    limits = limits_of(SETTINGS, exchanges, slew_ppm=None, max_error_ms=25.0)
    made = timeline_of(measured, limits, Histories(pi or {}, topside or {}), SETTINGS)
    stamps, on = boots.stamps(at_s)
    corrector = RowCorrector(made)
    if corrector.passes > 1 and ordered:
        corrector.note(stamps)
    topside_ns, stated, state, _ = corrector.correct(stamps)
    error = np.abs(topside_ns - TOPSIDE.realtime_ns(at_s[on]))
    return at_s[on], state, (state <= HOLDOVER) & (error > stated)


def test_a_boot_of_which_only_the_history_is_known_may_have_stamped_what_it_showed():
    boots = Boots((0, 60, 0, ()), (61, 80, -20, ()))
    measured = [each for each in boots.exchanges(80) if each.boot_id == "b0"]
    at_s, state, wrong = correct(boots, measured, np.arange(2, 79, 0.05), pi=boots.history(80))
    assert not wrong.any()
    assert (state[at_s < 40] == OK).all()


def test_a_single_reading_between_two_moves_of_the_clock_shows_what_it_may_have_stamped():
    boots = Boots((0, 100, 0, [(60, 100)]), (105, 140, 70, ()))
    measured = boots.exchanges(140, silences=((50, 70), (70.25, 105)))
    history = {"t": history_of(TOPSIDE, 140)}
    at_s, state, wrong = correct(boots, measured, np.arange(2, 139, 0.05), topside=history)
    assert (
        sum(each.origin_ns > measured[0].origin_ns + 65 * S and each.boot_id == "b0" for each in measured)
        == 1
    )
    assert not wrong.any()
    assert (state[at_s < 49] <= HOLDOVER).all()


def over_http(exchange):
    without = {"pi_realtime_minus_raw_ns": None, "boot_id": None, "resolution_ns": 1_000_000}
    return exchange.model_copy(update={**without, "method": "ntp_handshake_v1"})


@pytest.mark.parametrize("kept", ["topside", "both"])
@pytest.mark.parametrize("lasts_s", [35, 38.5])
@pytest.mark.parametrize("moved_s", [60, -20])
def test_what_the_clock_showed_while_http_alone_answered_is_not_taken_for_others(kept, lasts_s, moved_s):
    """It was set and set back meanwhile: readings of its RAW clock on both sides show nothing of it."""
    boots = Boots((0, 220, 0, [(50, moved_s), (50 + lasts_s, -moved_s)]))
    measured = boots.exchanges(220, rate=2.0)
    begin_ns = measured[0].origin_ns
    measured = [over_http(each) if 28 < (each.origin_ns - begin_ns) / S < 99 else each for each in measured]
    histories = {"t": history_of(TOPSIDE, 220)}, boots.history(220) if kept == "both" else None
    at_s, state, wrong = correct(
        boots, measured, np.arange(2, 219, 0.05), topside=histories[0], pi=histories[1]
    )
    assert not wrong.any(), at_s[wrong][:5]
    assert (state[at_s > 160] == OK).all()
    assert kept == "topside" or (state <= HOLDOVER).mean() > 0.6


@pytest.mark.parametrize("set_back_s", [300, 299.99, 250, 0])
@pytest.mark.parametrize("topside_raw_s", [2, 30, 100])
def test_a_raw_clock_of_another_boot_does_not_tell_how_long_a_silence_was(set_back_s, topside_raw_s):
    """Both sides boot within it. Without a clock chip the Pi begins twice at the time it had saved."""
    boots = Boots((0, 170, 0, ()), (300, 400, -set_back_s, ()))
    measured = boots.exchanges(400, silences=((20, 330),))
    again_ns = measured[0].destination_ns + 200 * S
    restarted_ns = FIRST_RAW["topside"] + round((330 - topside_raw_s) * S)
    for place, each in enumerate(measured):
        booted = each.destination_ns > again_ns
        difference_ns = each.topside_realtime_minus_raw_ns + booted * restarted_ns
        changed = {"topside_boot_id": f"t{booted}", "topside_realtime_minus_raw_ns": difference_ns}
        measured[place] = each.model_copy(update=changed)
    at_s, state, wrong = correct(boots, measured, np.arange(2, 399, 0.05))
    assert not wrong.any(), at_s[wrong][:5]
    assert set_back_s or (state[(at_s < 19) | (at_s > 331)] == OK).all()


@pytest.mark.parametrize("seed", few(range(tries(20))))
@pytest.mark.parametrize("kept", ["none", "pi", "both"])
def test_no_row_is_wrong_where_the_clock_is_set_within_a_silence(seed, kept):
    chance = np.random.default_rng([seed, len(kept)])
    silence_s = float(chance.choice([1, 5, 20, 90]))
    begin, back_s = 40.0, float(chance.choice([-1, 1])) * chance.uniform(0.3, 1.2) * silence_s
    set_at = begin + chance.uniform(0.05, 0.95) * silence_s
    seconds = round(begin + silence_s + 40)
    boots = Boots((0, seconds, 3, [(set_at, back_s)]))
    if chance.random() < 0.5:
        up_at = min(set_at + chance.uniform(0, 0.5) * silence_s, begin + silence_s)
        boots = Boots((0, set_at, 3, ()), (up_at, seconds, 3 + back_s, ()))
    measured = boots.exchanges(seconds, silences=((begin, begin + silence_s),), rate=2.0)
    pi = boots.history(seconds) if kept != "none" else None
    topside = {"t": history_of(TOPSIDE, seconds)} if kept == "both" else None
    rows = np.arange(2, seconds - 2, 0.04)
    at_s, state, wrong = correct(boots, measured, rows, pi=pi, topside=topside, ordered=chance.random() < 0.5)
    assert not wrong.any(), at_s[wrong][:5]
    repeated = max(-back_s, 0) + 2
    sure = (at_s < begin - repeated - silence_s) | (at_s > begin + silence_s + repeated + 20)
    assert not sure.any() or (state[sure] <= HOLDOVER).mean() > 0.9
