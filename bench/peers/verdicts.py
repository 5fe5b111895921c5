"""What one run must show: ours against the peers of the same run; what cannot be judged is left out."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.peers.score import Score, Single

    Scores = Mapping[str, Mapping[str, Score]]  # by condition, then by row

OURS, OURS_LIVE, LSL, PAHO = "ours", "ours, live", "LSL", "paho-mosquitto"
P95_BUSY_TO_IDLE = 2.0
SAME_COUNT = 1.05
"""Rows made of at most so many times our exchanges are compared on the asymmetric link."""
DELAY_TO_PAHO = {"idle": 0.45, "busy": 0.35}
P99_TO_PAHO_BUSY = 0.1


class Verdict(NamedTuple):
    """`measured` is to be at most `limit` (us, or a ratio)."""

    promise: str
    measured: float
    limit: float

    @property
    def kept(self) -> bool:
        return self.measured <= self.limit


def verdicts(scores: Scores, singles: Mapping[str, Mapping[str, Single]]) -> list[Verdict]:
    """Every promise for which there are figures."""
    found = [*_against_lsl(scores), *_calm_when_busy(scores), *_on_jitter(scores), *_covered(scores)]
    found += _against_paho(singles)
    return [verdict for verdict in found if not (isnan(verdict.measured) or isnan(verdict.limit))]


def _against_lsl(scores: Scores) -> Iterator[Verdict]:
    for condition in ("idle", "busy"):
        rows = scores.get(condition, {})
        if OURS in rows and LSL in rows:
            ours, lsl = rows[OURS], rows[LSL]
            yield Verdict(f"{condition}: median error no worse than LSL's, us", ours.error_us, lsl.error_us)
            yield Verdict(
                f"{condition}: stated error no larger than LSL's, us", ours.stated_us, lsl.stated_us
            )


def _calm_when_busy(scores: Scores) -> Iterator[Verdict]:
    idle, busy = (scores.get(condition, {}).get(OURS) for condition in ("idle", "busy"))
    if idle is not None and busy is not None:
        promise = f"busy: p95 of the error at most {P95_BUSY_TO_IDLE:g} × idle, us"
        yield Verdict(promise, busy.p95_us, P95_BUSY_TO_IDLE * idle.p95_us)


def _on_jitter(scores: Scores) -> Iterator[Verdict]:
    for condition in ("jitter", "asymmetric"):
        rows = scores.get(condition, {})
        peers = [row for row in rows.values() if row.row not in {OURS, OURS_LIVE} and not isnan(row.error_us)]
        for ours in (rows[name] for name in (OURS, OURS_LIVE) if name in rows and peers):
            yield _beside_the_best(condition, ours, peers)
            if condition == "asymmetric":
                least = min(peers, key=lambda row: row.stated_us)
                promise = (
                    f"{condition}: {ours.row}: stated error no larger than the smallest ({least.row}), us"
                )
                yield Verdict(promise, ours.stated_us, least.stated_us)


def _beside_the_best(condition: str, ours: Score, peers: Sequence[Score]) -> Verdict:
    """On the asymmetric link only rows made of no more exchanges are compared."""
    most = ours.exchanges * SAME_COUNT
    comparable = [row for row in peers if condition != "asymmetric" or row.exchanges <= most] or peers
    best = min(comparable, key=lambda row: row.error_us)
    promise = f"{condition}: {ours.row}: median error no worse than the best row's ({best.row}), us"
    return Verdict(promise, ours.error_us, best.error_us)


def _covered(scores: Scores) -> Iterator[Verdict]:
    for condition, rows in scores.items():
        for name in (OURS, OURS_LIVE):
            if name in rows:
                yield Verdict(
                    f"{condition}: share of estimates not covered ({name})", 1 - rows[name].covered, 0.0
                )


def _against_paho(singles: Mapping[str, Mapping[str, Single]]) -> Iterator[Verdict]:
    for condition, limit in DELAY_TO_PAHO.items():
        found = singles.get(condition, {})
        if OURS in found and PAHO in found:
            ratio = found[OURS].delay_us / found[PAHO].delay_us
            yield Verdict(f"{condition}: round trip as a share of plain paho's", ratio, limit)
            if condition == "busy":
                ratio = found[OURS].error_p99_us / found[PAHO].error_p99_us
                promise = f"{condition}: p99 of a single exchange's error as a share of plain paho's"
                yield Verdict(promise, ratio, P99_TO_PAHO_BUSY)
