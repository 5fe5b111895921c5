"""Topside's clock is set while an exchange runs, and no notice of the kernel says so."""

import json

import pytest

from runtime.clock import Reading, was_set
from schemas.messages import Pong
from topside_agent.http_fallback.http_get import Answer, TimedResponse
from topside_agent.measuring.actions import PublishResult, SendPing
from topside_agent.measuring.measurement import Measurement
from topside_agent.settings import TopsideSettings

MS, S = 1_000_000, 1_000_000_000
D = 1_777_000_000 * S
PI = 1_777_000_001 * S


def reading(ms, difference_ns=D):
    return Reading(round(ms * MS), difference_ns, 100)


def measurement(vehicle="rov1"):
    return Measurement("rov1", TopsideSettings(vehicle=(vehicle,)), resolution_ns=1)


def result_at(measured, now):
    (published,) = [each for each in measured.publish(now) if isinstance(each, PublishResult)]
    return published.result


def asked(measured, ms, set_ns=0, before_ns=D):
    """An exchange over MQTT of 10 ms in which topside's clock is set by `set_ns`; its result."""
    (ping,) = [each.ping for each in measured.timer(reading(ms, before_ns)) if isinstance(each, SendPing)]
    pong = Pong(
        seq=ping.seq,
        nonce=ping.nonce,
        receive_ns=PI + round((ms + 5) * MS),
        transmit_ns=PI + round((ms + 5) * MS),
        realtime_minus_raw_ns=PI,
        boot_id="b",
        instance_id="i",
        receive_stamp="user",
        transmit_stamp="user",
        resolution_ns=50,
    )
    measured.pong(pong, reading(ms + 10, before_ns + set_ns))
    return result_at(measured, reading(ms + 11, before_ns + set_ns))


@pytest.mark.parametrize("set_ns", [3 * S, -3 * S, 20 * MS])
def test_a_first_exchange_in_which_topside_was_set_is_conditional_and_holds_now(set_ns):
    measured = measurement()
    result = asked(measured, 1000, set_ns)
    assert result.conditional
    assert result.lower_ms * MS <= PI - D - set_ns <= result.upper_ms * MS
    assert not asked(measured, 2000, before_ns=D + set_ns).conditional


def test_without_a_step_it_is_not():
    assert not asked(measurement(), 1000).conditional
    assert not asked(measurement(), 1000, set_ns=900_000).conditional  # a slew of 9 % explains it


@pytest.mark.parametrize(("set_ns", "conditional"), [(3 * S, True), (-3 * S, True), (0, False), (MS, False)])
def test_so_is_a_handshake_over_http(set_ns, conditional):
    measured = measurement("rov1=http://rov1:9150")
    pi_ns = PI + 20_010 * MS
    iso = f"2026-04-24T03:{(pi_ns // S) % 3600 // 60:02d}:{(pi_ns // S) % 60:02d}.{pi_ns % S // 1000:06d}Z"
    body = json.dumps({"pi_iso": iso, "pi_unix_ms": pi_ns / MS}).encode()
    response = TimedResponse(Answer(200, body), reading(20_000), reading(20_020, D + set_ns))
    measured.handshake(response)
    result = result_at(measured, reading(20_021, D + set_ns))
    assert result.conditional is conditional
    assert result.lower_ms * MS <= PI - D - set_ns <= result.upper_ms * MS


def test_what_no_slew_can_move_was_set():
    assert was_set(reading(0), reading(10, D + 1_006_000))
    assert not was_set(reading(0), reading(10, D + 1_004_000))
    assert not was_set(reading(0), reading(10, D - 1_004_000))
    assert was_set(reading(0), reading(0, D + 300))
