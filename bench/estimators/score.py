"""How far an estimator's answers on one trace are from the truth, and whether its bounds held it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.estimators.clocks import Floats

if TYPE_CHECKING:
    from bench.estimators.clocks import Step
    from bench.estimators.samples import PeerAnswers
    from bench.estimators.traces import Trace

SETTLED_S = 200.0
RECOVERED_NS = 200e3
ROUNDING_NS = 0.5
"""The truth is rounded to a nanosecond, so a bound may seem to miss it by half of one."""


@dataclass(frozen=True)
class Answers:
    """Everything relative to the truth, in ns: NaN where nothing was stated.

    `counted` is False where a bound need not hold: between a step that nobody reported and the cut, and where
    a smoother itself calls the row ambiguous.
    """

    at_s: Floats
    error_ns: Floats
    lower_ns: Floats
    upper_ns: Floats
    u95_ns: Floats
    counted: NDArray[np.bool_]


class Score(NamedTuple):
    """One estimator on one trace, in us and fractions; NaN where it does not apply."""

    rms_us: float
    p99_us: float
    covered: float
    """Of all instants that count, those at which [lower, upper] held the truth."""
    covered_u95: float
    half_width_us: float
    """Median of (upper - lower) / 2."""
    u95_us: float
    recovery_s: float
    """From the last step until the error is below 200 us for good (the minute after it is watched)."""
    excluded: int


def answers_of_peer(trace: Trace, peer_answers: PeerAnswers, truth_ns: Floats) -> Answers:
    nothing = np.full(truth_ns.size, np.nan)
    every = np.ones(truth_ns.size, dtype=bool)
    return Answers(
        trace.at_s,
        peer_answers.offset_ns - truth_ns,
        peer_answers.lower_ns - truth_ns,
        peer_answers.upper_ns - truth_ns,
        nothing,
        every,
    )


def score(answers: Answers, steps: tuple[Step, ...]) -> Score:
    """After the first 200 s; an instant without an answer counts as an infinite error."""
    settled = answers.at_s >= SETTLED_S
    error_us = np.where(np.isfinite(answers.error_ns), np.abs(answers.error_ns), np.inf)[settled] / 1e3
    counted = settled & answers.counted
    stated = answers.counted & np.isfinite(answers.lower_ns) & np.isfinite(answers.upper_ns)
    held = (answers.lower_ns <= ROUNDING_NS) & (answers.upper_ns >= -ROUNDING_NS)
    likely = counted & np.isfinite(answers.u95_ns)
    return Score(
        rms_us=float(np.sqrt(np.mean(error_us**2))),
        p99_us=float(np.quantile(error_us, 0.99, method="higher")),
        covered=_share(held, stated),
        covered_u95=_share(np.abs(answers.error_ns) <= answers.u95_ns, likely),
        half_width_us=_median((answers.upper_ns - answers.lower_ns) / 2e3, stated & settled),
        u95_us=_median(answers.u95_ns / 1e3, likely),
        recovery_s=_recovery_s(answers, steps),
        excluded=int(np.count_nonzero(settled & ~answers.counted)),
    )


def _share(held: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return float(np.mean(held[among])) if among.any() else float("nan")


def _median(values: Floats, among: NDArray[np.bool_]) -> float:
    return float(np.median(values[among])) if among.any() else float("nan")


def _recovery_s(answers: Answers, steps: tuple[Step, ...]) -> float:
    if not steps:
        return float("nan")
    since = steps[-1].back_s
    watched = (answers.at_s >= since) & (answers.at_s < since + 60.0)
    wrong = watched & ~(np.abs(answers.error_ns) <= RECOVERED_NS)
    if not wrong.any():
        return 0.0
    after = answers.at_s[watched & (answers.at_s > answers.at_s[wrong].max())]
    return float(after.min() - since) if after.size else float("inf")
