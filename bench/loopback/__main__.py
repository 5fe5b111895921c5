"""`python -m bench.loopback --base FOLDER`: both versions' agents through one mosquitto, at the same time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from bench.stamps.__main__ import mosquitto
from bench.tables import markdown_table, number, tell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from paho.mqtt.client import MQTTMessage

RATES_PPM = (0, 500, 20_000, 50_000, 83_333)
SETTLE_S = 15.0
MOST_WHILE_SLEWED = 1.10
_HERE = Path(__file__).parents[2]
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--base", required=True, type=_FOLDER, help="A checkout of the earlier version.")
@click.option("--seconds", default=60.0, show_default=True, help="How long to measure.")
@click.option("--markdown", type=_FILE, help="Write the page here.")
@click.option("--json", "json_path", type=_FILE, help="Write the figures here.")
def main(base: Path, seconds: float, markdown: Path | None, json_path: Path | None) -> None:
    """Measure the half-width of every result of both versions; the slews are of simulated Pi clocks."""
    found = {name: median(widths) for name, widths in measure(base, seconds).items()}
    tell(found, page(found, seconds), markdown, json_path)


def measure(base: Path, seconds: float) -> dict[str, list[float]]:
    """Half the width of each result (ms), by version and rate."""
    found: dict[str, list[float]] = {}
    with ExitStack() as stack:
        url = stack.enter_context(mosquitto())
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for version, folder in (("base", base), ("ours", _HERE)):
            start = partial(_start, stack, folder, logs / f"{version}.log", url, version)
            start("topside", "--topside", "top")
            for rate_ppm in RATES_PPM:
                slew = ["--simulate-slew", f"1:{rate_ppm}:3600"] if rate_ppm and version == "ours" else []
                start("pi", "--vehicle", f"at{rate_ppm}", "--no-http", "--simulate-offset-s", "1", *slew)
        time.sleep(SETTLE_S)
        client = Client(CallbackAPIVersion.VERSION2)
        client.on_message = lambda _client, _data, message: _note(found, message)
        client.connect("127.0.0.1", urlsplit(url).port or 1883)
        client.subscribe("+/v1/vehicle/+/offset/top")
        client.loop_start()
        stack.callback(client.loop_stop)
        time.sleep(seconds)
    return found


def _start(stack: ExitStack, folder: Path, log: Path, url: str, root: str, *arguments: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(folder), "TIDESYNC_CLOCK_JOURNAL": "none"}
    if root == "base":
        del environment["TIDESYNC_CLOCK_JOURNAL"]
    command = [sys.executable, "-m", "tidesync", *arguments, "--broker", url, "--topic-root", root]
    output = stack.enter_context(log.open("ab"))
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
    stack.callback(process.wait)
    stack.callback(process.terminate)


def _note(found: dict[str, list[float]], message: MQTTMessage) -> None:
    version, _, _, vehicle, *_ = message.topic.split("/")
    result = json.loads(message.payload)
    if result["state"] in {"locked", "acquiring"} and not message.retain:
        half_ms = (result["upper_ms"] - result["lower_ms"]) / 2
        found.setdefault(f"{version} {vehicle.removeprefix('at')}", []).append(half_ms)


def page(found: Mapping[str, float], seconds: float) -> str:
    """The page: medians, ratios, verdicts."""
    rest = [found[f"base {rate}"] for rate in RATES_PPM]
    before_ms = median(rest)
    table = markdown_table(
        ["Pi's clock slewed by, ppm", "ours, ms", "before, at rest, ms", "ratio", "verdict"],
        [_row(rate, found[f"ours {rate}"], before_ms) for rate in RATES_PPM],
    )
    lines = (
        "# The bound on loopback",
        "",
        "Made by `python -m bench.loopback --base FOLDER`, FOLDER being a checkout of commit 52d73ed: one",
        "topside and five vehicles of each version, 4 exchanges a second each, through one mosquitto in the",
        f"same {seconds:.0f} s. Medians of half the width of [lower, upper]. All clocks are simulated.",
        "The earlier version's rest; ours are slewed at the rates named. At most 1 is allowed at rest,",
        f"{MOST_WHILE_SLEWED:g} while slewed.",
        "",
        table,
        "",
        f"The earlier version's five vehicles were between {number(min(rest))} and {number(max(rest))} ms.",
        "",
    )
    return "\n".join(lines)


def _row(rate: int, ours_ms: float, before_ms: float) -> Sequence[Any]:
    ratio, most = ours_ms / before_ms, MOST_WHILE_SLEWED if rate else 1.0
    verdict = "pass" if ratio <= most else "FAIL"
    return [f"{rate}", number(ours_ms), number(before_ms), f"{ratio:.2f}", verdict]


if __name__ == "__main__":
    main()
