"""The middle of symmetric delays: better than the shortest two, never worse if one way jitters more."""

import numpy as np
import pytest

from topside_agent.estimator.symmetric import middle

WINDOWS = 1500


def drawn(law, count=100, seed=1):
    """`count` delays out and back for each of many windows, sorted."""
    rng = np.random.default_rng(seed)
    return (np.sort(way, axis=1) for way in law(rng, (WINDOWS, count)))


def rms(law, count=100):
    """Of `middle` and of the middle between the shortest delays; the truth is 0."""
    out, back = drawn(law, count)
    found = np.array([middle(*window) for window in zip(out.tolist(), back.tolist(), strict=True)])
    shortest = (out[:, 0] - back[:, 0]) / 2
    return np.sqrt(np.mean(found**2)), np.sqrt(np.mean(shortest**2))


def lognormal(out, back, sigma=0.5):
    return lambda rng, shape: (
        rng.lognormal(np.log(out), sigma, shape),
        rng.lognormal(np.log(back), sigma, shape),
    )


def exponential(out, back):
    return lambda rng, shape: (rng.exponential(out, shape), rng.exponential(back, shape))


def normal(rng, shape):
    return 10 + rng.normal(0, 1, shape), 10 + rng.normal(0, 1, shape)


def spiked(rng, shape):
    out, back = lognormal(5, 5)(rng, shape)
    return out + 50 * (rng.random(shape) < 0.01), back + 50 * (rng.random(shape) < 0.01)


def held_answers(rng, shape):
    out, back = exponential(0.5, 0.5)(rng, shape)
    return out, back + 40 * (rng.random(shape) < 0.7)


@pytest.mark.parametrize(
    ("law", "count", "share"),
    [(spiked, 100, 0.90), (spiked, 600, 0.88), (lognormal(5, 5), 20, 0.95), (normal, 100, 0.87)],
)
def test_where_both_directions_are_symmetric_all_delays_help(law, count, share):
    ours, shortest = rms(law, count)
    assert ours < share * shortest


@pytest.mark.parametrize(
    ("law", "count"),
    [
        (exponential(0.5, 0.5), 20),
        (exponential(0.5, 0.5), 100),
        (exponential(0.1, 5), 40),
        (lognormal(8, 2), 100),
        (lognormal(5, 8), 100),
        (lognormal(2, 2, 1.2), 100),
        (held_answers, 40),
    ],
)
def test_elsewhere_the_shortest_delays_lose_nothing(law, count):
    ours, shortest = rms(law, count)
    assert ours < 1.03 * shortest


def test_turned_around_the_answer_is_turned_around():
    out, back = drawn(spiked)
    for there, here in zip(out[:50].tolist(), back[:50].tolist(), strict=True):
        assert middle(there, here) == -middle(here, there)
        moved = middle([way + 7 for way in there], [way - 7 for way in here])
        assert moved == pytest.approx(middle(there, here) + 7)


@pytest.mark.parametrize("count", [1, 2, 15])
def test_few_exchanges_are_judged_by_their_shortest_delays(count):
    out, back = [float(k) for k in range(3, 3 + count)], [1.0 + 2.0 * k for k in range(count)]
    assert middle(out, back) == 1.0


def test_delays_that_the_stamps_cannot_tell_apart_leave_the_middle():
    assert middle([5.0] * 40, [3.0] * 40) == 1.0
    assert middle([5.0] * 40 + [9.0] * 40, [3.0] * 40 + [8.0] * 40) == 1.0
