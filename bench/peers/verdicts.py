"""What one run must show: ours against the peers of the same run; what cannot be judged is left out."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, NamedTuple

from bench.peers.chance import NOT_KNOWN, Between, Figure, indistinguishable, ratio

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.peers.score import Score, Single

    Scores = Mapping[str, Mapping[str, Score]]  # by condition, then by row

OURS, OURS_AFTERWARDS, OURS_LIVE = "ours", "ours, afterwards", "ours, live"
OURS_DIRECT = "ours, direct"
ALL_OURS = (OURS, OURS_AFTERWARDS, OURS_LIVE, OURS_DIRECT)
LSL, PAHO, CHRONY = "LSL", "paho-mosquitto", "chrony"
STATED_TO_CHRONY = 0.5
OVER_LEAST_DELAY_US = 0.1
"""What the surest direct estimate may state beyond half the least delay."""
DIRECT_CPU_US = {"asking": 200.0, "answering": 130.0}
"""Per exchange, at ten a second."""
P95_BUSY_TO_IDLE = 2.0
SAME_COUNT = 1.05
"""Rows made of at most so many times our exchanges are compared on the asymmetric link."""
DELAY_TO_PAHO = {"idle": 0.45, "busy": 0.35}
P99_TO_PAHO_BUSY = 0.1


class Verdict(NamedTuple):
    """`measured` is to be at most `limit` (us, or a ratio); where each may lie by chance."""

    promise: str
    measured: float
    limit: float
    measured_between: Between = NOT_KNOWN
    limit_between: Between = NOT_KNOWN

    @property
    def kept(self) -> bool:
        return self.measured <= self.limit

    @property
    def within_noise(self) -> bool:
        """Whether another run of this length may well come to the other verdict."""
        return indistinguishable(
            Figure(self.measured, self.measured_between),
            Figure(self.limit, self.limit_between),
        )


def verdicts(scores: Scores, singles: Mapping[str, Mapping[str, Single]]) -> list[Verdict]:
    """Every promise for which there are figures."""
    found = [
        *_against_lsl(scores),
        *_direct(scores),
        *_direct_alone(scores, singles),
        *_calm_when_busy(scores),
        *_on_jitter(scores),
        *_covered(scores),
    ]
    found += _against_paho(singles)
    return [verdict for verdict in found if not (isnan(verdict.measured) or isnan(verdict.limit))]


def _of(promise: str, measured: Figure, limit: Figure) -> Verdict:
    return Verdict(promise, measured.value, limit.value, measured.between, limit.between)


def _against_lsl(scores: Scores) -> Iterator[Verdict]:
    for condition in ("idle", "busy"):
        rows = scores.get(condition, {})
        if OURS in rows and LSL in rows:
            ours, lsl = rows[OURS], rows[LSL]
            yield _of(f"{condition}: median error no worse than LSL's, us", ours.error, lsl.error)
            yield _of(f"{condition}: stated error no larger than LSL's, us", ours.stated, lsl.stated)


def _direct(scores: Scores) -> Iterator[Verdict]:
    """Straight: beside chrony, which is, too, and beside ours through the broker."""
    for condition, rows in scores.items():
        direct, chrony, ours = (rows.get(name) for name in (OURS_DIRECT, CHRONY, OURS))
        if direct is not None and chrony is not None and condition in {"idle", "busy"}:
            promise = f"{condition}: {OURS_DIRECT}: median error no worse than chrony's, us"
            yield _of(promise, direct.error, chrony.error)
            promise = f"{condition}: {OURS_DIRECT}: stated error at most {STATED_TO_CHRONY:g} × chrony's, us"
            yield _of(promise, direct.stated, chrony.stated.times(STATED_TO_CHRONY))
        if direct is not None and ours is not None and condition in {"jitter", "asymmetric"}:
            promise = f"{condition}: {OURS_DIRECT}: stated error no larger than through the broker, us"
            yield _of(promise, direct.stated, ours.stated)


def _direct_alone(scores: Scores, singles: Mapping[str, Mapping[str, Single]]) -> Iterator[Verdict]:
    """Straight: how near it comes to the least that can be stated, and what it costs."""
    for condition in ("idle", "busy"):
        direct, single = scores.get(condition, {}).get(OURS_DIRECT), singles.get(condition, {}).get("direct")
        if direct is None:
            continue
        if single is not None:
            over = f"{OVER_LEAST_DELAY_US:g}"
            promise = f"{condition}: {OURS_DIRECT}: at best stated, at most half the least delay + {over}, us"
            most_us = single.least_delay_us / 2 + OVER_LEAST_DELAY_US
            yield Verdict(promise, direct.least_stated_us, most_us)
        for side, used_us in (("asking", direct.cpu_asking_us), ("answering", direct.cpu_answering_us)):
            promise = f"{condition}: {OURS_DIRECT}: processor time an exchange, {side}, us"
            yield Verdict(promise, used_us, DIRECT_CPU_US[side])


def _calm_when_busy(scores: Scores) -> Iterator[Verdict]:
    idle, busy = (scores.get(condition, {}).get(OURS) for condition in ("idle", "busy"))
    if idle is not None and busy is not None:
        promise = f"busy: p95 of the error at most {P95_BUSY_TO_IDLE:g} × idle, us"
        yield _of(promise, busy.p95, idle.p95.times(P95_BUSY_TO_IDLE))


def _on_jitter(scores: Scores) -> Iterator[Verdict]:
    for condition in ("jitter", "asymmetric"):
        rows = scores.get(condition, {})
        peers = [row for row in rows.values() if row.row not in ALL_OURS and not isnan(row.error_us)]
        for ours in (rows[name] for name in ALL_OURS if name in rows and peers):
            yield _beside_the_best(condition, ours, peers)
            if condition == "asymmetric":
                least = min(peers, key=lambda row: row.stated_us)
                promise = (
                    f"{condition}: {ours.row}: stated error no larger than the smallest ({least.row}), us"
                )
                yield _of(promise, ours.stated, least.stated)


def _beside_the_best(condition: str, ours: Score, peers: Sequence[Score]) -> Verdict:
    """On the asymmetric link only rows made of no more exchanges are compared."""
    most = ours.exchanges * SAME_COUNT
    comparable = [row for row in peers if condition != "asymmetric" or row.exchanges <= most] or peers
    best = min(comparable, key=lambda row: row.error_us)
    promise = f"{condition}: {ours.row}: median error no worse than the best row's ({best.row}), us"
    return _of(promise, ours.error, best.error)


def _covered(scores: Scores) -> Iterator[Verdict]:
    for condition, rows in scores.items():
        for name in ALL_OURS:
            if name in rows:
                yield Verdict(
                    f"{condition}: share of estimates not covered ({name})", 1 - rows[name].covered, 0.0
                )


def _against_paho(singles: Mapping[str, Mapping[str, Single]]) -> Iterator[Verdict]:
    for condition, limit in DELAY_TO_PAHO.items():
        found = singles.get(condition, {})
        if OURS in found and PAHO in found:
            ours, paho = found[OURS], found[PAHO]
            promise = f"{condition}: round trip as a share of plain paho's"
            yield _of(promise, ratio(ours.delay, paho.delay), Figure(limit))
            if condition == "busy":
                promise = f"{condition}: p99 of a single exchange's error as a share of plain paho's"
                yield _of(promise, ratio(ours.error_p99, paho.error_p99), Figure(P99_TO_PAHO_BUSY))
