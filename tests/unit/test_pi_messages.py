"""The agent contradicts an `offline` on its status, and two namesakes never flood the broker."""

from itertools import pairwise

import pytest

from pi_agent.messages import NAMESAKE_PAUSE_NS, STATUS_PAUSE_NS, AnnouncementPolicy
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
def announcements():
    begun = AnnouncementPolicy("me")
    begun.announced("info", 0)
    begun.announced("status", 0)
    return begun


def test_nothing_is_announced_again_without_cause_for_a_minute(announcements):
    announcements.heard_status(b"online", 1)
    assert announcements.due(60 * S - 1) == []
    assert announcements.due(60 * S) == ["info", "status"]


def test_a_topside_that_comes_online_is_answered_within_a_second(announcements):
    announcements.heard_topside("laptop", "online", 30 * S)
    assert announcements.due(30 * S + S) == ["info", "status"]


def test_a_topside_that_renews_its_status_is_not_answered_one_that_came_back_is(announcements):
    answered = []
    for second in range(600):
        if second % 60 == 7:
            announcements.heard_topside("laptop", "online", second * S)
        if second == 300:
            announcements.heard_topside("laptop", "offline", second * S)
            announcements.heard_topside("laptop", "online", second * S)
        for what in announcements.due(second * S):
            announcements.announced(what, second * S)
            answered.append((what, second))
    assert [second for what, second in answered if what == "status"][:2] in ([7, 67], [8, 68])
    statuses = [second for what, second in answered if what == "status"]
    assert sum(300 <= second <= 302 for second in statuses) == 1
    assert len(statuses) <= 600 // 60 + 2


def test_topsides_that_come_and_go_are_answered_once_in_a_few_seconds(announcements):
    published = 0
    for now_ns in range(0, 30 * S, S // 10):
        announcements.heard_topside(f"t{now_ns % 7}", "online", now_ns)
        announcements.heard_topside(f"t{now_ns % 7}", "offline", now_ns)
        for what in announcements.due(now_ns):
            announcements.announced(what, now_ns)
            published += what == "status"
    assert published <= 30 * S // STATUS_PAUSE_NS


def test_a_fleet_does_not_answer_a_topside_all_at_once():
    fleet = [AnnouncementPolicy(f"{number:032x}") for number in range(1000)]
    for each in fleet:
        each.announced("status", 0)
        each.heard_topside("laptop", "online", 10 * S)
    answered = [sum(bool(each.due(10 * S + tenth * S // 10)) for each in fleet) for tenth in range(11)]
    assert answered[-1] == 1000
    assert max(after - before for before, after in pairwise(answered)) < 200


@pytest.mark.parametrize("payload", [b"offline", b"", b"\xff\x00", b"Online"])
def test_what_says_anything_but_online_is_contradicted_at_once_after_a_quiet_time(announcements, payload):
    announcements.announced("info", 60 * S)
    announcements.heard_status(payload, 60 * S)
    assert announcements.due(60 * S) == ["status"]
    announcements.announced("status", 60 * S)
    assert "status" not in announcements.due(120 * S - 1)


def test_a_shower_of_offlines_is_contradicted_once_in_a_few_seconds(announcements):
    published = 0
    for now_ns in range(0, 30 * S, S // 10):
        announcements.heard_status(b"offline", now_ns)
        if announcements.due(now_ns):
            announcements.announced("status", now_ns)
            published += 1
    assert published == 30 * S // STATUS_PAUSE_NS - 1


def test_ones_own_info_is_no_namesake(announcements):
    assert announcements.heard_info(info("me"), 30 * S) is False
    assert announcements.due(60 * S - 1) == []


def test_a_namesake_is_warned_of_once_a_minute(announcements):
    warned = [second for second in range(180) if announcements.heard_info(info("other"), second * S)]
    assert warned == [0, 60, 120]


def test_two_namesakes_keep_knowing_of_each_other_at_one_message_a_minute_each():
    agents = {name: AnnouncementPolicy(name) for name in ("a", "b")}
    agents["a"].announced("info", 0)
    published: list[tuple[str, int]] = []
    warned: list[tuple[str, int]] = []

    def publish(name, second):
        published.append((name, second))
        agents[name].announced("info", second * S)
        for other, announcements in agents.items():
            if announcements.heard_info(info(name), second * S):
                warned.append((other, second))

    publish("b", 100)  # b starts long after a
    for second in range(100, 400):
        for name, announcements in agents.items():
            if "info" in announcements.due(second * S):
                publish(name, second)
    assert {name for name, second in warned if second == 100} == {"a", "b"}
    for name in agents:
        assert 5 <= sum(who == name for who, _ in published) <= 6
        assert 5 <= sum(who == name for who, _ in warned) <= 6
    assert NAMESAKE_PAUSE_NS == 60 * S
