"""The Pi's clock is set in a silence, and the Pi boots before anybody reads it: no row of it is wrong."""

import numpy as np
import pytest

from tests.effort import tries
from tests.unit.tracks import START, S, raw_of, row
from tidesync.sessions.correction.clock_limits import ClockLimits
from tidesync.sessions.correction.from_track import timeline
from tidesync.sessions.correction.order import RowCorrector
from tidesync.sessions.correction.timeline import HOLDOVER
from tidesync.sessions.correction.unexplained import Reading

SECONDS = 300
BEFORE, AFTER = (lambda at_s: at_s), (lambda at_s: at_s[::-1])


class Life:
    """A Pi that nobody hears from `gap[0]` to `gap[1]` s; `moves` are (at, s): what its clock is set by."""

    def __init__(self, gap, off, moves=(), *, topside_boots=False, topside_set_s=0.0):
        self.gap, self.off, self.moves = gap, off, moves
        self.topside_set_s = topside_set_s
        at_s = np.arange(0.01, SECONDS, 0.25)
        self.heard = at_s[(at_s < gap[0]) | (at_s > gap[1])]
        rows = [self._row(at) for at in self.heard.tolist()]
        boots = [int(at > gap[0]) for at in self.heard.tolist()]
        read = {
            each.topside_unix_ns: Reading(
                0, 0, 1_000, None, pi_boot=f"pi{boot}", topside_boot=f"t{boot * topside_boots}"
            )
            for each, boot in zip(rows, boots, strict=True)
        }
        raw = raw_of(rows) if not topside_boots else {}
        self.timeline = timeline(rows, raw, ClockLimits(promised=False), read)

    def _row(self, at_s):
        moved_s = self.topside_set_s * (at_s > self.gap[0])
        return row(at_s + moved_s, (self.offset_s(at_s) - moved_s) * S, int(at_s > self.gap[0]))

    def offset_s(self, at_s):
        return 20e-6 * at_s + sum(np.where(at_s >= at, size, 0.0) for at, size in self.moves)

    def corrected(self, at_s, order):
        """(wrong, answered) of rows at the instants `at_s` at which the Pi was on."""
        at_s = order(at_s[(at_s < self.off[0]) | (at_s > self.off[1])])
        stamps = START + np.rint((at_s + self.offset_s(at_s)) * S).astype(np.int64)
        corrector = RowCorrector(self.timeline)
        if corrector.passes > 1:
            corrector.note(stamps)
        topside_ns, error_ns, state, _ = corrector.correct(stamps)
        moved_s = self.topside_set_s * (at_s > self.gap[0])
        true_ns = START + np.rint((at_s + moved_s) * S).astype(np.int64)
        answered = state <= HOLDOVER
        return answered & (np.abs(topside_ns - true_ns) > error_ns), answered


def silence(chance):
    """A gap and when the Pi was off within it."""
    begins = chance.uniform(60, 200)
    gap = begins, begins + chance.choice([8.0, 20.0, 60.0])
    return gap, tuple(sorted(chance.uniform(begins + 3, gap[1] - 1, 2)))


def stamped(chance):
    spacing = chance.choice([0.02, 0.1, 0.5])
    if chance.random() < 0.5:
        return np.sort(chance.uniform(0, SECONDS, round(SECONDS / spacing)))
    return np.arange(0, SECONDS, spacing)


def size(chance, spacing):
    """Of a step that shows: larger than a few rows."""
    return chance.choice([-1, 1]) * chance.uniform(8 * spacing + 0.2, 60)


@pytest.mark.parametrize("seed", range(tries(12)))
@pytest.mark.parametrize("when", ["before", "after", "both"])
def test_no_row_is_wrong_that_was_stamped_after_a_step_and_before_a_boot(seed, when):
    chance = np.random.default_rng([seed, len(when)])
    (gap, off), at_s = silence(chance), stamped(chance)
    spacing = float(np.median(np.diff(at_s)))
    moves = [(off[1], chance.choice([0.0, -30.0, 40.0, 1e5]))]
    if when != "after":
        moves.append((chance.uniform(gap[0], off[0]), size(chance, spacing)))
    if when != "before":
        moves.append((chance.uniform(off[1], gap[1]), size(chance, spacing)))
    life = Life(gap, off, moves)
    for order in (BEFORE, AFTER):
        wrong, answered = life.corrected(at_s, order)
        assert not wrong.any()
        assert answered.any()


def test_no_row_is_wrong_where_topside_boots_too_and_is_set_back():
    """Then no clock shows for how long nobody heard of the Pi."""
    life = Life(
        (100, 130), (115, 125), [(101.0, -8.0), (125.0, 1e5)], topside_boots=True, topside_set_s=-29.0
    )
    wrong, answered = life.corrected(np.arange(0, SECONDS, 0.1), BEFORE)
    assert not wrong.any()
    assert answered.mean() > 0.6


@pytest.mark.parametrize("seed", range(tries(6)))
@pytest.mark.parametrize("set_at_s", [110.0, 145.0])
def test_no_row_is_wrong_where_both_boot_and_the_next_boot_shows_the_same_times(seed, set_at_s):
    """The Pi's clock is set forward before it goes off; topside's is set back: the silence looks short."""
    chance = np.random.default_rng([seed, int(set_at_s)])
    step, shows = chance.uniform(50, 500), chance.uniform(30, 85)
    moves = [(set_at_s, step), (185.0, shows - 185.0 - step)]
    topside_set_s = -chance.uniform(88, 160)
    life = Life((100, 190), (150, 185), moves, topside_boots=True, topside_set_s=topside_set_s)
    for order in (BEFORE, AFTER):
        wrong, answered = life.corrected(np.arange(0, SECONDS, 0.1), order)
        assert not wrong.any()
        assert answered.mean() > 0.2


@pytest.mark.parametrize("topside_boots", [False, True])
def test_a_boot_of_a_clock_that_nobody_set_costs_no_more_rows_than_the_silence(topside_boots):
    at_s = np.arange(0, SECONDS, 0.1)
    life = Life((100, 130), (105, 125), topside_boots=topside_boots)
    heard = (at_s > 1) & (at_s < SECONDS - 1) & ((at_s < 99) | (at_s > 131))
    for order in (BEFORE, AFTER):
        _, answered = life.corrected(at_s, order)
        assert answered.sum() >= heard.sum()


def test_logs_of_two_boots_in_the_wrong_order_are_both_answered():
    at_s = np.arange(0, SECONDS, 0.1)
    life = Life((100, 130), (105, 125))
    _, answered = life.corrected(at_s, lambda rows: np.concatenate([rows[rows > 110], rows[rows < 110]]))
    assert answered.sum() > 0.85 * at_s.size


@pytest.mark.parametrize("topside_boots", [False, True])
@pytest.mark.parametrize("block", [1, 30])
def test_a_table_without_an_order_shows_no_step(block, topside_boots):
    """As many rows are answered then as if it had one."""
    life = Life((100, 130), (105, 125), topside_boots=topside_boots)
    at_s, chance = np.arange(0, SECONDS, 0.02), np.random.default_rng(3)
    blocks = at_s.reshape(-1, block)
    _, answered = life.corrected(at_s, BEFORE)
    _, shuffled = life.corrected(blocks[chance.permutation(len(blocks))].ravel(), BEFORE)
    assert shuffled.sum() > 0.98 * answered.sum()
    few = at_s[::100]
    _, answered = life.corrected(few, BEFORE)
    _, shuffled = life.corrected(chance.permutation(few), BEFORE)
    assert shuffled.sum() > 0.9 * answered.sum()
