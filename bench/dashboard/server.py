"""A dashboard as a program of the run, and one client of its stream that counts bytes."""

from __future__ import annotations

import json
import sys
import threading
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.peers.processes import LOOPBACK, free_port, wait_until_listening

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.peers.processes import Program, Programs

_OF_FOLDER = "import sys; sys.path[0] = sys.argv.pop(1); from tidesync.__main__ import main; main()"


class Headline(NamedTuple):
    """How many vehicles there are, and how many of them have a fresh result that is locked."""

    vehicles: int
    locked: int


class Server:
    """One `tidesync dashboard` of the checkout in `folder`, with one reader of its stream."""

    def __init__(self, programs: Programs, name: str, broker: int, folder: Path, stream: str) -> None:
        self.port = free_port()
        options = ("--broker", f"mqtt://{LOOPBACK}:{broker}", "--port", str(self.port))
        command = ["-c", _OF_FOLDER, str(folder), "-q", "dashboard", *options]
        self.program: Program = programs.start(name, [sys.executable, *command])
        self.url = f"http://{LOOPBACK}:{self.port}/"
        wait_until_listening(self.port, name)
        self.read_bytes = 0
        self._at: tuple[float, int, int] | None = None
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    @property
    def memory_mb(self) -> float:
        """Resident."""
        return self.program.memory_mb()

    def since(self, now_s: float) -> tuple[float, float]:
        """The share of a core in %, and the stream's bytes a second, since this was asked last."""
        before, self._at = self._at, (now_s, self.program.cpu_ns(), self.read_bytes)
        if before is None:
            return float("nan"), float("nan")
        seconds = now_s - before[0]
        return (self._at[1] - before[1]) / 1e7 / seconds, (self._at[2] - before[2]) / seconds

    def vehicles(self) -> Sequence[dict[str, Any]]:
        """Every row, as the interface lists them."""
        with urllib.request.urlopen(f"{self.url}api/vehicles", timeout=10) as answer:  # noqa: S310 - our own
            rows: list[dict[str, Any]] = json.load(answer)["vehicles"]
        return rows

    def _read(self, stream: str) -> None:
        with suppress(OSError, ValueError), urllib.request.urlopen(self.url + stream) as answer:  # noqa: S310
            while data := answer.read1(1 << 16):
                self.read_bytes += len(data)


def headline(rows: Sequence[dict[str, Any]]) -> Headline:
    """What the first line of the page has to say."""
    locked = {row["vehicle"] for row in rows if row["fresh"] and row["state"] == "locked"}
    return Headline(len({row["vehicle"] for row in rows}), len(locked))


def oldest_s(rows: Sequence[dict[str, Any]]) -> float:
    """How old the oldest of all newest results is: the server is not behind."""
    return max((float(row["result_age_s"]) for row in rows if row["result_age_s"] is not None), default=0.0)
