"""The tables as Markdown: what docs/lab/bench-estimators.md holds and what is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import tables
from bench.estimators.jobs import AFTERWARDS, ONLINE
from bench.estimators.peers import AFTERWARDS as SMOOTHING_PEERS
from bench.estimators.peers import ONLINE as ONLINE_PEERS
from bench.estimators.targets import (
    MEDIAN_UPDATE_US,
    P99_UPDATE_US,
    PRECISION_COVERAGE,
    PUBLISHED,
    SMOOTH_EIGHT_HOURS_S,
    TARGETS,
)
from bench.estimators.traces import FAMILIES
from bench.tables import markdown_table, number

if TYPE_CHECKING:
    from bench.estimators.cost import SmoothCost, UpdateCost
    from bench.estimators.extra import ExtraRow
    from bench.estimators.table import FamilyRow, PrecisionRow


def share(value: float) -> str:
    """Hundredths of a per cent: bounds are to hold always."""
    return tables.share(value, 2)


def _verdict(failures: list[str]) -> str:
    return "pass" if not failures else "FAIL: " + "; ".join(failures)


def rms_table(rows: list[FamilyRow]) -> str:
    """RMS error in us; in brackets what was published for the peers on the same laws."""
    peers = [*ONLINE_PEERS, *SMOOTHING_PEERS]
    head = ["delays", *ONLINE_PEERS, "**ours**", "to reach", *SMOOTHING_PEERS, "**ours, afterwards**"]
    body = []
    for row in rows:
        cells = {name: number(row.cells[name].rms_us) if name in row.cells else "–" for name in peers}
        for name, published in PUBLISHED.get(row.family, {}).items():
            if row.rate_hz == 4.0 and name in row.cells:
                cells[name] += f" ({published:g})"
        target = TARGETS.get(row.family)
        slow = row.rate_hz != 4.0
        required = None if target is None else target.slow_us if slow else target.online_us
        later = None if target is None or slow else target.afterwards_us
        body.append(
            [
                FAMILIES[row.family].title,
                *(cells[name] for name in ONLINE_PEERS),
                f"**{number(row.cells[ONLINE].rms_us)}**",
                number(required),
                *(cells[name] for name in SMOOTHING_PEERS),
                f"**{number(row.cells[AFTERWARDS].rms_us)}**",
                number(later),
                _verdict(row.failures),
            ]
        )
    return markdown_table([*head, "to reach", "verdict"], body)


def detail_table(rows: list[FamilyRow]) -> str:
    """Every estimator on every family: errors, stated bounds, and how often these held."""
    head = [
        "delays",
        "estimator",
        "RMS us",
        "p99 us",
        "stated bound held",
        "half-width us",
        "precision held",
        "precision us",
    ]
    body = []
    for row in rows:
        for name, cell in row.cells.items():
            body.append(
                [
                    FAMILIES[row.family].title,
                    name,
                    number(cell.rms_us),
                    number(cell.p99_us),
                    share(cell.covered),
                    number(cell.half_width_us),
                    share(cell.covered_u95),
                    number(cell.u95_us),
                    number(cell.recovery_s),
                ]
            )
    return markdown_table([*head, "back within 200 us, s"], body)


def precision_table(rows: list[PrecisionRow]) -> str:
    """How often the precision held, pooled over seeds."""
    low, high = PRECISION_COVERAGE
    head = ["delays", "rate", "seeds", "online", "to reach", "afterwards", "to reach", "verdict"]
    body = [
        [
            FAMILIES[row.family].title,
            f"{row.rate_hz:g}/s",
            str(row.seeds),
            f"{row.online:.1%}",
            f"{low:.0%} to {high:.0%}" if row.required else "",
            f"{row.afterwards:.1%}",
            f"{low:.0%} at least" if row.required else "",
            ("pass" if row.passes else "FAIL") if row.required else "",
        ]
        for row in rows
    ]
    return markdown_table(head, body)


def extra_table(rows: list[ExtraRow]) -> str:
    head = ["fault", "RMS us", "afterwards", "bound held", "afterwards", "half-width us", "precision held"]
    head += [
        "cuts",
        "back within 200 us, s",
        "pause: held",
        "half-width ms",
        "error ms",
        "smoothed inside",
        "verdict",
    ]
    body = [
        [
            FAMILIES[row.family].title,
            number(row.online.rms_us),
            number(row.afterwards.rms_us),
            share(row.online.covered),
            share(row.afterwards.covered),
            number(row.online.half_width_us),
            share(row.online.covered_u95),
            number(row.cuts),
            number(row.online.recovery_s),
            share(row.holdover.covered),
            number(row.holdover.half_width_ms),
            number(row.holdover.error_ms),
            share(row.inside),
            _verdict(row.failures),
        ]
        for row in rows
    ]
    return markdown_table(head, body)


def cost_table(update: UpdateCost, smoothed: list[SmoothCost]) -> str:
    body = [
        _cost("update, median", update.median_us, "us", MEDIAN_UPDATE_US),
        _cost("update, p99", update.p99_us, "us", P99_UPDATE_US),
        _cost("update, mean", update.mean_us, "us"),
        _cost("update, greatest", update.greatest_us, "us"),
        _cost("estimate, median", update.estimate_median_us, "us"),
    ]
    for cost, limit_s in zip(smoothed, (SMOOTH_EIGHT_HOURS_S, None), strict=False):
        body.append(_cost(f"smoothing {cost.exchanges} exchanges", cost.seconds, "s", limit_s))
        body.append(_cost(f"smoothing {cost.exchanges} exchanges, memory", cost.peak_mb, "MB"))
    if len(smoothed) == 2:
        first, second = smoothed
        body.append(_cost("twice the log, time", second.seconds / first.seconds, "x"))
        body.append(_cost("twice the log, memory", second.peak_mb / first.peak_mb, "x"))
    return markdown_table(["cost", "measured", "to reach", "verdict"], body)


def cost_failures(update: UpdateCost, smoothed: list[SmoothCost]) -> list[str]:
    """Which limits are exceeded, in words."""
    measured = [
        ("update, median us", update.median_us, MEDIAN_UPDATE_US),
        ("update, p99 us", update.p99_us, P99_UPDATE_US),
        *(("smoothing eight hours, s", cost.seconds, SMOOTH_EIGHT_HOURS_S) for cost in smoothed[:1]),
    ]
    return [f"{what}: {value:.3g} > {limit:g}" for what, value, limit in measured if value > limit]


def _cost(what: str, measured: float, unit: str, limit: float | None = None) -> list[str]:
    if limit is None:
        return [what, f"{number(measured)} {unit}", "", ""]
    return [what, f"{number(measured)} {unit}", f"{limit:g} {unit}", "pass" if measured <= limit else "FAIL"]
