"""The stream of deltas: what is put together from it is what the lists have, however slow the page."""

import json
import random

import pytest

from broker.interface import Incoming
from schemas import topics
from schemas.presence import Member
from tests.unit.dashboards import LONG_AGO, S, incoming, info, reading, result, session, status
from tests.unit.test_dashboard_api import Bench
from tidesync.dashboard import stream
from tidesync.dashboard.presentation import vehicle_view
from tidesync.dashboard.row_texts import NUMBERS
from tidesync.dashboard.stream import DeltaFeed
from tidesync.fleet import removals


def member(topside, group):
    ours = Member(topside=topside, group=group, weight=1.0, instance_id="i", boot_id="b")
    topic = topics.build("tidesync", topics.TOPSIDE_MEMBER, topside=topside)
    return Incoming(topic, ours.encode(), True, reading(LONG_AGO))


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def feed(bench):
    served = bench.app.state.served
    return DeltaFeed(bench.subscriber, served.about, served.last)


class Page:
    """Puts the messages together as the page does."""

    def __init__(self, feed):
        self.feed = feed
        self.rows = {}
        self.version = 0
        self.messages = []

    def take(self):
        text = self.feed.next()
        if text is None:
            return None
        message = json.loads(text)
        self.messages.append(message)
        if message["anew"]:
            self.rows.clear()
        else:
            assert message["after"] == self.version
        self.version = message["version"]
        self.places = message.get("numbers_of") or self.places
        for key in message["removed"]:
            self.rows.pop(key, None)  # it may have come and gone between two messages
        for row in message["vehicles"]:
            self.rows[f"{row['vehicle']}/{row['topside'] or ''}"] = row | {"at_s": message["now_s"]}
        for values in message["numbers"]:
            numbers = dict(zip(self.places, values, strict=True))
            self.rows[numbers.pop("row")] |= numbers | {"result_age_s": 0.0}
        return message


@pytest.fixture
def page(feed):
    return Page(feed)


def test_after_everything_once_numbers_alone_follow(bench, page):
    bench.hear(*(incoming(result(f"rov{number}")) for number in range(3)))
    first = page.take()
    assert (first["anew"], len(first["vehicles"]), first["numbers"]) == (True, 3, [])
    assert page.take() is None
    bench.hear(incoming(result("rov1", offset_ms=-150.4, lower_ms=-151.0, max_error_ms=0.9)))
    second = page.take()
    assert (second["anew"], second["vehicles"], len(second["numbers"])) == (False, [], 1)
    assert (page.rows["rov1/laptop"]["offset_ms"], page.rows["rov1/laptop"]["max_error_ms"]) == (-150.4, 0.9)


@pytest.mark.parametrize(
    "change",
    [
        incoming(result("rov1", state="holdover")),
        incoming(result("rov1", error="timeout")),
        incoming(result("rov1", interval_s=5.0)),
        incoming(result("rov1", conditional=True)),
        incoming(info("rov1")),
        status("offline", vehicle="rov1"),
        status("offline", topside="laptop"),
        member("laptop", "north"),
    ],
)
def test_more_than_numbers_sends_the_whole_row(bench, page, change):
    bench.hear(incoming(result("rov1", interval_s=1.0)), incoming(result("rov2", topside="stern")))
    page.take()
    bench.hear(change)
    message = page.take()
    assert [row["vehicle"] for row in message["vehicles"]] == ["rov1"]
    assert message["numbers"] == []


def test_a_row_has_its_topsides_group_until_that_is_cleared(bench, page):
    joined = member("laptop", "north")
    bench.hear(joined, incoming(result("rov1")), incoming(result("rov2", topside="stern")))
    page.take()
    assert {key: row["group"] for key, row in page.rows.items()} == {
        "rov1/laptop": "north",
        "rov2/stern": None,
    }
    bench.hear(joined._replace(payload=b""))
    assert [row["group"] for row in page.take()["vehicles"]] == [None]


def test_the_first_live_result_after_a_retained_one_sends_the_whole_row(bench, page):
    bench.hear(incoming(result("rov1", measured_ns=LONG_AGO - 60 * S), retained=True))
    assert page.take()["vehicles"][0]["fresh"] is False
    bench.hear(incoming(result("rov1", measured_ns=LONG_AGO)))
    assert page.take()["vehicles"][0]["fresh"] is True


def test_whatever_comes_the_page_has_what_the_list_has(bench, page):
    chance = random.Random(7)
    for _ in range(300):
        name = f"rov{chance.randrange(12)}"
        numbers = {
            "offset_ms": round(chance.gauss(0, 100), 3),
            "rejected": chance.randrange(9),
            "max_error_ms": round(chance.uniform(0.1, 1), 3),
            "measured_ns": LONG_AGO,
            "measured_unix_ms": 1_777_636_900_000,
            "instance_id": "i",
        }
        state = chance.choice(["locked"] * 6 + ["stale"])
        message = chance.choice(
            [
                *[incoming(result(name, state=state, **numbers))] * 6,
                *[incoming(result(name, topside="stern", **numbers))] * 2,
                status(chance.choice(["online", "offline"]), vehicle=name),
                incoming(info(name)),
            ]
        )
        bench.hear(message)
        if chance.random() < 0.1:
            bench.hear(message.__class__(message.topic, b"", True, message.received))
        if chance.random() < 0.3:
            page.take()
    fleet, now = bench.subscriber.fleet, bench.subscriber.now()
    wanted = {f"{row.vehicle}/{row.topside or ''}": vehicle_view(row) for row in fleet.rows(now)}
    page.take()
    assert sum(message["anew"] for message in page.messages) == 1
    assert page.rows.keys() == wanted.keys()
    for key, view in wanted.items():
        for name, value in view.model_dump(mode="json").items():
            if name != "measured_at":  # `measured_unix_ms` is the same
                assert page.rows[key][name] == value, (key, name)


