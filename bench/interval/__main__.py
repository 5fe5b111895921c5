"""`python -m bench.interval`: microseconds of a call, and of what topside writes a second.

A vehicle with all entries that are kept, three runs of its clock and a tail, as after half an hour with two
steps. A writer goes on, once a second as topside does. Beside it: `time.clock_gettime_ns` and an empty
function. The least of many rounds is taken, as other programs only add.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from timeit import repeat
from typing import Any

import click

from bench.tables import markdown_table, number, tell
from tidesync.library.live import SharedState
from topside_agent.shared_state import layout
from topside_agent.shared_state.layout import CONDITIONAL, DOUBT, KEPT, OK, Entry, Span
from topside_agent.shared_state.writer import SharedFile

S = 1_000_000_000
T0 = 1_777_636_800 * S
CALLS, ROUNDS = 500, 100
SPANS = tuple(Span(T0 - number * S, T0 - number * S + S // 2, DOUBT) for number in range(1, 9))


def entry(number: int, kind: int = OK) -> Entry:
    run = number * 3 // KEPT
    at_ns = T0 + (number + 10 * run) * S
    return Entry(number, run, at_ns, at_ns + S, -150_000_000, -150_001_000, 400_000, 1_000, kind)


def tail(following: int) -> tuple[Entry, ...]:
    return tuple(entry(following + ahead, CONDITIONAL)._replace(run=2) for ahead in range(12))


class Topside:
    """Writes as the agent does."""

    def __init__(self, path: Path) -> None:
        made = SharedFile.create(path)
        assert made is not None
        self._file, self._following = made, 0

    def write(self, entries: int = 1) -> None:
        place = self._file.place("rov1")
        assert place is not None
        made = [entry(number) for number in range(self._following, self._following + entries)]
        self._following += entries
        counts = max(self._following - KEPT, 0), self._following
        self._file.write(
            place,
            made,
            counts=counts,
            tail=tail(self._following),
            spans=SPANS,
            written_ns=layout.boottime_ns(),
        )


def least_us(call: Any, number_of: int = CALLS, rounds: int = ROUNDS) -> float:
    return min(repeat(call, number=number_of, repeat=rounds)) / number_of * 1e6


def measure(folder: Path) -> dict[str, float]:
    topside = Topside(folder / "state")
    topside.write(KEPT)
    state = SharedState([folder / "state"])
    figures: dict[str, float] = {"first call": min(_first_us(folder / "state") for _ in range(10))}
    past = T0 + (KEPT - 1_000 + 20) * S + S // 3
    stamps = {"now": T0 + (KEPT + 22) * S + S // 3, "1000 s ago": past, "unknown": T0 - 100 * S}
    for name, stamp in stamps.items():
        figures[name] = min(_asked_us(topside, state, stamp) for _ in range(10))
    figures["clock_gettime_ns"] = least_us(lambda: time.clock_gettime_ns(time.CLOCK_REALTIME))
    figures["empty function"] = least_us(lambda: None)
    figures["after a write"] = _after_write_us(topside, state, past)
    figures["a write"] = least_us(topside.write, 20)
    return figures


def _first_us(path: Path) -> float:
    state, began = SharedState([path]), time.perf_counter()
    assert state.interval(T0, "rov1") is not None
    return (time.perf_counter() - began) * 1e6


def _asked_us(topside: Topside, state: SharedState, stamp: int) -> float:
    topside.write(0)  # within the three seconds
    return least_us(lambda: state.interval(stamp, "rov1"), 200, 50)


def _after_write_us(topside: Topside, state: SharedState, stamp: int) -> float:
    best = float("inf")
    for _ in range(200):
        topside.write()
        began = time.perf_counter()
        state.interval(stamp, "rov1")
        best = min(best, time.perf_counter() - began)
    return best * 1e6


_TEXT = """# What a call of tidesync.interval costs

Made by `python -m bench.interval --markdown docs/lab/bench-interval.md`: a vehicle with {kept} entries
in three runs of its clock; the least of many rounds.

{table}

`now`, `1000 s ago` and `unknown` are what a program calls again and again; less than 5 µs is wanted. Once a
second, after topside has written, a call decodes what is new (`after a write`). `a write` is what topside
spends a second on each vehicle, beside making the entries.
"""


def text(figures: dict[str, float]) -> str:
    clock = figures["clock_gettime_ns"]
    body = [[name, number(us), number(us / clock)] for name, us in figures.items()]
    table = markdown_table(["call", "µs", "in calls of clock_gettime_ns"], body)
    return _TEXT.format(kept=KEPT, table=table)


@click.command()
@click.option("--markdown", type=click.Path(path_type=Path))
@click.option("--json", "json_path", type=click.Path(path_type=Path))
def main(markdown: Path | None, json_path: Path | None) -> None:
    """Measure, and print the figures."""
    memory = Path("/dev/shm")  # noqa: S108
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        figures = measure(Path(folder))
    tell(figures, text(figures), markdown, json_path)


if __name__ == "__main__":
    main()
