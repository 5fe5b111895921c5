"""`python -m bench.footprint`: the table, printed and written."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import click

from bench.footprint.disk import install
from bench.footprint.process import RATE_HZ, Footprint, Requester, run
from bench.tables import markdown_table, number, plain, tell
from runtime.listener import free_port
from runtime.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.footprint.disk import Installed


def _program(name: str) -> str:
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        raise click.ClickException(f"{name} is not installed")
    return path


@contextmanager
def _mosquitto() -> Iterator[int]:
    port = free_port("127.0.0.1")
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "mosquitto.conf"
        lines = (
            "set_tcp_nodelay true",
            f"listener {port} 127.0.0.1",
            "user root",
            "allow_anonymous true",
            "",
        )
        config.write_text("\n".join(lines))
        with subprocess.Popen(
            [_program("mosquitto"), "-c", str(config)], stderr=subprocess.DEVNULL
        ) as broker:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 0.2).close()
                    break
                except OSError:
                    time.sleep(0.05)
            try:
                yield port
            finally:
                broker.terminate()


def _commands(port: int) -> dict[str, list[str]]:
    agent = [sys.executable, "-m", "tidesync", "-q", "pi", "--vehicle", "rov1"]
    agent += ["--broker", f"mqtt://127.0.0.1:{port}"]
    http = ["--http-host", "127.0.0.1", "--http-port", str(free_port("127.0.0.1"))]
    return {
        "tidesync pi": [*agent, *http],
        "tidesync pi --no-http": [*agent, "--no-http"],
        "the smallest paho echo": [sys.executable, "-m", "bench.footprint.echo", str(port)],
    }


def _medians(runs: Sequence[Footprint]) -> Footprint:
    return Footprint(*(median(column) for column in zip(*runs, strict=True)))


def _text(found: Mapping[str, Footprint], disk: Sequence[Installed], how: Mapping[str, Any]) -> str:
    rows = [
        [name, *(number(value) for value in (f.online_s, f.memory_mb, f.idle_cpu_percent, f.ping_us))]
        for name, f in found.items()
    ]
    table = markdown_table(["", "online after, s", "memory, MB", "idle, % of a core", "each ping, µs"], rows)
    sizes = markdown_table(
        ["distribution", "version", "MB"], [[d.name, d.version, f"{d.size_mb:.2f}"] for d in disk]
    )
    return f"""# What the vehicle's agent asks of a Pi

Made by `make bench-footprint` with Tidesync {VERSION}, on {how["processor"]} ({how["cores"]} cores),
Python {how["python"]}: not on a Pi, where expect several times as long. Medians of {how["rounds"]} rounds
in turn; {how["seconds"]:g} s idle, then {how["seconds"]:g} s at {RATE_HZ:g} pings a second.

{table}

The echo answers with two stamps that it takes itself, and that is all: no kernel stamps, no check of what it
is sent, no watch of the clock, no announcement, no HTTP. *Memory* is what is resident (RSS). *Each
ping* is processor time above the idle one, of all threads.

## On the disk

`pip install tidesync-pi`: {len(disk)} distributions, {sum(d.size_mb for d in disk):.1f} MB with bytecode:

{sizes}
"""


@click.command()
@click.option("--rounds", default=5, show_default=True)
@click.option("--seconds", default=10.0, show_default=True, help="Idle, and again asked.")
@click.option("--markdown", type=click.Path(path_type=Path))
@click.option("--json", "json_path", type=click.Path(path_type=Path))
def main(rounds: int, seconds: float, markdown: Path | None, json_path: Path | None) -> None:
    """Measure, print, write."""
    runs: dict[str, list[Footprint]] = {}
    with _mosquitto() as port:
        requester = Requester(port)
        for _ in range(rounds):
            for name, command in _commands(port).items():
                runs.setdefault(name, []).append(run(command, requester, seconds))
        requester.stop()
    found = {name: _medians(several) for name, several in runs.items()}
    disk = install()
    how: dict[str, object] = {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    how |= {"rounds": rounds, "seconds": seconds}
    figures = {"how": how, "processes": plain(found), "runs": plain(runs), "disk": plain(disk)}
    tell(figures, _text(found, disk, how), markdown, json_path)


if __name__ == "__main__":
    main()
