"""docs/lab/bench-peers.md and .json: the one table of a run, how it was made and how to read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.peers.chance import Figure
from bench.peers.conditions import CONDITIONS
from bench.peers.expected import expected_table, with_interval
from bench.tables import markdown_table, number, share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.peers.expected import Expected
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
    expected: Mapping[str, Sequence[Expected]]
    """By condition: what its delays alone let each row expect."""


_INTRODUCTION = """# The measurement against its peers

Made by `make bench-peers` on {machine}
({versions}).

All run at the same time on the same machine, interleaved within each tenth of a second, so that all see the
same scheduler and the same disturbances. Both sides of each read one clock: the true offset is 0, and an
estimate is its own error. {estimates} estimates a condition, each over {seconds:g} s.

- **ours**: `tidesync pi` and `tidesync topside` through mosquitto, 10 exchanges a second; each estimate made
  from the exchanges of its own {seconds:g} s, as it is known at their end. **ours, afterwards**: the same as
  `tidesync estimate` has them, at the instant in the {seconds:g} s where it is surest (least delay, too, is
  dated by its one exchange). **ours, live** is what topside publishes: it remembers all since its start.
- **ours, direct**: estimates like the first from datagrams straight between both ends of our UDP transport,
  10 a second in trains of three, with neither agents nor a broker.
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
time (LSL, chrony and ours, live: of the exchange that they used last). Our stated errors allow for a clock
that drifts by 200 ppm while it ages, those of ntplib and paho for none.
"""

_ON_CHANCE = """In brackets: between what chance alone would put the figure in 95 of 100 runs of this length
(block bootstrap). *Within noise*: this run cannot tell the two figures apart, so that the next one may well
decide otherwise, whichever way this one did. The best of many rows is also the luckiest, which no interval
shows. ours, live and chrony remember: their estimates follow from much the same exchanges, a whole run is one
or two draws, and their intervals are still too narrow. Why a target is missed, and what was tried:
[peers-explained.md](peers-explained.md).
"""

_ON_EXPECTED = """Drawn from the same laws by the hundred, with no machine in it: what the rows come to in the
long run (`python -m bench.peers.expected`). ours, live: after 200 s, each from a run of its own; chrony:
after 128 s at its one sample a second.
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
        listed = "; ".join(f"{name}: {why}" for name, why in figures.absent.items())
        parts.append(f"Absent from this run: {listed}.\n")
    if figures.stamps:
        listed = "; ".join(f"{condition}: {kinds}" for condition, kinds in figures.stamps.items())
        parts.append(f"The vehicle's receive and transmit stamps in ours: {listed}.\n")
    parts += ["## Median error ± stated error, us\n", summary_table(figures.scores) + "\n"]
    if figures.verdicts:
        parts += ["## What it must show\n", verdict_table(figures.verdicts) + "\n", _ON_CHANCE]
    if figures.expected:
        parts += ["## What the delays alone let each expect\n", _ON_EXPECTED]
        for condition, found in figures.expected.items():
            parts += [f"{_title(condition)}:\n", expected_table(found) + "\n"]
    if any(figures.singles.values()):
        parts += ["## Single exchanges\n", single_table(figures.singles) + "\n"]
    parts.append(_EXPLANATION)
    for condition, rows in figures.scores.items():
        parts += [f"## {_title(condition)}\n", score_table(list(rows.values())) + "\n"]
    return "\n".join(parts)


def _title(condition: str) -> str:
    title = CONDITIONS[condition].title
    return title[0].upper() + title[1:]


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
            *map(with_interval, (row.error, row.p95)),
            number(row.stated_us),
            share(row.covered),
            *map(number, (row.delay_us, row.exchanges, row.estimates)),
            *map(number, (row.cpu_asking_us, row.cpu_answering_us)),
            *map(number, (row.memory_asking_mb, row.memory_answering_mb)),
        ]
        for row in rows
    ]
    return markdown_table(head, body)


def single_table(singles: Mapping[str, Mapping[str, Single]]) -> str:
    head = ["", "condition", "exchanges", "delay us", "error us", "p99 us"]
    body = [
        [
            name,
            condition,
            str(row.exchanges),
            *map(number, (row.delay_us, row.error_us)),
            with_interval(row.error_p99),
        ]
        for condition, rows in singles.items()
        for name, row in rows.items()
    ]
    return markdown_table(head, body)


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    body = [
        [
            v.promise,
            with_interval(Figure(v.measured, v.measured_between)),
            with_interval(Figure(v.limit, v.limit_between)),
            ("pass" if v.kept else "FAIL") + (", within noise" if v.within_noise else ""),
        ]
        for v in verdicts
    ]
    return markdown_table(["promise", "measured", "at most", "verdict"], body)
