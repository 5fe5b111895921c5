"""What the rows may expect of the delayed links: hundreds of independent estimates, simulated."""

from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING, NamedTuple

import click
import numpy as np

from bench.estimators.chrony import chrony
from bench.estimators.samples import samples_of
from bench.peers.chance import Figure, between, medians, quantiles
from bench.peers.conditions import CONDITIONS
from bench.peers.estimates import ESTIMATORS, Estimate, least_delay_of
from bench.peers.exchanges import Stamps
from bench.peers.laws import Law
from bench.peers.ours import afterwards, from_window
from bench.tables import markdown_table, number
from schemas.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

SECONDS = 10.0
RATE_HZ = 10.0
LIVE_S = 200.0
"""How long ours, live has run: as long as a run of twenty estimates."""
CHRONY_S = 128.0
"""How long chrony has polled, once a second: twice its memory."""
LSL_PROBES = 8
BASE_S = 1e-4
"""What the programs and loopback add each way."""
ESTIMATES = 400
LIVE_RUNS = 100
_SEED = 1
_REALTIME_NS = 1_777_636_800_000_000_000
_UPTIME_NS = 86_400_000_000_000

SWEEP: tuple[tuple[float, float, float], ...] = (
    (5, 5, 0.5),
    (5, 6, 0.5),
    (5, 8, 0.5),
    (8, 4, 0.5),
    (8, 3, 0.5),
    (8, 2, 0.5),
    (8, 1, 0.5),
    (8, 2, 0.3),
    (8, 2, 0.8),
    (8, 2, 1.2),
)
"""Other links: median out and back in ms, σ."""


class Expected(NamedTuple):
    """A row's errors over many independent runs, in us."""

    row: str
    runs: int
    error: Figure
    p95: Figure
    stated: Figure


def expected(out: Law, back: Law, estimates: int = ESTIMATES, live_runs: int = LIVE_RUNS) -> list[Expected]:
    """Every row that the link's delays alone decide."""
    rng = random.Random(_SEED)
    found: dict[str, list[Estimate]] = {}
    for _ in range(estimates):
        for row, estimate in _of_one_window(out, back, rng):
            found.setdefault(row, []).append(estimate)
    found["chrony (a model of it)"] = [_chrony(out, back, rng) for _ in range(estimates)]
    if live_runs:
        live = (_exchanges(out, back, LIVE_S, RATE_HZ, rng) for _ in range(live_runs))
        found["ours, live"] = [from_window(exchanges) for exchanges in live]
    return [_row(name, of) for name, of in found.items()]


def _of_one_window(out: Law, back: Law, rng: random.Random) -> Iterator[tuple[str, Estimate]]:
    exchanges = _exchanges(out, back, SECONDS, RATE_HZ, rng)
    yield "ours", from_window(exchanges)
    yield "ours, afterwards", afterwards(exchanges)
    stamps = [Stamps(e.origin_ns, e.receive_ns, e.transmit_ns, e.destination_ns) for e in exchanges]
    yield from ((name, estimate(stamps)) for name, estimate in ESTIMATORS.items())
    wave = least_delay_of(stamps[-LSL_PROBES:])
    yield "LSL's wave of eight", wave._replace(stated_ns=2 * wave.stated_ns)


def _chrony(out: Law, back: Law, rng: random.Random) -> Estimate:
    """bench/estimators' model: polling once a second, as chrony does by itself on such a link."""
    samples = samples_of(_exchanges(out, back, CHRONY_S, 1.0, rng))
    offset, lower, upper = (float(column[-1]) for column in chrony(samples))
    return Estimate(offset + samples.reference_ns, (upper - lower) / 2, 0.0, 64)


def _exchanges(out: Law, back: Law, seconds: float, rate_hz: float, rng: random.Random) -> list[Exchange]:
    return [
        _exchange(number, number / rate_hz, BASE_S + out.draw(rng), BASE_S + back.draw(rng))
        for number in range(round(seconds * rate_hz))
    ]


def _exchange(number: int, at_s: float, out_s: float, back_s: float) -> Exchange:
    """Both sides read one clock."""
    origin_ns = _REALTIME_NS + round(at_s * 1e9)
    receive_ns = origin_ns + round(out_s * 1e9)
    return Exchange(
        vehicle="rov1",
        topside="topside",
        seq=number,
        boot_id="boot",
        origin_ns=origin_ns,
        receive_ns=receive_ns,
        transmit_ns=receive_ns,
        destination_ns=receive_ns + round(back_s * 1e9),
        pi_realtime_minus_raw_ns=_REALTIME_NS - _UPTIME_NS,
        topside_realtime_minus_raw_ns=_REALTIME_NS - _UPTIME_NS,
    )


def _row(name: str, estimates: Sequence[Estimate]) -> Expected:
    errors = [abs(estimate.error_ns) / 1e3 for estimate in estimates]
    stated = [estimate.stated_ns / 1e3 for estimate in estimates]
    tail = quantiles(0.95)
    return Expected(
        name, len(errors), _figure(errors, medians), _figure(errors, tail), _figure(stated, medians)
    )


def _figure(values: Sequence[float], statistic: Callable[..., np.ndarray]) -> Figure:
    return Figure(float(statistic(np.array([values]))[0]), between(values, statistic))


def expected_table(rows: Sequence[Expected]) -> str:
    head = ["", "median error", "p95", "stated", "runs"]
    body = [
        [row.row, *map(with_interval, (row.error, row.p95)), number(row.stated.value), str(row.runs)]
        for row in rows
    ]
    return markdown_table(head, body)


def with_interval(figure: Figure) -> str:
    """The figure and its interval."""
    low, high = map(number, figure.between)
    return f"{number(figure.value)} [{low}–{high}]" if low != "–" else number(figure.value)


def sweep_table(tables: Mapping[tuple[float, float, float], Sequence[Expected]]) -> str:
    """Median and p95 of every row, one link a line."""
    names = dict.fromkeys(row.row for rows in tables.values() for row in rows)
    body = [
        [f"{out:g} ms, {back:g} ms, σ {sigma:g}", *_pairs(rows)]
        for (out, back, sigma), rows in tables.items()
    ]
    return markdown_table(["out, back", *names], body)


def _pairs(rows: Sequence[Expected]) -> list[str]:
    return [f"{number(row.error.value)} / {number(row.p95.value)}" for row in rows]


@click.command()
@click.option("--estimates", type=click.IntRange(2), default=ESTIMATES, show_default=True)
@click.option("--live-runs", type=click.IntRange(0), default=LIVE_RUNS, show_default=True)
@click.option(
    "--sweep", is_flag=True, help="Other links than the benchmark's: which row owes what to its law."
)
def main(*, estimates: int, live_runs: int, sweep: bool) -> None:
    """What the rows may expect, in Markdown; errors in us."""
    if sweep:
        links = {(o, b, s): (Law(o / 1e3, s), Law(b / 1e3, s)) for o, b, s in SWEEP}
        click.echo(sweep_table({at: expected(*laws, estimates, live_runs) for at, laws in links.items()}))
        sys.exit()
    for condition in CONDITIONS.values():
        if condition.delayed:
            rows = expected(condition.out, condition.back, estimates, live_runs)
            click.echo(f"{condition.title}\n\n{expected_table(rows)}\n")


if __name__ == "__main__":
    main()
