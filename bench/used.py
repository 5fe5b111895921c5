"""A program in a process of its own: how long it ran, its CPU time, and the most memory that it had.

A process begins with the peak memory (ru_maxrss) of the one that starts it. So a small interpreter without
libraries starts it: below that one's some 10 MB nothing can be seen.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

_LAUNCHER = """
import json, os, sys, time
begun = time.perf_counter()
process = os.posix_spawn(sys.executable, [sys.executable, *sys.argv[1:]], os.environ,
    file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
_, status, used = os.wait4(process, 0)
print(json.dumps([status, time.perf_counter() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""


class Used(NamedTuple):
    """What a program took."""

    seconds: float
    cpu_s: float
    peak_mb: float


def used_by(module: Sequence[str], *, quiet: bool = False) -> Used:
    """Run `python -m …`; ClickException where it fails. `quiet`: what it prints is shown only then."""
    command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, "-m", *module]
    environment = {**os.environ, "POLARS_MAX_THREADS": "1", "PYTHONDONTWRITEBYTECODE": ""}  # as installed
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if quiet else None,
        text=True,
        check=False,
        env=environment,
    )
    status, seconds, cpu_s, peak_kib = (
        json.loads(done.stdout.splitlines()[-1]) if done.stdout else (1, 0, 0, 0)
    )
    if done.returncode or status:
        raise click.ClickException(f"python -m {' '.join(module)} ended with {status}\n{done.stderr or ''}")
    return Used(seconds, cpu_s, peak_kib * 1024 / 1e6)
