"""The page in docs/lab: ratios of passes of the same round, their median and their range."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from bench.correction.session import FAMILIES
from bench.tables import markdown_table, number
from runtime.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.messages.__main__ import Figures
    from bench.used import Used

ONE_PASS, TWO_PASSES = FAMILIES
FLAT = 1.2
"""Memory is flat where a file four times larger needs at most so many times as much."""
RATE = 100.0
"""MB of payload a second that MCAP is promised to reach where it takes more than twice the copy's time."""


def whole(found: Figures, name: str) -> list[float]:
    """Of each round, how many times the plain pass's CPU time `tidesync correct` took."""
    return _ratios(found.runs[f"{name}, whole"], found.runs["plain, whole"])


def each_message(found: Figures, name: str) -> list[float]:
    """The same without what the two programs take for a few messages."""
    mine, few = found.runs[f"{name}, whole"], found.runs[f"{ONE_PASS}, few"]
    plain, plain_few = found.runs["plain, whole"], found.runs["plain, few"]
    return [
        (a.cpu_s - b.cpu_s) / (c.cpu_s - d.cpu_s)
        for a, b, c, d in zip(mine, few, plain, plain_few, strict=True)
    ]


def rates(found: Figures, name: str) -> list[float]:
    """MB of payload a second of CPU time, without what a program takes for a few messages."""
    payload_mb = found.kind.payload * found.kind.messages / 1e6
    pairs = zip(found.runs[f"{name}, whole"], found.runs[f"{ONE_PASS}, few"], strict=True)
    return [payload_mb / (each.cpu_s - few.cpu_s) for each, few in pairs]


def memory(found: Figures) -> tuple[float, float]:
    """(peak MB, how many times that for a file a quarter as large)."""
    peak = max(each.peak_mb for each in found.runs[f"{_names(found)[-1]}, whole"])
    return peak, peak / found.smaller.peak_mb


def document(found: Sequence[Figures], how: Mapping[str, Any]) -> str:
    """The page."""
    return f"""\
# Correcting files of messages

Made by `make bench-messages` with Tidesync {VERSION}, on {how["processor"]} ({how["cores"]} cores),
Python {how["python"]}. Other programs' load was {how["load"]} when it began.

Each pass is a process of its own; {how["rounds"]} rounds, in each of which all passes take turns. What is
compared is CPU time; a ratio is of two passes of the same round. Figures are medians, with the range of
rounds in brackets.

## CPU time

How many times the CPU time of a plain pass over the same file `tidesync correct` takes. The plain pass
shifts the times by a constant, or only reads. *One pass*: the vehicle's clock ran on; *two passes*: it was
set back by 3 s, for which the file is read twice. *For each message*: the same two without what the programs
take for few messages; of `tidesync correct` these are {number(_start(found))} s: its imports, and the clocks
of the session, an hour at 4 exchanges a second.

{_times(found)}

{_verdict(found)}

The plain passes over text know where a timestamp is and how it is written. `tidesync correct` finds that
out, checks each line, gives it an error of its own, and writes a line for it into a table beside the
corrected file: no target is set for that. A database is copied by SQLite itself, in C.

## Throughput of MCAP

MB of uncompressed payload for each second of CPU time, without what few messages take.

{_rates(found)}

## Memory

The greatest of any round (in two passes where there are two), and how many times that is what a file of a
quarter of the messages needs.

{_memory(found)}

{_growing(found)} Subtitles are read whole (Cockpit writes some
30 MB in a day). What grows with ROS bags has not been looked into.

Files: MCAP in chunks of 1 MB, as its library writes them, half of each payload random, half zeros; all spread
over the session's hour. A `.wav` and a video have no messages: nothing but the header, or the name, is read.
CSV and Parquet are in [bench-correction.md](bench-correction.md).
"""


def _times(found: Sequence[Figures]) -> str:
    head = [
        "file",
        "MB",
        "messages",
        "plain pass",
        "its CPU, s",
        "one pass",
        "two passes",
        "for each message",
    ]
    body = [
        [
            each.kind.name,
            number(each.bytes / 1e6),
            f"{each.kind.messages:,}".replace(",", " "),
            each.kind.plain,
            _range([run.cpu_s for run in each.runs["plain, whole"]]),
            _range(whole(each, ONE_PASS)),
            _range(whole(each, TWO_PASSES)) if each.kind.stepped else "–",
            ", ".join(_range(each_message(each, name)) for name in _names(each)) if _is_clear(each) else "–",
        ]
        for each in found
    ]
    return markdown_table(head, body)


def _is_clear(found: Figures) -> bool:
    """Whether a file takes the plain pass more than its start does."""
    few = median(each.cpu_s for each in found.runs["plain, few"])
    return median(each.cpu_s for each in found.runs["plain, whole"]) > 2 * few


def _rates(found: Sequence[Figures]) -> str:
    head = ["file", "one pass", "two passes"]
    body = [
        [each.kind.name, *(_range(rates(each, name)) for name in _names(each))]
        for each in found
        if each.kind.payload
    ]
    return markdown_table(head, body)


def _memory(found: Sequence[Figures]) -> str:
    head = ["file", "MB of the file", "peak memory, MB", "times the smaller file's"]
    body = [[each.kind.name, number(each.bytes / 1e6), *map(number, memory(each))] for each in found]
    return markdown_table(head, body)


def _start(found: Sequence[Figures]) -> float:
    """CPU time of a file of few messages, s."""
    return median(each.cpu_s for kind in found for each in kind.runs[f"{ONE_PASS}, few"])


def _verdict(found: Sequence[Figures]) -> str:
    """Which targets are kept, and which are not."""
    missed = []
    for each in (each for each in found if each.kind.target):
        for name in _names(each):
            ratio, rate = (
                median(each_message(each, name)),
                median(rates(each, name)) if each.kind.payload else 0.0,
            )
            if ratio > (each.kind.target or 0) and rate < RATE:
                missed.append(f"{each.kind.name} in {name}")
    promised = (
        "Promised, for each message: at most twice the plain pass for .tlog and .BIN; for MCAP that, or"
    )
    kept = f"Not kept: {'; '.join(missed)}" if missed else "Kept by these files"
    whole = "With the time until the first message the ratios are those of the two columns before."
    return f"{promised}\n{RATE:.0f} MB of payload a second. {kept}. {whole}"


def _growing(found: Sequence[Figures]) -> str:
    growing = [each.kind.name for each in found if memory(each)[1] > FLAT]
    rule = f"Flat is at most {FLAT} times."
    return f"{rule} {'Not flat: ' + '; '.join(growing) if growing else 'All are'}."


def _names(found: Figures) -> list[str]:
    return [ONE_PASS, TWO_PASSES] if found.kind.stepped else [ONE_PASS]


def _ratios(one: Sequence[Used], other: Sequence[Used]) -> list[float]:
    return [a.cpu_s / b.cpu_s for a, b in zip(one, other, strict=True)]


def _range(values: Sequence[float], shown: Callable[[float], str] = number) -> str:
    return f"{shown(median(values))} ({shown(min(values))}–{shown(max(values))})"
