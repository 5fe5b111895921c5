"""How many requests of one address are answered, and how the rest waits."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from runtime.memory import shortages
from runtime.request_rate import BURST, MOST_WAIT_S, PER_SECOND, RequestRate
from runtime.web_server import Guarded


def test_a_page_that_asks_for_its_files_at_once_waits_for_none():
    rate = RequestRate()
    assert [rate.wait_s("a", 7.0) for _ in range(BURST)] == [0.0] * BURST


def test_another_address_does_not_wait_for_a_flood():
    rate = RequestRate()
    while rate.wait_s("flood", 7.0) is not None:
        pass
    assert rate.wait_s("honest", 7.0) == 0.0


def test_one_that_asks_ten_times_a_second_never_waits():
    rate = RequestRate()
    assert [rate.wait_s("a", tenth / 10) for tenth in range(1000)] == [0.0] * 1000


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=300))
def test_never_more_are_answered_than_the_rate_and_one_burst(gaps_s):
    rate, now_s, answered = RequestRate(), 100.0, []
    for gap_s in gaps_s:
        now_s += gap_s
        wait_s = rate.wait_s("a", now_s)
        if wait_s is not None:
            assert 0 <= wait_s <= MOST_WAIT_S
            answered.append(now_s + wait_s)
    assert answered == sorted(answered)
    for first, begin_s in enumerate(answered):
        for last in range(first, len(answered)):
            within_s = answered[last] - begin_s
            assert last - first + 1 <= BURST + within_s * PER_SECOND + 1e-6


def test_addresses_without_end_take_no_memory_without_end():
    rate = RequestRate()
    answered = [rate.wait_s(str(number), 7.0) for number in range(3_000)]
    assert answered.count(0.0) == 2000
    assert rate.wait_s("later", 60.0) == 0.0


def asked(guarded, kind="http"):
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(guarded({"type": kind, "client": ("192.0.2.1", 5)}, None, send))
    return sent


def test_what_would_wait_too_long_is_refused_without_asking_the_app(monkeypatch):
    async def app(*_):
        raise AssertionError

    monkeypatch.setattr(RequestRate, "wait_s", lambda *_: None)
    guarded = Guarded(app)
    assert asked(guarded)[0]["status"] == 429
    assert asked(guarded, "websocket")[0]["code"] == 1013


def test_a_request_without_memory_is_counted_and_goes_on_to_the_framework():
    async def app(*_):
        raise MemoryError

    before = shortages["http"]
    try:
        asked(Guarded(app))
    except MemoryError:
        assert shortages["http"] == before + 1
    else:
        raise AssertionError
