"""pyxdf's clock correction afterwards: one robust line through liblsl's offsets between clock resets.

Sources: labstreaminglayer/App-LabRecorder `recording.cpp` (every 5 s it writes liblsl's current offset under
the present time, so that the measurement is 1 to 3 s older than its stamp); xdf-modules/pyxdf `_clock_sync`
and `_robust_fit` (Huber's loss by the alternating direction method of multipliers, Boyd et al. 2011 §6.1.1),
with its default thresholds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.estimators.clocks import Floats, Integers
from bench.estimators.samples import PeerAnswers, Samples
from bench.estimators.single_best import lsl

RECORD_EVERY_S = 5.0
WINSOR_S = 1e-4
RESET_SECONDS = 5.0
RESET_STDS = 5.0
RESET_OFFSET_SECONDS = 1.0
RESET_OFFSET_STDS = 10.0
ITERATIONS = 1000


def _glitches(steps: Floats, *, stds: float, seconds: float) -> NDArray[np.bool_]:
    centre = np.median(steps)
    spread = np.median(np.abs(steps - centre)) + np.finfo(float).eps
    glitches: NDArray[np.bool_] = ((steps - centre) / spread > stds) & (steps - centre > seconds)
    return glitches


def clock_resets(at_s: Floats, offset_s: Floats) -> list[int]:
    """Where a new range begins: a pause *and* a jump of the offset, as pyxdf demands."""
    paused = _glitches(np.diff(at_s), stds=RESET_STDS, seconds=RESET_SECONDS) | (np.diff(at_s) < 0)
    jumped = _glitches(np.abs(np.diff(offset_s)), stds=RESET_OFFSET_STDS, seconds=RESET_OFFSET_SECONDS)
    cuts: list[int] = (np.flatnonzero(paused & jumped) + 1).tolist()
    return cuts


def huber_line(at_s: Floats, offset_s: Floats) -> tuple[float, float]:
    """Intercept (s) and slope with quadratic loss below 0.1 ms and linear loss above."""
    start_s = float(at_s.min())
    design = np.column_stack([np.ones(at_s.size), (at_s - start_s) / WINSOR_S])
    target = offset_s / WINSOR_S
    solve = np.linalg.solve(design.T @ design, design.T)
    split, dual = np.zeros_like(target), np.zeros_like(target)
    fitted = np.zeros(2)
    for _ in range(ITERATIONS):
        fitted = solve @ (target + split - dual)
        residual = design @ fitted - target + dual
        clipped = residual - np.clip(residual, -2.0, 2.0)
        split = (residual + clipped) / 2
        dual = residual - split
    slope = float(fitted[1])
    return float(fitted[0]) * WINSOR_S - slope * start_s, slope


def recorded_offsets(samples: Samples) -> tuple[Integers, Floats]:
    """The exchanges at which the recorder asks liblsl, and the answers (s)."""
    offset_s = lsl(samples).offset_ns / 1e9
    slot = np.floor(samples.destination_ns / (RECORD_EVERY_S * 1e9))
    recorded = np.unique(slot, return_index=True)[1].astype(np.int64)
    recorded = recorded[np.isfinite(offset_s[recorded])]
    return recorded, offset_s[recorded]


def pyxdf(samples: Samples) -> PeerAnswers:
    """The fitted line at every exchange, from the whole log; it states no error."""
    recorded, offset_s = recorded_offsets(samples)
    at_s = samples.destination_ns / 1e9
    cuts = clock_resets(at_s[recorded], offset_s)
    offset_ns = np.full(at_s.size, np.nan)
    for begin, end in zip([0, *cuts], [*cuts, recorded.size], strict=True):
        first = 0 if begin == 0 else recorded[begin]
        last = at_s.size if end == recorded.size else recorded[end]
        intercept_s, slope = huber_line(at_s[recorded[begin:end]], offset_s[begin:end])
        offset_ns[first:last] = (intercept_s + slope * at_s[first:last]) * 1e9
    nothing = np.full(offset_ns.size, np.nan)
    return PeerAnswers(offset_ns, nothing, nothing)
