"""How far the edges of a window lie off is known from shorter windows too, of which there are more."""

import numpy as np
import pytest

from tests.effort import tries
from topside_agent.estimator.smoother_windows import WindowLines, lifted_by_length

SPANS = (4, 6, 8, 12, 16, 22, 32, 45, 64, 90, 128, 180, 256, 360)
BLOCKS = 1_800


def made(seed, *, off_ns, noise_ns):
    """Lines that lie off by `off_ns` in the longest window, as 1/length, and by noise as lasting as they."""
    chance = np.random.default_rng(seed)
    offsets, fits = [], []
    for index, span in enumerate(SPANS):
        steps = chance.normal(size=BLOCKS + 1 + span)
        smooth = np.convolve(steps, np.ones(span) / np.sqrt(span), mode="valid")[: BLOCKS + 1]
        longer = SPANS[-1] / span
        offsets.append(-off_ns * longer + noise_ns * longer * smooth)
        ends = np.arange(span - 1, BLOCKS)
        fits.append(WindowLines(index, span, ends, np.zeros(ends.size), np.zeros(ends.size)))
    return np.array(offsets), fits


@pytest.mark.parametrize("noise_ns", [1_000.0, 4_000.0])
def test_what_few_long_windows_hide_in_noise_shorter_ones_show(noise_ns):
    found = [
        lifted_by_length(*made(seed, off_ns=4_000.0, noise_ns=noise_ns))[-1] ** 0.5
        for seed in range(tries(20))
    ]
    assert min(found) > 2_000
    assert np.median(found) == pytest.approx(4_000, rel=0.3)


def test_edges_that_do_not_lie_off_are_taken_to_lie_off_by_less_than_their_noise():
    found = [lifted_by_length(*made(seed, off_ns=0.0, noise_ns=1_000.0))[-1] for seed in range(tries(20))]
    assert np.median(found) < 500**2
