"""What a connection knows of its subscriptions, by the codes of SUBACK."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.address import parse_address
from broker.subscriptions import FIRST_RETRY_S, LONGEST_RETRY_S, REFUSED, SLOW_NS, Request, Subscriptions

WANTED = [("a/+", 1), ("b", 0), ("c", 1)]
RETRY_NS = round(LONGEST_RETRY_S * 1e9)
ADDRESS = parse_address("mqtt://boat")


def asked(subscriptions, mid, filters, answered=None, at_ns=0):
    subscriptions.asked(mid, Request(tuple(filters), answered, at_ns))


def begun():
    subscriptions = Subscriptions()
    subscriptions.begin()
    return subscriptions


def test_what_is_refused_is_named_with_its_filter_and_only_that():
    subscriptions, heard = begun(), []
    asked(subscriptions, 7, WANTED, heard.append)
    assert not subscriptions.settled.is_set()
    assert subscriptions.waiting == ("a/+", "b", "c")
    subscriptions.answer(7, [1, REFUSED, 0], 0)
    assert subscriptions.refused == ("b",)
    assert subscriptions.settled.is_set()
    assert heard == [{"a/+": 1, "b": REFUSED, "c": 0}]


@pytest.mark.parametrize("codes", [[], [1], [1, 1], [1, 1, 3], [1, 1, 0x87], [1, 1, 255]])
def test_a_filter_without_a_code_that_grants_is_refused(codes):
    subscriptions = begun()
    asked(subscriptions, 1, WANTED)
    subscriptions.answer(1, codes, 0)
    assert subscriptions.refused == tuple(name for name, _ in WANTED[min(len(codes), 2) :])


def test_it_is_settled_when_the_last_packet_is_answered_and_not_after_the_connection():
    subscriptions = begun()
    asked(subscriptions, 1, WANTED[:1])
    asked(subscriptions, 2, WANTED[1:])
    subscriptions.answer(2, [0, 1], 0)
    assert not subscriptions.settled.is_set()
    subscriptions.answer(9, [REFUSED], 0)  # of no packet of ours
    subscriptions.answer(1, [1], 0)
    assert subscriptions.settled.is_set()
    subscriptions.end()
    assert not subscriptions.settled.is_set()


def test_what_was_refused_is_asked_again_and_granted_then():
    subscriptions = begun()
    heard = []
    asked(subscriptions, 1, WANTED, heard.append)
    subscriptions.answer(1, [REFUSED, 0, REFUSED], 5)
    assert subscriptions.due(5) == []
    (again,) = subscriptions.due(5 + RETRY_NS)
    assert again.filters == (("a/+", 1), ("c", 1))
    assert subscriptions.due(5 + RETRY_NS) == []
    subscriptions.asked(2, again)
    subscriptions.answer(2, [1, REFUSED], RETRY_NS)
    assert heard[-1] == {"a/+": 1, "c": REFUSED}
    assert subscriptions.refused == ("c",)
    assert [request.filters for request in subscriptions.due(2 * RETRY_NS)] == [(("c", 1),)]


def test_what_is_refused_is_asked_for_soon_and_then_less_often_but_never_given_up():
    subscriptions = Subscriptions(random.Random(1))
    subscriptions.begin()
    at_ns, waits_s = 0, []
    asked(subscriptions, 1, WANTED)
    for mid in range(1, 100):
        subscriptions.answer(mid, [REFUSED] * 3, at_ns)
        due_s = next(s for s in range(1, 1000) if subscriptions.due(at_ns + s * 10_000_000)) / 100
        waits_s.append(due_s)
        at_ns += round(due_s * 1e9)
        asked(subscriptions, mid + 1, WANTED, at_ns=at_ns)
    assert waits_s[0] <= FIRST_RETRY_S
    assert LONGEST_RETRY_S / 2 < max(waits_s) <= LONGEST_RETRY_S


def test_a_silent_broker_is_named_after_a_while_and_until_it_answers():
    subscriptions = begun()
    asked(subscriptions, 1, WANTED[:1])
    asked(subscriptions, 2, WANTED[1:], at_ns=SLOW_NS)
    subscriptions.due(SLOW_NS)
    assert subscriptions.silence(ADDRESS) is None
    subscriptions.due(SLOW_NS + 1)
    assert subscriptions.silence(ADDRESS).filters == ("a/+",)
    subscriptions.due(2 * SLOW_NS + 1)
    assert subscriptions.silence(ADDRESS).filters == ("a/+", "b", "c")
    subscriptions.answer(1, [1], 2 * SLOW_NS)
    subscriptions.answer(2, [0, REFUSED], 2 * SLOW_NS)
    assert subscriptions.silence(ADDRESS) is None


def test_each_who_asked_is_given_the_codes_of_its_own_filters_again():
    subscriptions, first, second = begun(), [], []
    asked(subscriptions, 1, WANTED[:2], first.append)
    asked(subscriptions, 2, WANTED[2:], second.append)
    subscriptions.answer(1, [REFUSED, 0], 0)
    subscriptions.answer(2, [REFUSED], 0)
    for mid, request in enumerate(subscriptions.due(RETRY_NS), start=3):
        subscriptions.asked(mid, request)
        subscriptions.answer(mid, [1], RETRY_NS)
    assert (first[-1], second[-1]) == ({"a/+": 1}, {"c": 1})
    assert subscriptions.refused == ()


def test_a_filter_that_is_no_longer_wanted_is_not_asked_for_again():
    subscriptions = begun()
    asked(subscriptions, 1, WANTED)
    subscriptions.answer(1, [REFUSED] * 3, 0)
    subscriptions.forget(["a/+", "b"])
    assert subscriptions.refused == ("c",)
    assert [request.filters for request in subscriptions.due(RETRY_NS)] == [(("c", 1),)]


@given(st.lists(st.tuples(st.integers(0, 5), st.lists(st.integers(0, 255), max_size=5)), max_size=20))
def test_refused_and_granted_are_all_there_is_whatever_a_broker_answers(answers):
    subscriptions = begun()
    for mid in range(3):
        asked(subscriptions, mid, WANTED)
    for mid, codes in answers:
        result = subscriptions.answer(mid, codes, 0)
        assert set(result.values()) <= {0, 1, 2, REFUSED}
        assert set(subscriptions.refused) <= {name for name, _ in WANTED}
    assert subscriptions.settled.is_set() == ({0, 1, 2} <= {mid for mid, _ in answers})
