"""Two to four moves of the clocks in one silence that no history covers: no row is wrong, in either order."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

from schemas.clock_history import ClockPiece
from tests.effort import tries
from tests.unit.tracks import START, S, row
from tidesync.sessions.correction.clock_function import ClockFunction
from tidesync.sessions.correction.clock_limits import ClockLimits
from tidesync.sessions.correction.from_track import timeline
from tidesync.sessions.correction.order import RowCorrector
from tidesync.sessions.correction.raw_groups import Sample, is_unknown
from tidesync.sessions.correction.timeline import HOLDOVER
from tidesync.sessions.correction.unexplained import Reading

SECONDS = 300
DRIFT = 20e-6
OF_THE_PI = "pset", "pboot"
OF_BOTH = "pset", "pboot", "psleep", "tset", "tboot", "tsleep"


class Move(NamedTuple):
    """`p` of the Pi or `t` of topside, from and until, s; `by_s`: how far its clock is off then."""

    from_s: float
    until_s: float
    kind: str
    by_s: float

    def mirrored(self):
        return Move(SECONDS - self.until_s, SECONDS - self.from_s, self.kind, self.by_s)

    @property
    def length_s(self):
        return self.until_s - self.from_s


@dataclass
class Silence:
    """Exchanges but for a gap, and what happens in it."""

    gap: tuple
    moves: list

    def mirrored(self):
        """As if time ran the other way."""
        gap = SECONDS - self.gap[1], SECONDS - self.gap[0]
        return Silence(gap, [move.mirrored() for move in reversed(self.moves)])

    def _set_s(self, side, at_s):
        """How far the clocks of a side are off."""
        of_side = [move for move in self.moves if move.kind[0] == side]
        return sum((np.where(at_s >= move.until_s, move.by_s, 0.0) for move in of_side), np.zeros_like(at_s))

    def _sum(self, kind, value=lambda _: 1):
        return sum(value(move) for move in self.moves if move.kind == kind)

    def timeline(self):
        at_s = np.concatenate([np.arange(*span, 0.25) for span in ((0, self.gap[0]), (self.gap[1], SECONDS))])
        sets = self._set_s("p", at_s).tolist(), self._set_s("t", at_s).tolist()
        rows, read, raw = [], {}, {}
        for second, pi_s, topside_s in zip(at_s.tolist(), *sets, strict=True):
            late = second >= self.gap[1]
            slept = [late * self._sum(kind, lambda move: move.length_s) for kind in ("psleep", "tsleep")]
            boots = [late * self._sum(kind) for kind in ("pboot", "tboot")]
            made = row(second + topside_s, (DRIFT * second + pi_s - topside_s) * S, int(late))
            rows.append(made)
            at_ns = made.topside_unix_ns
            moved = round((pi_s + slept[0]) * S), round((topside_s + slept[1]) * S)
            read[at_ns] = Reading(*moved, 1_000, None, pi_boot=f"p{boots[0]}", topside_boot=f"t{boots[1]}")
            raw[at_ns] = round((second - slept[1]) * S) + 10**15 * boots[1]
        return timeline(rows, raw, ClockLimits(promised=False), read)

    def corrected(self, at_s, *, backward=False):
        """(wrong, answered) of the rows at the instants `at_s` at which the Pi was on, in their order."""
        for move in self.moves:
            off = move.kind in {"pboot", "psleep"}
            at_s = at_s[(at_s < move.from_s) | (at_s > move.until_s)] if off else at_s
        at_s = at_s[::-1] if backward else at_s
        stamps = START + np.rint((at_s * (1 + DRIFT) + self._set_s("p", at_s)) * S).astype(np.int64)
        corrector = RowCorrector(self.timeline())
        if corrector.passes > 1:
            corrector.note(stamps)
        topside_ns, error_ns, state, _ = corrector.correct(stamps)
        true_ns = START + np.rint((at_s + self._set_s("t", at_s)) * S).astype(np.int64)
        answered = state <= HOLDOVER
        return answered & (np.abs(topside_ns - true_ns) > error_ns), answered


def drawn(seed, kinds):
    """(silence, instants of the sensor's rows, s)."""
    chance = np.random.default_rng([seed, len(kinds)])
    begins, length = chance.uniform(60, 200), chance.choice([8.0, 20.0, 60.0])
    spacing = chance.choice([0.02, 0.1, 0.5])
    count = chance.choice([2, 3, 4])
    width = (length - 0.6) / count
    moves = []
    for since in begins + 0.3 + width * np.arange(count):
        from_s, until_s = sorted(chance.uniform(since, since + width, 2).tolist())
        least = 8 * spacing + 0.2
        by_s = chance.choice([-1, 1]) * chance.uniform(least, max(1.5 * length, least + 1))
        kind = str(chance.choice(kinds))
        if kind[1:] == "boot":
            by_s = chance.choice([0, -30, 40, 1e5, by_s, by_s, from_s - until_s])
        if kind[1:] == "sleep":
            by_s = 0.0
        moves.append(Move(until_s if kind[1:] == "set" else from_s, until_s, kind, float(by_s)))
    count = round(SECONDS / spacing)
    at_s = np.sort(chance.uniform(0, SECONDS, count)) if chance.random() < 0.5 else np.arange(count) * spacing
    return Silence((begins, begins + length), moves), at_s


CASES = [(kinds, seed) for kinds in (OF_THE_PI, OF_BOTH) for seed in range(tries(8))]


@pytest.mark.parametrize(("kinds", "seed"), CASES)
def test_no_row_is_wrong(kinds, seed):
    silence, at_s = drawn(seed, kinds)
    for backward in (False, True):
        wrong, _ = silence.corrected(at_s, backward=backward)
        assert not wrong.any()


FOUND = {
    "rows that go on after a pause in the silence, until it is over": (
        (100, 160),
        [Move(104, 108, "pboot", -30), Move(116, 119, "psleep", 0), Move(130, 136, "tboot", -30)],
        (),
    ),
    "a few rows between a pause and a boot": (
        (100, 120),
        [Move(101, 101, "pset", -19), Move(107.35, 108, "pboot", 23), Move(112, 113, "pboot", 40)],
        (106, 106.95),
    ),
    "a few rows after a set, and then a pause until the times are higher": (
        (100, 121),
        [Move(105, 106, "pboot", 40), Move(120, 120, "pset", -5)],
        (120.65, 125.35),
    ),
    "the Pi boots, and topside sleeps and is set back, so that the silence looks short": (
        (140, 200),
        [
            Move(149, 150, "pboot", 20),
            Move(154, 154, "tset", -40),
            Move(155, 190, "tsleep", 0),
            Move(199, 199, "pset", -50),
        ],
        (),
    ),
    "rows run on through a short boot, and from a set into what is measured, and both boot": (
        (100, 130),
        [Move(100.7, 100.9, "pboot", 0), Move(110, 110, "pset", -28), Move(120, 121, "tboot", -27)],
        (),
    ),
    "times of the next segment before it is entered for good": (
        (100, 120),
        [Move(at, at, "pset", by) for at, by in ((102, 10), (105, 26), (108, -37), (111, 23))],
        (),
    ),
}


@pytest.mark.parametrize("kind", FOUND)
def test_no_row_is_wrong_in_silences_that_showed_a_fault(kind):
    gap, moves, pause = FOUND[kind]
    at_s = np.arange(0, SECONDS, 0.1)
    at_s = at_s[(at_s < pause[0]) | (at_s > pause[1])] if pause else at_s
    silence = Silence(gap, moves)
    for one, seconds in ((silence, at_s), (silence.mirrored(), SECONDS - at_s[::-1])):
        for backward in (False, True):
            wrong, answered = one.corrected(seconds, backward=backward)
            assert not wrong.any()
            assert answered.mean() > 0.3


@pytest.mark.parametrize("kinds", [OF_THE_PI, OF_BOTH])
@pytest.mark.parametrize("seed", range(tries(4)))
def test_the_same_rows_are_answered_if_time_runs_the_other_way(kinds, seed):
    """But for those between the silence and the exchange beside it, and those that order leaves undecided."""
    silence, at_s = drawn(seed, kinds)
    spacing = SECONDS / at_s.size
    _, answered = silence.corrected(at_s)
    _, mirrored = silence.mirrored().corrected(SECONDS - at_s[::-1])
    assert (answered != mirrored[::-1]).sum() < 2 / spacing + 40


@pytest.mark.parametrize(
    ("begins", "boot", "moved_s", "unknown"),
    [
        ("step", "t0", 7, False),
        ("suspend", "t0", 7, True),
        (None, "t0", 7, True),
        (None, "t0", 0, False),
        ("step", "t1", 7, True),
    ],
)
def test_topside_shows_how_long_the_pi_was_not_heard_unless_it_may_have_slept(begins, boot, moved_s, unknown):
    """`begins`: how its history goes on after 10 s; None: it has none."""
    starts = (("start", 0, 10, 0), (begins, 10, 30, moved_s)) if begins else ()
    pieces = [
        ClockPiece(
            from_raw_ns=since * S,
            from_realtime_ns=START + (since + ahead) * S,
            to_raw_ns=until * S,
            to_realtime_ns=START + (until + ahead) * S,
            half_width_ns=800,
            begins=cause,
        )
        for cause, since, until, ahead in starts
    ]
    last = Sample(5 * S, 5 * S, "p0", "t0", START + 5 * S, START + 5 * S)
    first = Sample(2 * S, 20 * S, "p1", boot, START + 20 * S, START + (20 + moved_s) * S)
    assert is_unknown(last, first, ClockFunction(pieces, ())) == unknown
