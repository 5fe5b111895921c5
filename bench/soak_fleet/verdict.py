"""What a soak found: every figure, and which of them are failures."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from bench.soak_fleet.observer import identity
from bench.soak_fleet.rows import check_rows
from bench.soak_recorder.verdict import Verdict
from tidesync.sessions.journal import Journal

if TYPE_CHECKING:
    from bench.dashboard.browser import Heap
    from bench.soak_fleet.fleet import Fleet
    from bench.soak_fleet.missing import Missing
    from bench.soak_fleet.programs import Life

_WARM_S = 330.0
"""Older than this a process has all that it keeps (a topside's backlog of five minutes)."""
_LEAST_S = 300.0
_GROWTH_MB, _GROWTH_DESCRIPTORS, _GROWTH_HEAP_MB = 8.0, 8, 8.0


@dataclass(frozen=True, slots=True)
class Healing:
    """After a fault of `kind`: how long it took, and what was not well in time."""

    kind: str
    whom: str
    at_s: float
    took_s: float
    late: str | None

    def __str__(self) -> str:
        return f"healed in {self.took_s:.1f} s" + (f" (LATE: {self.late})" if self.late else "")


def judged(fleet: Fleet, healings: list[Healing], heaps: list[Heap], missing: Missing) -> Verdict:
    """All checks. `missing`: what was heard in the session and is not recorded."""
    verdict = Verdict()
    _check_healing(verdict, healings)
    _check_results(verdict, fleet)
    _check_journal(verdict, fleet, missing)
    _check_flatness(verdict, fleet)
    if len(heaps) > 20:
        growth_mb = median(heap.heap_mb for heap in heaps[-10:]) - median(
            heap.heap_mb for heap in heaps[5:15]
        )
        verdict.note("growth of the page's heap, MB", round(growth_mb, 2))
        if growth_mb > _GROWTH_HEAP_MB:
            verdict.failures.append(f"the dashboard's page grew by {growth_mb:.1f} MB")
    logs = {name: program.log.count("Traceback") for name, program in fleet.programs.items()}
    verdict.note("tracebacks in the programs' logs", sum(logs.values()), wanted=0)
    verdict.failures += [f"{count} tracebacks in the log of {name}" for name, count in logs.items() if count]
    check_rows(verdict, fleet)
    return verdict


def _check_healing(verdict: Verdict, healings: list[Healing]) -> None:
    verdict.note("faults", len(healings))
    late = [healing for healing in healings if healing.late]
    verdict.note("healed late or never", len(late), wanted=0)
    verdict.failures += [f"{healing.kind} of {healing.whom}: {healing}" for healing in late[:10]]


def _check_results(verdict: Verdict, fleet: Fleet) -> None:
    heard = fleet.observer.heard
    verdict.note("results", heard.results, at_least=1)
    verdict.note("conditional", heard.conditional)
    verdict.note("held against the truth", heard.judged, at_least=1)
    verdict.note("wrong", len(heard.wrong), wanted=0)
    verdict.failures += [
        f"wrong at {one.at_s:.1f} s by {one.beyond_ms:.3f} ms: {one.result}" for one in heard.wrong[:10]
    ]


def _check_journal(verdict: Verdict, fleet: Fleet, missing: Missing) -> None:
    """Each exchange that was heard is recorded, once, unless it is known to be lost with its process."""
    journal = fleet.recorded.read_exchanges() or Journal()
    keys = [identity(exchange) for exchange in journal.exchanges]
    verdict.note("lines in exchanges.jsonl", len(keys), at_least=1)
    verdict.note("lines that are no exchange", journal.malformed, wanted=0)
    verdict.note("recorded twice", len(keys) - len(set(keys)), wanted=0)
    verdict.note("heard, not recorded, in a gap event of a process that ended", len(missing.named))
    verdict.note("heard, not recorded, else", len(missing.unnamed), wanted=0)


def _check_flatness(verdict: Verdict, fleet: Fleet) -> None:
    lives = [life for program in fleet.programs.values() for life in program.lives]
    grown = [growth for life in lives if (growth := _growth(life))]
    verdict.note("lives long enough to be held flat", len(grown))
    for name, megabytes, descriptors in grown:
        verdict.note(f"{name}: growth, MB", round(megabytes, 2))
        if megabytes > _GROWTH_MB or descriptors > _GROWTH_DESCRIPTORS:
            verdict.failures.append(f"{name} grew by {megabytes:.1f} MB and {descriptors} descriptors")


def _growth(life: Life) -> tuple[str, float, int] | None:
    """From when it was warm to its end: MB resident and descriptors, of medians of five samples."""
    warm = [sample for sample in life.samples if sample[0] > _WARM_S]
    if len(warm) < 10 or warm[-1][0] - warm[0][0] < _LEAST_S:
        return None
    first, last = warm[:5], warm[-5:]
    megabytes = median(sample[1] for sample in last) - median(sample[1] for sample in first)
    descriptors = median(sample[2] for sample in last) - median(sample[2] for sample in first)
    return f"{life.program} ({life.pid})", megabytes, round(descriptors)
