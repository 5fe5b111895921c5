"""What the estimator remembers of the newest exchanges: the same as if it kept them, in a few bytes."""

from collections import deque

import numpy as np
import pytest

from tests.effort import tries
from topside_agent.estimator.constraints import Constraint
from topside_agent.estimator.remembered import KnownExchanges, RecentConstraints


def constraint(origin_ns, upper_ns, lower_ns, topside_difference_ns=0):
    destination_ns = origin_ns + 1000
    return Constraint(
        origin_ns, upper_ns, destination_ns, lower_ns, 0, 0, 0, topside_difference_ns, 1, raw=True
    )


@pytest.mark.parametrize("seed", range(tries(3)))
def test_an_exchange_is_known_while_it_is_among_the_newest(seed):
    """Also those that come late, and after topside's clock was set back."""
    rng = np.random.default_rng(seed)
    known, kept = KnownExchanges(20), deque(maxlen=20)
    for seq in range(400):
        origin_ns = seq * 1000 - int(rng.choice([0, 0, 3000, 150_000]))
        known.add(seq, origin_ns)
        kept.append((seq, origin_ns))
        for pair in (*kept, (seq + 1, origin_ns), (seq, origin_ns + 1), (seq - 20, origin_ns), (seq, -1)):
            assert (pair in known) == (pair in kept)


def test_a_step_came_after_the_newest_exchange_that_contradicts_it():
    recent = RecentConstraints(3)
    recent.add(constraint(0, 5, -5, 10))
    assert recent.last_clean(constraint(9000, 100, 90), 0.0) == 1010
    for origin_ns in (2000, 3000):
        recent.add(constraint(origin_ns, 95, 85, 10))
    assert recent.last_clean(constraint(9000, 100, 90), 0.0) == 1010
    assert recent.last_clean(constraint(9000, 100, 90), 0.01) is None  # within the drift that is allowed
    recent.add(constraint(4000, 95, 85, 10))
    assert recent.last_clean(constraint(9000, 100, 90), 0.0) is None  # only three are remembered
    assert recent.last_clean(constraint(9000, 80, 70), 0.0) == 5010


def test_numbers_of_any_clock_fit():
    known, recent = KnownExchanges(4), RecentConstraints(4)
    latest_ns = 9_214_646_400_000_000_000
    known.add(2**53, latest_ns)
    recent.add(constraint(latest_ns - 1000, latest_ns, -latest_ns))
    assert (2**53, latest_ns) in known
    assert recent.last_clean(constraint(0, latest_ns, -latest_ns), 0.0) is None
