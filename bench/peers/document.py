"""docs/bench-peers.md and .json: the one table of a run, how it was made and how to read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.peers.conditions import CONDITIONS
from bench.peers.tables import markdown_table, number, share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.peers.score import Score, Single
    from bench.peers.verdicts import Verdict


class Figures(NamedTuple):
    """Everything that a run measured."""

    machine: str
    versions: dict[str, str]
    seconds_per_estimate: float
    estimates: int
    absent: dict[str, str]
    stamps: dict[str, str]
    scores: Mapping[str, Mapping[str, Score]]
    singles: Mapping[str, Mapping[str, Single]]
    verdicts: Sequence[Verdict]


_INTRODUCTION = """# The measurement against its peers

Made by `make bench-peers` on {machine}
({versions}).

All run at the same time on the same machine, taking turns within each tenth of a second, so that all see the
same scheduler and the same disturbances. Both sides of each read one clock: the true offset is 0, and an
estimate is its own error. {estimates} estimates a condition, each over {seconds:g} s.

- **ours**: `tidesync pi` and `tidesync topside` through mosquitto, 10 exchanges a second; each estimate made
  anew from its own {seconds:g} s. **ours, live** is what topside publishes: it remembers all since its start.
- **handshake**: the original's single GET of `/api/sync/time`, in whole ms; and with ns on both sides.
- **LSL**: liblsl's time correction and uncertainty at the window's end, direct over UDP, at its own pace
  (eight probes every two seconds).
- **ntplib** and **chrony**: direct over UDP, against a chronyd each. chrony is interleaved, with kernel
  stamps, polls 128 times a second (by itself once a second when the delay exceeds 10 ms) and remembers up to
  64 samples across estimates; its stated error is root delay / 2 + root dispersion.
- **paho**: ping-pong of plain paho clients, 10 a second, NODELAY set; stated error is half the delay.

Each has an answering and an asking process of its own. Delays come from proxies between the answering side
and the broker (MQTT), or between the two sides. CPU is that of all threads in the measured time, whatever
they did, divided by the exchanges; the broker's is not counted.
"""

_EXPLANATION = """Errors, stated errors and delays in us. `stated` is what the contestant says that its error
can be at most; `covered` how often that held. `delay`: the median round trip less the answering side's own
time (LSL, chrony and ours, live: of the exchange that they used last).
"""


def document(figures: Figures) -> str:
    """The whole page."""
    introduction = _INTRODUCTION.format(
        machine=figures.machine,
        versions=", ".join(f"{name} {version}" for name, version in figures.versions.items()),
        estimates=figures.estimates,
        seconds=figures.seconds_per_estimate,
    )
    parts = [introduction]
    if figures.absent:
        told = "; ".join(f"{name}: {why}" for name, why in figures.absent.items())
        parts.append(f"Absent from this run: {told}.\n")
    if figures.stamps:
        told = "; ".join(f"{condition}: {kinds}" for condition, kinds in figures.stamps.items())
        parts.append(f"The vehicle's receive and transmit stamps in ours: {told}.\n")
    parts += ["## Median error ± stated error, us\n", summary_table(figures.scores) + "\n"]
    if figures.verdicts:
        parts += ["## What it must show\n", verdict_table(figures.verdicts) + "\n"]
    if any(figures.singles.values()):
        parts += ["## Single exchanges\n", single_table(figures.singles) + "\n"]
    parts.append(_EXPLANATION)
    for condition, rows in figures.scores.items():
        title = CONDITIONS[condition].title
        parts += [f"## {title[0].upper()}{title[1:]}\n", score_table(list(rows.values())) + "\n"]
    return "\n".join(parts)


def summary_table(scores: Mapping[str, Mapping[str, Score]]) -> str:
    """One line a contestant, one column a condition."""
    names = dict.fromkeys(row for rows in scores.values() for row in rows)
    body = [
        [name, *(_pair(rows[name]) if name in rows else "–" for rows in scores.values())] for name in names
    ]
    return markdown_table(["", *scores], body)


def _pair(score: Score) -> str:
    return f"{number(score.error_us)} ±{number(score.stated_us)}"


def score_table(rows: Sequence[Score]) -> str:
    head = ["", "median error", "p95", "stated", "covered", "delay", "exchanges", "estimates"]
    head += ["CPU us asking", "answering", "MB asking", "answering"]
    body = [
        [
            row.row,
            *map(number, (row.error_us, row.p95_us, row.stated_us)),
            share(row.covered),
            *map(number, (row.delay_us, row.exchanges, row.estimates)),
            *map(number, row[-4:]),
        ]
        for row in rows
    ]
    return markdown_table(head, body)


def single_table(singles: Mapping[str, Mapping[str, Single]]) -> str:
    head = ["", "condition", "exchanges", "delay us", "error us", "p99 us"]
    body = [
        [name, condition, str(row.exchanges), *map(number, row[1:])]
        for condition, rows in singles.items()
        for name, row in rows.items()
    ]
    return markdown_table(head, body)


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    body = [[v.promise, number(v.measured), number(v.limit), "pass" if v.kept else "FAIL"] for v in verdicts]
    return markdown_table(["promise", "measured", "at most", "verdict"], body)
