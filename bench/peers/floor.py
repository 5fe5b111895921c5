"""The least error that an unbiased method can have on the delayed links (Cramér and Rao), numerically."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import numpy as np

from bench.peers.conditions import CONDITIONS
from bench.tables import markdown_table, number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench.peers.laws import Law

    Floats = NDArray[np.float64]
    Known = tuple[list[list[float]], list[list[float]]]

SAMPLES = 1_000_000
MEDIAN_OF_NORMAL = 0.6745
"""The median |error| of a normal law, in standard deviations."""
_STEP = 1e-4
_OUT, _BACK = [1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]
_SHIFT, _MEDIAN, _SIGMA, _NONE = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]
ONE_LAW = "that both ways have one lognormal law"
KNOWN: dict[str, Known] = {
    "each way's law, wholly": ([_OUT], [_BACK]),
    ONE_LAW: ([_OUT, _SHIFT, _MEDIAN, _SIGMA], [_BACK, _SHIFT, _MEDIAN, _SIGMA]),
    "that both are lognormal with one σ and one least delay": (
        [_OUT, _SHIFT, _MEDIAN, _NONE, _SIGMA],
        [_BACK, _SHIFT, _NONE, _MEDIAN, _SIGMA],
    ),
    "that both are lognormal with one least delay": (
        [_OUT, _SHIFT, _MEDIAN, _SIGMA, _NONE, _NONE],
        [_BACK, _SHIFT, _NONE, _NONE, _MEDIAN, _SIGMA],
    ),
}
"""What a method may know, as what each of its unknowns (the offset first) does to the (shift, ln median,
ln σ) of the way out and of the way back."""


def information(law: Law, samples: int) -> Floats:
    """Fisher's matrix of one delay (ms) for (shift, ln median, ln σ); spikes are known."""
    rng = np.random.default_rng(1)
    spike = law.spike_s * 1e3
    drawn = rng.lognormal(np.log(law.median_s * 1e3), law.sigma, samples)
    drawn += spike * (rng.random(samples) < law.spikes)
    at = np.array([0.0, np.log(law.median_s * 1e3), np.log(law.sigma)])
    scores = np.array(
        [
            (_log_density(drawn, at + move, law, spike) - _log_density(drawn, at - move, law, spike))
            / (2 * _STEP)
            for move in np.eye(3) * _STEP
        ]
    )
    found: Floats = scores @ scores.T / samples
    return found


def _log_density(delays: Floats, at: Floats, law: Law, spike: float) -> Floats:
    shift, center, log_sigma = at
    sigma = np.exp(log_sigma)

    def lognormal(values: Floats) -> Floats:
        positive = np.maximum(values, 1e-9)
        density = np.exp(-(((np.log(positive) - center) / sigma) ** 2) / 2) / (positive * sigma)
        found: Floats = np.where(values > 0, density, 0.0)
        return found

    own = (1 - law.spikes) * lognormal(delays - shift) + law.spikes * lognormal(delays - shift - spike)
    found: Floats = np.log(own + 1e-300)
    return found


def floor_us(out: Law, back: Law, known: Known, exchanges: int, samples: int = SAMPLES) -> float:
    """The median |error| of the best unbiased method, in us."""
    ways = zip((out, back), known, strict=True)
    total = sum(np.array(of) @ information(law, samples) @ np.array(of).T for law, of in ways)
    deviation_ms = np.sqrt(np.linalg.inv(np.asarray(total) * exchanges)[0, 0])
    return float(deviation_ms * MEDIAN_OF_NORMAL * 1e3)


@click.command()
@click.option("--exchanges", type=click.IntRange(1), multiple=True, default=(100, 2000), show_default=True)
def main(*, exchanges: tuple[int, ...]) -> None:
    """Print the floors, in Markdown, us."""
    links = {name: of for name, of in CONDITIONS.items() if of.delayed}
    head = ["known", *(f"{name}, {count}" for count in exchanges for name in links)]
    body = [
        [
            what,
            *(
                number(floor_us(of.out, of.back, known, count))
                if what != ONE_LAW or of.out == of.back
                else "–"
                for count in exchanges
                for of in links.values()
            ),
        ]
        for what, known in KNOWN.items()
    ]
    click.echo(markdown_table(head, body))


if __name__ == "__main__":
    main()
