"""docs/lab/bench-estimators.md and .json: all figures of a run, how they were made and how to read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.estimators.report import cost_failures, cost_table, detail_table, extra_table, rms_table, u95_table

if TYPE_CHECKING:
    from bench.estimators.cost import SmoothCost, UpdateCost
    from bench.estimators.extra import ExtraRow
    from bench.estimators.table import FamilyRow, U95Row


class Figures(NamedTuple):
    """Everything that a run measured."""

    seeds: int
    machine: str
    rows: list[FamilyRow]
    u95: list[U95Row]
    faults: list[ExtraRow]
    update: UpdateCost
    smoothed: list[SmoothCost]

    @property
    def failures(self) -> list[str]:
        """Every broken promise of the tables."""
        rows = [(row.family, row.failures) for row in self.rows]
        rows += [(row.family, row.failures) for row in self.faults]
        broken = [f"{family}: {failure}" for family, failures in rows for failure in failures]
        return broken + cost_failures(self.update, self.smoothed)


_INTRODUCTION = """# The estimator against its peers

Made by `make bench-estimators` on {machine}; figures are means over {seeds} seeds
(coverage: the worst seed). Every trace is simulated (`bench/estimators/`), so the truth is known: an hour of
exchanges, 18 ppm of drift, frequency wander of 1e-9/√s unless stated, a Pi whose stamps are exact to a
nanosecond. Errors are in us, after the first 200 s. The peers are our own re-implementations from their
published sources; each gets every exchange, which is more than most of them would request. In brackets: what
an earlier re-implementation gave on the same laws.
"""

_FIXED_ASYMMETRY = """No method can see a delay that is always longer one way: half the difference goes into
every estimate of the last row. The hard bound covers it; `u95` does not.
"""

_COST = """Processor time, which excludes the machine's other work; memory is the peak that smoothing
adds to the memory of the exchanges.
"""

_DETAIL = """The stated bound is ours [lower, upper]; half the delay for the handshake and NTP (plus 15 ppm of
age), the whole delay for liblsl, chrony's selection interval, TICSync's gap between the hulls. A bound is
counted at every instant, from the first exchange on; after a step that nobody reported, from the cut on.
"""


def document(figures: Figures) -> str:
    """Only the parts for which there are figures."""
    introduction = _INTRODUCTION.format(machine=figures.machine, seeds=figures.seeds)
    parts = [introduction]
    rates = sorted({row.rate_hz for row in figures.rows}, reverse=True)
    by_rate = {rate: [row for row in figures.rows if row.rate_hz == rate] for rate in rates}
    for rate, rows in by_rate.items():
        parts += [
            f"## RMS error, {rate:g} exchange{'s' if rate != 1 else ''} a second\n",
            rms_table(rows) + "\n",
        ]
    if rates:
        parts += [_FIXED_ASYMMETRY, "## How often u95 holds\n", u95_table(figures.u95) + "\n"]
    if figures.faults:
        parts += ["## Faults\n", extra_table(figures.faults) + "\n"]
    parts += ["## Cost\n", _COST, cost_table(figures.update, figures.smoothed) + "\n"]
    for rate, rows in by_rate.items():
        parts += [f"## All figures, {rate:g}/s\n", _DETAIL, detail_table(rows) + "\n"]
    return "\n".join(parts)
