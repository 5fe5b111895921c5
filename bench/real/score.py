"""How near ours and the peers came to a recording's truth."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.estimators.clocks import Floats, Integers
from bench.estimators.peers import AFTERWARDS, ONLINE
from bench.estimators.samples import samples_of
from topside_agent.estimator import online, smooth

if TYPE_CHECKING:
    from bench.estimators.samples import PeerAnswers
    from bench.real.recording import Recording
    from topside_agent.estimator import Track

SKIPPED_S = 200.0
OURS = {"ours": online, "ours, afterwards": smooth}


class RealScore(NamedTuple):
    """One estimator on one recording after the first 200 s: µs and shares; NaN where nothing is stated.

    `std_us` leaves out the mean error `bias_us`, which no method can see where the ways' least delays differ.
    `half` is the median half-width over half the least round trip of the whole recording.
    """

    estimator: str
    afterwards: bool
    std_us: float
    bias_us: float
    half: float
    bound_held: float
    u95_held: float


def scores(recording: Recording) -> list[RealScore]:
    """Ours online and afterwards, then the peers."""
    found = [_ours(recording, name, estimate(recording.exchanges)) for name, estimate in OURS.items()]
    samples = samples_of(recording.exchanges)
    shift = recording.anchor_ns - samples.reference_ns
    at_ns = np.array([e.destination_ns for e in recording.exchanges], dtype=np.int64)
    for name, peer in (ONLINE | AFTERWARDS).items():
        found.append(_peer(recording, name, at_ns, shift, peer(samples)))
    return found


def _ours(recording: Recording, name: str, track: Track) -> RealScore:
    at_ns = np.array([row.topside_unix_ns for row in track.rows], dtype=np.int64)
    anchor = recording.anchor_ns
    stated = [
        (
            row.offset_ns - anchor,
            row.lower_ns - anchor,
            row.upper_ns - anchor,
            nan if row.u95_ns is None else row.u95_ns,
        )
        for row in track.rows
    ]
    offset, lower, upper, u95 = np.array(stated, dtype=np.float64).T
    return _score(recording, name, at_ns, _Stated(offset, lower, upper, u95))


def _peer(recording: Recording, name: str, at_ns: Integers, shift: int, answers: PeerAnswers) -> RealScore:
    offset, lower, upper = (column - shift for column in answers)
    return _score(recording, name, at_ns, _Stated(offset, lower, upper, np.full(offset.size, nan)))


class _Stated(NamedTuple):
    """ns above the recording's anchor; NaN where nothing is stated."""

    offset: Floats
    lower: Floats
    upper: Floats
    u95: Floats


def _score(recording: Recording, name: str, at_ns: Integers, stated: _Stated) -> RealScore:
    settled = at_ns - recording.start_ns >= SKIPPED_S * 1e9
    offset, lower, upper, u95 = (column[settled] for column in stated)
    truth = recording.truth(at_ns)[settled]
    error = offset - truth
    known = np.isfinite(error)
    complete = known.size > 0 and bool(known.all())
    held = (lower <= truth) & (truth <= upper)
    bounded, likely = np.isfinite(lower) & np.isfinite(upper), np.isfinite(u95)
    half = (upper - lower)[bounded] / 2 / recording.least_half_ns
    return RealScore(
        name,
        name in AFTERWARDS or name == "ours, afterwards",
        float(error.std()) / 1e3 if complete else nan,
        float(error.mean()) / 1e3 if complete else nan,
        float(np.median(half)) if half.size else nan,
        float(held[bounded].mean()) if bounded.any() else nan,
        float((np.abs(error) <= u95)[likely].mean()) if likely.any() else nan,
    )


def failures(found: list[RealScore]) -> list[str]:
    """Every promise that ours breaks on this recording, in words."""
    broken = []
    for mine in (score for score in found if score.estimator in OURS):
        peers = [s for s in found if s.estimator not in OURS and s.afterwards == mine.afterwards]
        broken += [f"{mine.estimator}: {s.estimator} does better" for s in peers if s.std_us < mine.std_us]
        if mine.bound_held < 1.0:
            broken.append(f"{mine.estimator}: bound held {mine.bound_held:.3%}")
        if mine.u95_held < 0.93:
            broken.append(f"{mine.estimator}: u95 held {mine.u95_held:.1%}")
    return broken
