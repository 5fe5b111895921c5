"""What the estimator costs: time per update, time and memory of smoothing eight hours and twice as much."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import process_time
from typing import NamedTuple

import numpy as np

from bench.estimators.ours import run_online
from bench.estimators.targets import EIGHT_HOURS_EXCHANGES
from bench.estimators.traces import make_trace
from topside_agent.estimator import EstimatorSettings, smooth

RATE_HZ = 4.0


class UpdateCost(NamedTuple):
    """Processor time in us per exchange, of an hour at 4/s; and of asking for the estimate."""

    median_us: float
    p99_us: float
    mean_us: float
    greatest_us: float
    estimate_median_us: float


class SmoothCost(NamedTuple):
    """Processor seconds, and MB above what the exchanges take; NaN where the system does not report it."""

    exchanges: int
    seconds: float
    peak_mb: float


def update_cost(duration_s: float = 3600.0) -> UpdateCost:
    online = run_online(make_trace("clean", seed=0, rate_hz=RATE_HZ, duration_s=duration_s))
    cost = online.update_us
    return UpdateCost(
        float(np.median(cost)),
        float(np.quantile(cost, 0.99)),
        float(cost.mean()),
        float(cost.max()),
        float(np.median(online.estimate_us)),
    )


def smooth_costs(exchanges: int = EIGHT_HOURS_EXCHANGES) -> list[SmoothCost]:
    """A log and one of twice its length, each in a process of its own so that memory is its own too."""
    return [_in_own_process(count) for count in (exchanges, 2 * exchanges)]


def _in_own_process(exchanges: int) -> SmoothCost:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_smooth_cost, exchanges).result()


def _smooth_cost(exchanges: int) -> SmoothCost:
    trace = make_trace("clean", seed=0, rate_hz=RATE_HZ, duration_s=exchanges / RATE_HZ)
    before_mb = _reset_peak_mb()
    begun = process_time()
    smooth(trace.exchanges, EstimatorSettings())
    seconds = process_time() - begun
    return SmoothCost(len(trace.exchanges), seconds, _status_mb("VmHWM") - before_mb)


def _reset_peak_mb() -> float:
    """The memory held now (Linux: writing 5 to clear_refs resets the peak, proc(5))."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return float("nan")
    return _status_mb("VmRSS")


def _status_mb(field: str) -> float:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    found = [line for line in lines if line.startswith(field + ":")]
    return int(found[0].split()[1]) / 1024 if found else float("nan")