def test_a_large_fleet_comes_in_parts_that_say_how_much_is_left(bench, page, monkeypatch):
    monkeypatch.setattr(stream, "MOST_ROWS", 10)
    bench.hear(*(incoming(result(f"rov{number:02d}")) for number in range(25)))
    waiting = [page.take()["waiting"]]
    bench.hear(incoming(result("rov24", offset_ms=1.0)))  # not sent yet: it comes whole
    while (message := page.take()) is not None:
        waiting.append(message["waiting"])
    assert waiting == [15, 5, 0]
    assert len(page.rows) == 25
    assert page.rows["rov24/laptop"]["offset_ms"] == 1.0


def test_a_page_that_comes_rarely_gets_the_newest_numbers_once(bench, page):
    bench.hear(incoming(result("rov1")))
    page.take()
    for number in range(50):
        bench.hear(incoming(result("rov1", offset_ms=float(number))))
    assert len(page.take()["numbers"]) == 1
    assert page.rows["rov1/laptop"]["offset_ms"] == 49.0


def cleared(message):
    return message._replace(payload=b"")


def test_a_removed_row_is_named_and_no_other_is_sent_again(bench, page):
    bench.hear(*(incoming(result(f"rov{number}")) for number in range(5)))
    page.take()
    bench.hear(cleared(incoming(result("rov3"))))
    message = page.take()
    assert (message["anew"], message["removed"], message["vehicles"]) == (False, ["rov3/laptop"], [])
    assert "rov3/laptop" not in page.rows


def test_what_is_left_of_a_vehicle_is_sent_with_the_removal(bench, page):
    bench.hear(status("online", vehicle="rov1"), incoming(result("rov1")), incoming(result("rov2")))
    page.take()
    bench.hear(cleared(incoming(result("rov1"))))
    assert [row["topside"] for row in page.take()["vehicles"]] == [None]
    assert set(page.rows) == {"rov1/", "rov2/laptop"}
    bench.hear(incoming(result("rov1")))
    assert page.take()["removed"] == ["rov1/"]
    assert set(page.rows) == {"rov1/laptop", "rov2/laptop"}


def test_a_session_that_is_forgotten_is_named(bench, page):
    bench.hear(incoming(session("dive-1")), incoming(session("dive-2")))
    page.take()
    bench.hear(cleared(incoming(session("dive-1"))))
    assert page.take()["sessions_removed"] == ["dive-1"]


def test_a_page_that_has_missed_more_removals_than_are_kept_begins_again(bench, page, monkeypatch):
    monkeypatch.setattr(removals, "MOST_REMOVALS", 3)
    bench.hear(*(incoming(result(f"rov{number}")) for number in range(6)))
    page.take()
    bench.hear(*(cleared(incoming(result(f"rov{number}"))) for number in range(4)))
    message = page.take()
    assert (message["anew"], set(page.rows)) == (True, {"rov4/laptop", "rov5/laptop"})


def test_pages_that_are_alike_get_one_message_and_one_that_is_behind_its_own(bench):
    served = bench.app.state.served
    one, other, late = (DeltaFeed(bench.subscriber, served.about, served.last) for _ in range(3))
    bench.hear(incoming(result("rov1")))
    first = [feed.next() for feed in (one, other)]
    late.next()
    bench.hear(incoming(result("rov1", offset_ms=1.0)))
    one.next()
    bench.hear(incoming(result("rov1", offset_ms=2.0)))
    other.next()
    bench.hear(incoming(result("rov1", offset_ms=3.0)))
    assert one.next() is not other.next()  # they were at different versions
    bench.hear(incoming(result("rov1", offset_ms=4.0)))
    made = one.next()
    assert other.next() is made
    assert all(first)
    message = json.loads(late.next())
    assert message["numbers"][0][message_place("offset_ms")] == 4.0


def message_place(name):
    return NUMBERS.index(name)


def test_a_page_shows_which_result_is_in_use(bench, page):
    bench.hear(incoming(result("rov1", max_error_ms=0.5)))
    assert [row["in_use"] for row in page.take()["vehicles"]] == [True]
    bench.hear(incoming(result("rov1", topside="stern", max_error_ms=0.1)))
    bench.subscriber.tick(bench.subscriber.now())
    page.take()
    assert {key: row["in_use"] for key, row in page.rows.items()} == {
        "rov1/laptop": False,
        "rov1/stern": True,
    }
    bench.hear(cleared(incoming(result("rov1", topside="stern"))))
    page.take()
    assert {key: row["in_use"] for key, row in page.rows.items()} == {"rov1/laptop": True}
