"""The flat mirror for BlueOS's telemetry: one message a second, absent null, the forgotten left out."""

import json

import pytest

from broker.accounts.permissions import permissions
from tests.unit.dashboards import S, reading, result
from topside_agent.integrations.blueos_mirror import BlueosMirror


@pytest.fixture
def mirror():
    return BlueosMirror("boat", enabled=True)


def test_it_is_flat_and_each_key_says_its_vehicle_and_unit(mirror):
    (message,) = mirror.due(result("rov1", measured_unix_ms=1_777_636_800_123), reading(0))
    assert (message.topic, message.qos, message.retain) == ("blueos/ext/tidesync-boat/json", 0, False)
    assert json.loads(message.payload) == {
        "rov1_state": "locked",
        "rov1_offset_ms": -150.3,
        "rov1_max_error_ms": 0.42,
        "rov1_drift_ppm": -3.4,
        "rov1_delay_min_ms": 0.6,
        "rov1_steps": 0,
        "rov1_age_s": 0.0,
        "rov1_measured_unix_ms": 1_777_636_800_123,
        "rov1_error": None,
        "rov1_locked": 1,
    }


def test_what_is_absent_is_null_and_never_zero(mirror):
    (message,) = mirror.due(result(state="unsynced", offset_ms=None, age_s=None), reading(0))
    values = json.loads(message.payload)
    assert (values["rov1_offset_ms"], values["rov1_age_s"], values["rov1_locked"]) == (None, None, 0)


@pytest.mark.parametrize("error", ["duplicate_vehicle", "duplicate_topside"])
def test_the_numbers_of_a_duplicate_are_null(mirror, error):
    (message,) = mirror.due(result(state="acquiring", error=error), reading(0))
    values = json.loads(message.payload)
    numbers = ("offset_ms", "max_error_ms", "drift_ppm", "delay_min_ms")
    assert {values[f"rov1_{key}"] for key in numbers} == {None}
    assert (values["rov1_error"], values["rov1_locked"]) == (error, 0)


def test_it_goes_out_once_in_a_second_with_the_newest_of_every_vehicle(mirror):
    sent = [mirror.due(result(f"rov{n % 3}", offset_ms=float(n)), reading(n * S // 10)) for n in range(31)]
    assert [len(messages) for messages in sent] == [1 if n % 10 == 0 else 0 for n in range(31)]
    last = json.loads(sent[30][0].payload)
    assert [last[f"rov{n}_offset_ms"] for n in range(3)] == [30.0, 28.0, 29.0]


def test_a_vehicle_that_is_forgotten_is_left_out(mirror):
    mirror.due(result("rov1"), reading(0))
    mirror.forget("rov1")
    (message,) = mirror.due(result("rov2"), reading(S))
    assert {key.partition("_")[0] for key in json.loads(message.payload)} == {"rov2"}


def test_it_is_silent_unless_it_is_enabled():
    assert BlueosMirror("boat", enabled=False).due(result(), reading(0)) == []


def test_a_topside_may_mirror_under_its_own_name_alone_and_only_if_it_is_allowed():
    own = "blueos/ext/tidesync-boat/json"
    assert own not in permissions("tidesync", "topside", "boat", topsides=[]).publish
    allowed = permissions("tidesync", "topside", "boat", topsides=[], blueos_mirror=True)
    assert [topic for topic in allowed.publish if topic.startswith("blueos")] == [own]
    assert not any(topic.startswith("blueos") for topic in allowed.subscribe)
    reader = permissions("tidesync", "dashboard", "telegraf", topsides=[], blueos_mirror=True)
    assert reader.publish == ()
    assert "blueos/ext/+/json" in reader.subscribe
