"""When a vehicle may be forgotten, and what is said when something is still there; pure."""

import pytest

from runtime.clock import Reading
from schemas.instants import utc_from_ns
from schemas.messages import OffsetResult
from tidesync.cli.forget import _complaint
from tidesync.fleet.forgetting import presence

S = 1_000_000_000
NOW = Reading(1000 * S, 1_777_635_800 * S, 0)
STATUS, OFFSET = "tidesync/v1/vehicle/rov1/status", "tidesync/v1/vehicle/rov1/offset/laptop"


def measured(state, age_s, interval_s=None):
    fields = dict.fromkeys(OffsetResult.model_fields) | {"schema_version": 1, "conditional": False}
    counts = dict.fromkeys(("exchanges", "rejected", "segment", "steps"), 0)
    at = utc_from_ns(NOW.realtime_ns - age_s * S)
    named = {
        "method": "mqtt_exchange_v1",
        "vehicle": "rov1",
        "topside": "laptop",
        "state": state,
        "measured_at": at,
        "interval_s": interval_s,
    }
    return OffsetResult(**fields | counts | named).encode()


@pytest.mark.parametrize(
    ("retained", "expected"),
    [
        ({}, None),
        ({STATUS: b"offline"}, None),
        ({STATUS: b"online", OFFSET: measured("locked", 1)}, "rov1 is online"),
        ({STATUS: b"offline", OFFSET: measured("locked", 1)}, "rov1 is being measured by laptop"),
        ({STATUS: b"offline", OFFSET: measured("locked", 5)}, "rov1 is being measured by laptop"),
        ({STATUS: b"offline", OFFSET: measured("locked", 60)}, None),
        ({STATUS: b"offline", OFFSET: measured("locked", 8, 10.0)}, "rov1 is being measured by laptop"),
        ({STATUS: b"offline", OFFSET: measured("holdover", 1)}, None),
        ({STATUS: b"rubbish", OFFSET: b"{"}, None),
        ({"homeassistant/device/tidesync_rov1/config": b"online"}, None),
    ],
)
def test_a_vehicle_that_is_online_or_measured_now_is_not_forgotten(retained, expected):
    reason = presence("tidesync", "rov1", retained, NOW)
    assert (reason is None) is (expected is None)
    assert expected is None or reason.startswith(expected)


def test_a_topside_that_is_online_or_measures_now_is_not_forgotten():
    status = "tidesync/v1/topside/laptop/status"
    assert presence("tidesync", "laptop", {status: b"online"}, NOW).startswith("laptop is online")
    gone = {status: b"offline", OFFSET: measured("locked", 60), "tidesync/v1/topside/laptop/member": b"{}"}
    assert presence("tidesync", "laptop", gone, NOW) is None
    measures = {status: b"offline", OFFSET: measured("locked", 1)}
    assert presence("tidesync", "laptop", measures, NOW).startswith("rov1 is being measured by laptop")
    assert "laptop's agent runs" in _complaint("laptop", None, {OFFSET: b"1"}, {OFFSET: b"2"})


def test_what_was_denied_and_what_came_back_are_distinguished():
    denied = _complaint("rov1", None, {STATUS: b"offline"}, {STATUS: b"offline"})
    assert "may this account clear them?" in denied
    again = _complaint("rov1", None, {OFFSET: b"1"}, {OFFSET: b"2"})
    assert "published again" in again
    assert "laptop still measures rov1" in again
