"""How far the samples of a piece are from its line is exact, whatever the clock does."""

import random

import pytest

from runtime.clock_pieces import PieceBuilder
from runtime.clock_samples import Sample
from runtime.kernel_clock import KernelState
from tests.effort import tries

STARTED_NS, EPOCH_NS = 5 * 10**12, 1_777_636_800 * 10**9
STEADY = KernelState()


def wandering(chance, *, count, half_ns=100):
    """Samples of a clock whose rate wanders, and changes now and then."""
    raw_ns, difference_ns, rate_ppm = STARTED_NS, EPOCH_NS, 0.0
    for _ in range(count):
        span_ns = chance.choice([20_000_000, 200_000_000, 203_000_000])
        rate_ppm = chance.choice([rate_ppm] * 12 + [rate_ppm + chance.gauss(0, 0.3), chance.gauss(0, 5)])
        raw_ns, difference_ns = raw_ns + span_ns, difference_ns + round(span_ns * rate_ppm / 1e6)
        yield Sample(raw_ns, difference_ns + chance.randint(-80, 80), half_ns, STEADY)


@pytest.mark.parametrize("seed", range(tries(40)))
def test_a_piece_is_as_wide_as_its_farthest_sample_and_no_wider(seed):
    chance = random.Random(seed)
    samples = list(wandering(chance, count=chance.choice([20, 200, 600])))
    builder = PieceBuilder()
    for sample in samples:
        builder.add(sample, None)
    builder.close()
    pieces = builder.pieces(0, len(samples))
    for _, piece in pieces:
        span_ns = piece.to_raw_ns - piece.from_raw_ns
        moved_ns = piece.to_realtime_ns - piece.from_realtime_ns - span_ns
        from_ns = piece.from_realtime_ns - piece.from_raw_ns
        within = [each for each in samples if piece.from_raw_ns <= each.raw_ns <= piece.to_raw_ns]
        apart = max(
            abs(
                (each.realtime_minus_raw_ns - from_ns) * span_ns
                - moved_ns * (each.raw_ns - piece.from_raw_ns)
            )
            for each in within
        )
        farthest_ns = -(-apart // span_ns)
        assert farthest_ns + 100 <= piece.half_width_ns <= farthest_ns + 100 + 10_000
        if len(within) > 2:
            assert farthest_ns <= 10_000
    assert any(piece.half_width_ns > 150 for _, piece in pieces)
