"""One trace through every estimator: the job of a worker process and its result."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.estimators.ours import SYMMETRIC, Holdover, answers_afterwards, run_online
from bench.estimators.peers import PEERS
from bench.estimators.samples import samples_of, truth_of
from bench.estimators.score import Answers, Score, answers_of_peer, score
from bench.estimators.traces import EXTRA, Trace, make_trace
from topside_agent.estimator import Rows, online, smooth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from topside_agent.estimator.track import Track

ONLINE = "ours"
AFTERWARDS = "ours, afterwards"


class Job(NamedTuple):
    family: str
    seed: int
    rate_hz: float
    with_peers: bool


class Result(NamedTuple):
    job: Job
    scores: dict[str, Score]
    holdover: Holdover
    cuts: int
    inside: float
    """Of the smoothed intervals, those that lie within the online one; NaN where that is not asked for."""
    worst_us: float
    """By how much the least lucky bound missed the truth; 0 where all held."""


def work(job: Job) -> Result:
    """An estimator's exception names the trace."""
    try:
        return _work(job)
    except Exception as error:
        error.add_note(f"on {job}")
        raise


def _work(job: Job) -> Result:
    trace = make_trace(job.family, seed=job.seed, rate_hz=job.rate_hz)
    live = run_online(trace)
    track = smooth(trace.exchanges, SYMMETRIC)
    afterwards = answers_afterwards(trace, track)
    scores = {
        ONLINE: score(live.answers, trace.steps),
        AFTERWARDS: score(afterwards, trace.steps),
    }
    if job.with_peers:
        samples = samples_of(trace.exchanges)
        truth_ns = truth_of(trace, samples)
        for name, peer in PEERS.items():
            scores[name] = score(answers_of_peer(trace, peer(samples), truth_ns), trace.steps)
    worst_us = max(_worst_us(live.answers), _worst_us(afterwards))
    inside = share_inside(trace, track) if job.family in EXTRA else float("nan")
    return Result(job, scores, live.holdover, live.cuts, inside, worst_us)


def share_inside(trace: Trace, smoothed: Track) -> float:
    """The share of rows whose smoothed interval lies inside what was knowable then.

    Without what it is wider by for the wall clocks: a row online holds unless the Pi's clock was set or
    slewed after its reading, and afterwards the next reading shows that it was.
    """
    rows, known = smoothed.rows, online(trace.exchanges).rows
    assert isinstance(rows, Rows)
    wider = np.ceil(rows.realtime_ns).astype(np.int64).tolist()
    inside = [
        then.lower_ns <= row.lower_ns + wider_ns and row.upper_ns - wider_ns <= then.upper_ns
        for row, then, wider_ns in zip(rows, known, wider, strict=True)
        if row.state != "ambiguous"
    ]
    return float(np.mean(inside)) if inside else float("nan")


def _worst_us(answers: Answers) -> float:
    missed = np.maximum(answers.lower_ns, -answers.upper_ns)[answers.counted]
    return float(max(missed.max(initial=0.0), 0.0)) / 1e3


def run_jobs(jobs: Iterable[Job], *, processes: int, progress: Callable[[Result], None]) -> list[Result]:
    """In order of finishing; `progress` hears of each."""
    results = []
    for result in _results(list(jobs), processes):
        progress(result)
        results.append(result)
    return results


def _results(jobs: list[Job], processes: int) -> Iterator[Result]:
    if processes == 1:
        yield from map(work, jobs)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(work, jobs)
