"""`python -m bench.messages`: `tidesync correct` on MCAP files beside a copy by the mcap library.

Each pass is a process of its own; its peak memory is ru_maxrss. The copy reads each message and writes it as
it is: no other time, no error, no state. CPU time is what compares on a machine that does other work too.
"""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from mcap.writer import CompressionType, Writer

from bench.correction.__main__ import Run, run
from bench.correction.session import DURATION_S, FAMILIES, make_session
from bench.estimators.traces import make_trace
from bench.tables import markdown_table, number, tell
from runtime.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

PAYLOADS = {"1 KB": 1_000, "100 KB": 100_000, "100 bytes": 100}
COMPRESSIONS = ("ZSTD", "NONE")


@click.command()
@click.option("--size-mb", default=1000, show_default=True, help="Of payloads; half and all of it are taken.")
@click.option("--markdown", type=click.Path(path_type=Path))
@click.option("--json", "json_path", type=click.Path(path_type=Path))
def main(size_mb: int, markdown: Path | None, json_path: Path | None) -> None:
    """Measure, print and write the figures."""
    runs: dict[str, Run] = {}
    for name, payload in PAYLOADS.items():
        for compression in COMPRESSIONS:
            part = size_mb // (10 if payload < 1_000 else 1)  # a pass of as many messages
            for size in (part // 2, part) if name == "1 KB" else (part,):
                for what, each in measured(size * 1_000_000, payload, compression).items():
                    runs[f"{size} MB of {name}, {compression.lower()}: {what}"] = each
                    click.echo(f"{size} MB of {name}, {compression}: {what}: {each}", err=True)
    how = {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
    tell({"how": how, "runs": runs}, document(runs), markdown, json_path)


def measured(size: int, payload: int, compression: str) -> dict[str, Run]:
    """All passes over files with so many bytes of payloads."""
    found = {}
    for name, family in FAMILIES.items():
        with tempfile.TemporaryDirectory() as folder:
            session = Path(folder) / "session"
            make_session(session, family, 1)
            file = session / "log.mcap"
            messages = write_file(file, family, size, payload, compression)
            if name == "one pass":
                ends = [str(file), str(Path(folder) / "copy.mcap")]
                found["copy by the library"] = run(["bench.messages.mcap_copy", *ends], messages)
            ours = ["tidesync", "-q", "correct", str(session), "--file", str(file), "--vehicle", "rov1"]
            found[f"tidesync correct, {name}"] = run(ours, messages)
    return {name: each._replace(rows=size) for name, each in found.items()}


def write_file(path: Path, family: str, size: int, payload: int, compression: str) -> int:
    """Write messages that are spread over the session's hour; how many."""
    trace, chance = make_trace(family, seed=1, duration_s=DURATION_S), np.random.default_rng(1)
    messages = size // payload
    body = chance.bytes(payload // 2) + bytes(payload - payload // 2)
    at_ns = trace.exchanges[0].origin_ns + np.arange(messages) * (int(DURATION_S * 1e9 - 2e9) // messages)
    times = (at_ns + trace.truth_at(at_ns)).astype(np.int64).tolist()
    with path.open("wb") as stream:
        writer = Writer(stream, compression=CompressionType[compression])
        writer.start()
        channels = [writer.register_channel(f"/topic{each}", "cdr", 0) for each in range(10)]
        for place, log_ns in enumerate(times):
            writer.add_message(channels[place % 10], log_ns, body, log_ns - 1_000_000, place)
        writer.finish()  # type: ignore[no-untyped-call]
    return messages


def document(runs: Mapping[str, Run]) -> str:
    """The page in docs/lab."""
    head = ["file and pass", "time, s", "CPU, s", "MB of payload/s of CPU", "peak memory, MB"]
    body = [
        [name, *map(number, (each.seconds, each.cpu_s, each.rows / each.cpu_s / 1e6, each.peak_mb))]
        for name, each in runs.items()
    ]
    return f"""\
# Correcting MCAP files

Made by `make bench-messages` with Tidesync {VERSION}, on {platform.machine()} ({os.cpu_count()} cores),
Python {platform.python_version()}: one run of each.

{markdown_table(head, body)}

The files have chunks of 1 MB, as the mcap library writes them, over an hour with 4 exchanges a second; half
of each payload is random, half zeros. `tidesync correct` reads a file once where the vehicle's clock ran on,
twice where it was set, and gives each message its own times, and the bounds of their errors; some two seconds
of each pass are the session's, whatever the file's size. The copy by the library changes nothing.
On a machine that does other work too, CPU time is what compares.
"""


if __name__ == "__main__":
    main()
