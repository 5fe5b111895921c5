"""`python -m bench.long_sessions`: the table, printed and written."""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path
from typing import NamedTuple

import click

from bench.long_sessions.recorded import RATE_HZ, write_session
from bench.long_sessions.run import COMMANDS, Used, run
from bench.tables import markdown_table, number, tell
from runtime.version import VERSION

_LONG = 10_000_000
_VEHICLES = 10


class Growth(NamedTuple):
    """What a command takes, by the session's vehicles and by its length."""

    one: Used
    """With one vehicle."""
    longer: Used
    """With one, three times as long."""
    more: Used
    """With six vehicles, each as long as `one`."""

    def stream_bytes(self, each: int) -> float:
        """Bytes for each exchange of the longest stream; with its share of what is kept of all."""
        return (self.longer.memory_mb - self.one.memory_mb) * 1e6 / (2 * each)

    def kept_bytes(self, each: int) -> float:
        """Bytes for each exchange of a further stream."""
        return (self.more.memory_mb - self.one.memory_mb) * 1e6 / (5 * each)

    def cpu_us(self, each: int) -> float:
        """Processor time for each exchange."""
        return (self.more.cpu_s - self.one.cpu_s) * 1e6 / (5 * each)

    def long_mb(self, each: int) -> float:
        """By these ratios the memory for a session of `_LONG` exchanges of `_VEHICLES`."""
        longest = _LONG // _VEHICLES
        begun = self.one.memory_mb - self.stream_bytes(each) * each / 1e6
        return begun + (self.stream_bytes(each) * longest + self.kept_bytes(each) * (_LONG - longest)) / 1e6


def _text(found: dict[str, Growth], each: int) -> str:
    rows = [
        [
            name,
            *map(number, (of.one.memory_mb, of.longer.memory_mb, of.more.memory_mb)),
            *map(number, (of.stream_bytes(each), of.kept_bytes(each), of.cpu_us(each), of.long_mb(each))),
        ]
        for name, of in found.items()
    ]
    head = ["", "one vehicle, MB", "three times as long, MB", "six vehicles, MB"]
    head += ["longest stream, B each", "others, B each", "CPU, us each", "10 million, MB"]
    return f"""# What a long session takes

Made by `make bench-long-sessions` with Tidesync {VERSION} on {os.cpu_count()} × {platform.machine()}.
The most memory that a process had (RSS), interpreter and libraries included: for a vehicle with {each:,}
exchanges at {RATE_HZ:g} a second, for one with {3 * each:,}, and for six with {each:,} each. *stop* is the
end of a recording.

{markdown_table(head, rows)}

The exchanges of all vehicles are kept compressed; one vehicle's are unpacked, smoothed, written and forgotten
before the next one's. *10 million* follows from the ratios, for ten vehicles with a million exchanges each.
At a lower rate the longest stream takes more for each exchange: windows have one value for every two seconds.
"""


@click.command()
@click.option("--each", default=50_000, show_default=True, help="Exchanges of a vehicle.")
@click.option("--markdown", type=click.Path(path_type=Path))
@click.option("--json", "json_path", type=click.Path(path_type=Path))
def main(each: int, markdown: Path | None, json_path: Path | None) -> None:
    """Measure, print, write."""
    with tempfile.TemporaryDirectory(prefix="bench-long-sessions-") as made:
        sizes = {"one": (1, each), "longer": (1, 3 * each), "more": (6, each)}
        for name, size in sizes.items():
            write_session(Path(made) / name, *size)
        found = {
            command: Growth(*(run(command, Path(made) / name) for name in sizes)) for command in COMMANDS
        }
    figures = {"each": each, "commands": found}
    tell(figures, _text(found, each), markdown, json_path)


if __name__ == "__main__":
    main()
