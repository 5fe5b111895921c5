"""What one exchange proves, and when it can prove nothing."""

import pytest

from schemas.exchange import HTTP, MQTT, Exchange, Method, method_named
from topside_agent.estimator.constraints import constraint_of, impossible

PI_1970 = 3_600_000_000_000
TOPSIDE_2026 = 1_777_636_800_000_000_000


def exchange(**changes):
    values = {
        "vehicle": "rov1",
        "topside": "topside",
        "seq": 1,
        "boot_id": "boot-0",
        "origin_ns": TOPSIDE_2026,
        "receive_ns": TOPSIDE_2026 + 5_000,
        "transmit_ns": TOPSIDE_2026 + 6_000,
        "destination_ns": TOPSIDE_2026 + 3_000,
        "pi_realtime_minus_raw_ns": 700,
        "topside_realtime_minus_raw_ns": 200,
        "resolution_ns": 0,
    }
    return Exchange(**(values | changes))


def test_upper_bound_holds_at_the_origin_and_lower_bound_at_the_destination():
    constraint = constraint_of(exchange())
    assert (constraint.origin_ns, constraint.upper_ns) == (TOPSIDE_2026 - 200, 5_000 - 500)
    assert (constraint.destination_ns, constraint.lower_ns) == (TOPSIDE_2026 + 2_800, 3_000 - 500)
    assert constraint.realtime_offset_ns == 500


def test_resolution_widens_both_bounds():
    fine, coarse = constraint_of(exchange()), constraint_of(exchange(resolution_ns=40))
    assert coarse.upper_ns == fine.upper_ns + 40
    assert coarse.lower_ns == fine.lower_ns - 40


@pytest.mark.parametrize("side", ["pi_realtime_minus_raw_ns", "topside_realtime_minus_raw_ns"])
def test_where_a_difference_is_unknown_both_sides_are_taken_in_realtime(side):
    constraint = constraint_of(exchange(**{side: None}))
    assert not constraint.raw
    assert (constraint.origin_ns, constraint.upper_ns) == (TOPSIDE_2026, 5_000)
    assert constraint.realtime_offset_ns == 0


def test_clocks_decades_apart_lose_no_nanosecond():
    constraint = constraint_of(exchange(receive_ns=PI_1970 + 1, transmit_ns=PI_1970 + 2))
    assert constraint.upper_ns == PI_1970 + 1 - TOPSIDE_2026 - 500
    assert constraint.lower_ns == PI_1970 + 2 - TOPSIDE_2026 - 3_000 - 500


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"transmit_ns": TOPSIDE_2026 + 4_999}, "clock_stepped"),
        ({"destination_ns": TOPSIDE_2026 - 1}, "clock_stepped"),
        ({"transmit_ns": TOPSIDE_2026 + 8_002}, "negative_delay"),
        ({"transmit_ns": TOPSIDE_2026 + 8_002, "resolution_ns": 1}, None),
    ],
)
def test_stamps_that_no_clocks_can_have_given_are_refused_with_their_reason(changes, reason):
    assert impossible(constraint_of(exchange(**changes)), rate_limit=0.0) == reason


@pytest.mark.parametrize(
    ("method", "standalone"), [(MQTT, False), (HTTP, True), (Method("chrony_v4"), False)]
)
def test_whether_an_exchange_without_raw_is_standalone_is_its_methods_property(method, standalone):
    assert method_named(method.name) == method
    without = exchange(method=method.name, pi_realtime_minus_raw_ns=None)
    assert constraint_of(without).standalone == standalone
    assert not constraint_of(exchange(method=method.name)).standalone
