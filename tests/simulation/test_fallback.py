"""HTTP takes over while MQTT is away, over a simulated link: the bound holds whatever the clock does."""

import json
from itertools import pairwise

import pytest

from runtime.clock import Step, read
from schemas.exchange import HTTP, MQTT
from schemas.instants import utc_from_ns
from schemas.messages import ExchangeBatch
from tests.effort import tries
from tests.simulation.simulated import MS, Link, S, Simulation, jitter
from topside_agent.estimator import smooth
from topside_agent.http_fallback.http_get import Answer, Failure, TimedResponse
from topside_agent.measuring.actions import PublishResult
from topside_agent.settings import TopsideSettings

AWAY = (20, 60)
EVERY_S = 2.0


class HarbourSea(Simulation):
    """The vehicle also answers over HTTP, for as long as `http_down` does not say otherwise."""

    http_down = ()
    unit_ns = 1000
    delay = staticmethod(jitter(1, 8))

    def run(self, seconds):
        for turn in range(1, int(seconds / EVERY_S)):
            self.at(turn * EVERY_S, self._begin)
        return super().run(seconds)

    def _begin(self):
        if not self.measurement.needs_handshake(self.clock.now_ns, self.start_ns):
            return
        sent = read(self.clock)
        self._push(self.clock.now_ns + round(self.delay(self.random)), lambda: self._serve_http(sent))

    def _serve_http(self, sent):
        since_s = (self.clock.now_ns - self.start_ns) / S
        down = any(start <= since_s < end for start, end in self.http_down)
        outcome = Failure("network_error", "") if down else self._answer_http()
        self._push(
            self.clock.now_ns + round(self.delay(self.random)),
            lambda: self._take_http(TimedResponse(outcome, sent, read(self.clock))),
        )

    def _answer_http(self):
        stamp_ns = self.vehicle.realtime_ns() // self.unit_ns * self.unit_ns
        iso = utc_from_ns(stamp_ns).isoformat(timespec="microseconds" if self.unit_ns < MS else "seconds")
        body = {"pi_iso": iso, "pi_unix_ms": stamp_ns // MS}
        return Answer(200, json.dumps(body).encode())

    def _take_http(self, got):
        self.measurement.handshake(got)
        self._publish()

    def exchanges(self):
        """Everything finished, in the order in which it would be recorded."""
        batches = self.measurement.resend(0, 2**53)
        return [each for batch in batches for each in ExchangeBatch.decode(batch.payload).exchanges]


def sail(seed=1, link=None, **changes):
    link = link or Link(out_ns=jitter(1, 0.5), back_ns=jitter(1, 0.5), down=(AWAY,))
    simulated = {"offset_ns": -1_234_567_000, "drift_ppm": 40.0} | changes.pop("simulated", {})
    sea = HarbourSea(link, seed=seed, simulated=simulated, settings=TopsideSettings(timeout_s=1.0))
    for name, value in changes.items():
        setattr(sea, name, value)
    return sea


def wrong(published):
    return [entry for entry in published if not entry.right]


def by_method(published, method):
    return [entry for entry in published if entry.result.method == method]


@pytest.mark.parametrize("unit_ns", [1000, MS])
def test_http_takes_over_and_hands_back_and_every_result_holds_the_truth(unit_ns):
    sea = sail(unit_ns=unit_ns)
    published = sea.run(80)
    assert wrong(published) == []
    over_http = by_method(published, HTTP.name)
    assert {entry.result.error for entry in over_http} == {None}
    assert 20 + 3 <= over_http[0].at_s < 20 + 3 + 3 * EVERY_S
    assert 59 < over_http[-1].at_s < 61
    assert published[-1].result.method == MQTT.name
    assert published[-1].result.state == "locked"
    assert published[-1].result.max_error_ms < min(entry.result.max_error_ms for entry in over_http)


def test_eight_handshakes_in_a_row_are_locked_fewer_are_acquiring():
    published = by_method(sail(delay=staticmethod(lambda _: MS)).run(60), HTTP.name)
    states = list(dict.fromkeys(entry.result.state for entry in published))
    assert states == ["acquiring", "locked"]
    first_locked = next(entry for entry in published if entry.result.state == "locked")
    assert first_locked.at_s - published[0].at_s == pytest.approx(7 * EVERY_S, abs=0.5)


@pytest.mark.parametrize("step_ns", [MS // 2, 2 * MS, -5 * MS, 50 * MS, -3 * S])
@pytest.mark.parametrize("seed", range(tries(3)))
def test_a_step_that_nobody_could_report_makes_no_result_wrong(step_ns, seed):
    sea = sail(seed, simulated={"steps": (Step(40.5, step_ns),)})
    published = sea.run(80)
    assert wrong(published) == []
    assert published[-1].result.method == MQTT.name


def test_a_reboot_that_nobody_could_report_makes_no_result_wrong():
    sea = sail()
    sea.at(40.5, lambda: sea.boot(offset_ns=-7 * S, drift_ppm=-20.0))
    published = sea.run(80)
    # The truth is told by the new clock: what was measured before it is compared with nothing.
    known = [
        entry for entry in published if not 40.5 <= entry.at_s < 40.5 + 2 * EVERY_S or entry.error_ms < 100
    ]
    assert wrong(known) == []
    assert len(known) > len(published) - 5
    assert published[-1].result.state == "locked"


def test_a_step_of_the_laptops_own_clock_between_handshakes_makes_no_result_wrong():
    sea = sail()

    def step():
        sea.clock.difference_ns += 5 * S

    sea.at(40.5, step)
    sea.at(41.5, sea._publish)
    published = sea.run(50)
    over_http = [entry for entry in by_method(published, HTTP.name) if entry.at_s > 43]
    assert over_http
    assert wrong(over_http) == []


def test_what_fails_over_http_too_is_said_and_the_offset_is_carried_forward():
    sea = sail(http_down=((40, 60),))
    published = sea.run(58)
    assert wrong(published) == []
    last = published[-1].result
    assert (last.error, last.method) == ("network_error", HTTP.name)
    assert last.state in {"holdover", "stale"}
    assert last.age_s > 15


def test_a_vehicle_that_only_answers_over_http_is_measured():
    published = sail(link=Link(lost=1.0)).run(40)
    assert {entry.result.method for entry in published} == {HTTP.name}
    assert wrong(published) == []
    assert published[-1].result.state in {"acquiring", "locked"}


def test_neither_way_is_unsynced_with_http_having_the_last_word():
    sea = sail(link=Link(lost=1.0), http_down=((0, 99),))
    seen = []
    publish = sea.measurement.publish

    def spy(now):
        actions = publish(now)
        seen.extend(action.result for action in actions if isinstance(action, PublishResult))
        return actions

    sea.measurement.publish = spy
    sea.run(20)
    assert {result.state for result in seen} == {"unsynced"}
    assert [result.error for result in seen][-5:] == ["network_error"] * 5


def test_no_handshake_is_made_while_mqtt_reaches_the_vehicle():
    sea = sail(link=Link())
    sea.run(20)
    assert {exchange.method for exchange in sea.exchanges()} == {MQTT.name}


def test_a_handshake_that_ends_after_mqtt_is_back_is_left_out():
    sea = sail(delay=staticmethod(lambda _: 99 * MS))
    sea.at(59.9, sea._begin)  # ends at 60.1
    sea.run(80)
    methods = [exchange.method for exchange in sea.exchanges()]
    changes = [pair for pair in pairwise(methods) if pair[0] != pair[1]]
    assert changes == [(MQTT.name, HTTP.name), (HTTP.name, MQTT.name)]


def test_the_log_counts_both_kinds_in_one_row_and_its_smoothed_track_is_right():
    sea = sail()
    sea.run(80)
    exchanges = sea.exchanges()
    assert [exchange.seq for exchange in exchanges] == list(range(len(exchanges)))
    assert {exchange.method for exchange in exchanges} == {MQTT.name, HTTP.name}
    assert all(
        exchange.pi_realtime_minus_raw_ns is None for exchange in exchanges if exchange.method == HTTP.name
    )
    for row in smooth(exchanges).rows:
        raw_ns = row.topside_unix_ns - sea.clock.difference_ns
        true_ns = sea._true_ms(raw_ns) * MS
        assert row.lower_ns - 1 <= true_ns <= row.upper_ns + 1
