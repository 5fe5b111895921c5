"""docs/lab/bench-estimators.md and .json: all figures of a run, how they were made and how to read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.estimators.report import (
    cost_failures,
    cost_table,
    detail_table,
    extra_table,
    precision_table,
    rms_table,
)

if TYPE_CHECKING:
    from bench.estimators.cost import SmoothCost, UpdateCost
    from bench.estimators.extra import ExtraRow
    from bench.estimators.table import FamilyRow, PrecisionRow


class Figures(NamedTuple):
    """Everything that a run measured."""

    seeds: int
    machine: str
    rows: list[FamilyRow]
    precision: list[PrecisionRow]
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
every estimate of the last row. The hard bound covers it, the precision does not.
"""

_PRECISION = """`precision` is the statistical part of `u95`, for ways that share their least delay; what u95
adds for ways that differ by 5 % is far more on these traces: [bench-u95.md](bench-u95.md). Counted are all
instants after the first 200 s. Afterwards it is wider than need be, since few of the best windows fit into an
hour and it allows for that: [estimator.md](../estimator.md#the-constants).
"""

_FAULTS = """A reported step of 5 ms may as well be a slew, since a kernel slews up to 25 ms between two
exchanges: it is followed without a cut. A smoothed interval lies within the online one, apart from what the
Pi's clock moved until its next reading, which nobody can know online. Where the path ends with 2 ms out and
3 ms back the error is half a millisecond as soon as an estimator believes that path. To believe it later is
no merit: there alone afterwards may be worse than online.
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
        parts += [_FIXED_ASYMMETRY, "## How often the precision holds\n", _PRECISION]
        parts += [precision_table(figures.precision) + "\n"]
    if figures.faults:
        parts += ["## Faults\n", _FAULTS, extra_table(figures.faults) + "\n"]
    parts += ["## Cost\n", _COST, cost_table(figures.update, figures.smoothed) + "\n"]
    for rate, rows in by_rate.items():
        parts += [f"## All figures, {rate:g}/s\n", _DETAIL, detail_table(rows) + "\n"]
    return "\n".join(parts)
