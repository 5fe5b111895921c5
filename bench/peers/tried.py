"""What was tried on one window of delays: estimators by laws, with their median and RMS errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import numpy as np
from numpy.typing import NDArray

from bench.tables import markdown_table, number
from topside_agent.estimator.symmetric import middle

if TYPE_CHECKING:
    from collections.abc import Callable

    Floats = NDArray[np.float64]
    Estimator = Callable[[Floats, Floats], Floats]
    """Offsets (ms) of windows from their delays out and back: the truth is 0."""

WINDOWS = 3000


def laws(rng: np.random.Generator, windows: int) -> dict[str, tuple[Floats, Floats]]:
    """Delays out and back in ms, one window a row, in the order of the exchanges."""

    def lognormal(median: float, sigma: float = 0.5, count: int = 100) -> Floats:
        return rng.lognormal(np.log(median), sigma, (windows, count))

    def exponential(mean: float, count: int) -> Floats:
        return rng.exponential(mean, (windows, count))

    def share(of: float, count: int) -> NDArray[np.bool_]:
        return rng.random((windows, count)) < of

    return {
        "jitter": (lognormal(5) + 50 * share(0.01, 100), lognormal(5) + 50 * share(0.01, 100)),
        "asymmetric": (lognormal(8), lognormal(2)),
        "lognormal 5 out, 8 back": (lognormal(5), lognormal(8)),
        "lognormal σ 1.2": (lognormal(2, 1.2), lognormal(2, 1.2)),
        "exp 0.5, 40 exchanges": (exponential(0.5, 40), exponential(0.5, 40)),
        "exp 0.1 out, 5 back, 40": (exponential(0.1, 40), exponential(5, 40)),
        "+40 on 70 % of answers, 40": (exponential(0.5, 40), exponential(0.5, 40) + 40 * share(0.7, 40)),
        "jitter, 600 exchanges": (lognormal(5, count=600), lognormal(5, count=600)),
    }


def shortest(out: Floats, back: Floats) -> Floats:
    found: Floats = (_order(out, 1) - _order(back, 1)) / 2
    return found


def quantile(share: float) -> Estimator:
    def of(out: Floats, back: Floats) -> Floats:
        place = max(1, round(share * out.shape[1]))
        found: Floats = (_order(out, place) - _order(back, place)) / 2
        return found

    return of


def least_delay(out: Floats, back: Floats) -> Floats:
    best = (out + back).argmin(axis=1)
    each = np.arange(best.size)
    found: Floats = (out - back)[each, best] / 2
    return found


def beyond(count: int) -> Estimator:
    """Robson and Whitlock 1964: the end lies a mean spacing of the `count` shortest before the first."""

    def end(delays: Floats) -> Floats:
        first = _order(delays, 1)
        return first - (_order(delays, count) - first) / (count - 1)

    return lambda out, back: (end(out) - end(back)) / 2


def shaped(rank: int) -> Estimator:
    """Pickands 1975: the end, the tail's shape too being taken from the delays of rank k, 2k, 4k."""

    def end(delays: Floats) -> Floats:
        near, middle_, far = (_order(delays, rank * times) for times in (1, 2, 4))
        growth = np.maximum((far - middle_) / np.maximum(middle_ - near, 1e-9), 1.25)
        found: Floats = np.minimum(_order(delays, 1), near - (middle_ - near) / (growth - 1))
        return found

    return lambda out, back: (end(out) - end(back)) / 2


def symmetric(out: Floats, back: Floats) -> Floats:
    """What topside_agent uses."""
    rows = zip(np.sort(out, axis=1).tolist(), np.sort(back, axis=1).tolist(), strict=True)
    return np.array([middle(*row) for row in rows])


def _order(delays: Floats, rank: int) -> Floats:
    found: Floats = np.partition(delays, rank - 1, axis=1)[:, rank - 1]
    return found


TRIED: dict[str, Estimator] = {
    "shortest each way": shortest,
    "**symmetric (in use)**": symmetric,
    "least delay": least_delay,
    "5 % quantiles": quantile(0.05),
    "10 % quantiles": quantile(0.1),
    "medians": quantile(0.5),
    "ends, from 2": beyond(2),
    "ends, from 5": beyond(5),
    "ends, with shape": shaped(2),
}


@click.command()
@click.option("--windows", type=click.IntRange(2), default=WINDOWS, show_default=True)
def main(*, windows: int) -> None:
    """Print the table, in Markdown."""
    drawn = laws(np.random.default_rng(1), windows)
    body = [
        [name, *(_shown(estimator(out, back)) for out, back in drawn.values())]
        for name, estimator in TRIED.items()
    ]
    click.echo(markdown_table(["", *drawn], body))


def _shown(errors_ms: Floats) -> str:
    errors_us = np.abs(errors_ms) * 1e3
    return f"{number(float(np.median(errors_us)))} / {number(float(np.sqrt(np.mean(errors_us**2))))}"


if __name__ == "__main__":
    main()
