"""Which topside's result of a vehicle is used: the least bound, none in doubt, and not now this, now that."""

import math
from itertools import permutations
from typing import NamedTuple

import pytest

from schemas.choice import chosen


class Held(NamedTuple):
    topside: str
    max_error_ms: float | None
    error: str | None = None


NARROW, WIDE, WIDEST = Held("boat", 0.2), Held("shore", 0.3), Held("lab", 0.5)


@pytest.mark.parametrize("candidates", list(permutations([NARROW, WIDE, WIDEST])))
def test_the_least_bound_is_chosen_whatever_the_order(candidates):
    assert chosen(candidates) is NARROW


@pytest.mark.parametrize("word", ["duplicate_vehicle", "duplicate_topside", "a word of a later version"])
def test_a_doubtful_result_is_never_chosen_however_narrow(word):
    doubtful = NARROW._replace(error=word)
    assert chosen([doubtful, WIDE], in_use="boat") is WIDE
    assert chosen([doubtful]) is None


def test_the_one_in_use_stays_until_another_is_twice_as_good():
    assert chosen([NARROW, WIDE], in_use="shore") is WIDE
    assert chosen([NARROW, WIDEST], in_use="lab") is NARROW
    assert chosen([NARROW, WIDEST], in_use="lab", stays_within=math.inf) is WIDEST
    assert chosen([NARROW, Held("lab", None)], in_use="lab") is NARROW


def test_one_without_a_bound_is_chosen_only_where_none_has_one():
    without = Held("a", None, error="timeout")
    assert chosen([without, WIDEST]) is WIDEST
    assert chosen([without]) is without


def test_equal_bounds_are_decided_by_name():
    assert chosen([Held("b", 0.2), Held("a", 0.2)]).topside == "a"
