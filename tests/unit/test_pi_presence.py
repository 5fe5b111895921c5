"""The agent contradicts whoever says it is gone, and two namesakes never shout without end."""

import pytest

from pi_agent.presence import NAMESAKE_PAUSE_NS, STATUS_PAUSE_NS, Presence
from schemas.instants import utc_from_ns
from schemas.messages import Info

S = 1_000_000_000


def info(instance_id):
    return Info(
        vehicle="rov1",
        version="1",
        boot_id="boot",
        instance_id=instance_id,
        started_at=utc_from_ns(0),
        receive_stamp="user",
        clock_synchronized=False,
        http_port=None,
    )


@pytest.fixture
def presence():
    begun = Presence("me")
    begun.announced("info", 0)
    begun.announced("status", 0)
    return begun


def test_nothing_is_said_again_without_cause(presence):
    presence.heard_status("online", 1)
    assert presence.due(3600 * S) == []


def test_an_offline_is_contradicted_at_once_after_a_quiet_time(presence):
    presence.heard_status("offline", 60 * S)
    assert presence.due(60 * S) == ["status"]
    presence.announced("status", 60 * S)
    assert presence.due(3600 * S) == []


def test_a_shower_of_offlines_is_contradicted_once_in_a_few_seconds(presence):
    said = 0
    for now_ns in range(0, 30 * S, S // 10):
        presence.heard_status("offline", now_ns)
        if presence.due(now_ns):
            presence.announced("status", now_ns)
            said += 1
    assert said == 30 * S // STATUS_PAUSE_NS - 1


def test_ones_own_info_is_no_namesake(presence):
    assert presence.heard_info(info("me"), 60 * S) is False
    assert presence.due(3600 * S) == []


def test_a_namesake_is_warned_of_once_a_minute(presence):
    warned = [second for second in range(180) if presence.heard_info(info("other"), second * S)]
    assert warned == [0, 60, 120]


def test_two_namesakes_keep_knowing_of_each_other_at_one_message_a_minute_each():
    agents = {name: Presence(name) for name in ("a", "b")}
    agents["a"].announced("info", 0)
    said: list[tuple[str, int]] = []
    warned: list[tuple[str, int]] = []

    def say(name, second):
        said.append((name, second))
        agents[name].announced("info", second * S)
        for other, presence in agents.items():
            if presence.heard_info(info(name), second * S):
                warned.append((other, second))

    say("b", 100)  # b starts long after a
    for second in range(100, 400):
        for name, presence in agents.items():
            if "info" in presence.due(second * S):
                say(name, second)
    assert {name for name, second in warned if second == 100} == {"a", "b"}
    for name in agents:
        assert 5 <= sum(who == name for who, _ in said) <= 6
        assert 5 <= sum(who == name for who, _ in warned) <= 6
    assert NAMESAKE_PAUSE_NS == 60 * S
