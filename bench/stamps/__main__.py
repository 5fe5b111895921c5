"""`python -m bench.stamps`: exchanges through mosquitto, the ways of stamping interleaved."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.stamps.transmit import transmit_stamps
from bench.stamps.ways import WAYS, Requester, Sample, answer_pings, ask, hog
from runtime.listener import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BATCH = 16


def main() -> None:
    arguments = _arguments()
    if arguments.transmit:
        for hogs in arguments.hogs:
            _print_transmit(hogs, arguments.exchanges)
        return
    if arguments.others_first:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    with mosquitto() as url:
        for hogs in arguments.hogs:
            for name, figures in measure(arguments, url, hogs).items():
                print(json.dumps({"hogs": hogs, "way": name} | figures), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.stamps",
        description=__doc__,
        epilog="ways: " + "; ".join(f"{way}: {meaning}" for way, meaning in WAYS.items()),
    )
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=["ours", "plain", "paho"])
    parser.add_argument(
        "--hogs", type=int, nargs="+", default=[0, 2], help="busy processes, a condition each"
    )
    parser.add_argument("--exchanges", type=int, default=400, help="exchanges of each way")
    parser.add_argument("--interval-s", type=float, default=0.02, help="pause before each exchange")
    parser.add_argument("--pairs", action="store_true", help="a second exchange right behind each")
    parser.add_argument(
        "--others-first",
        action="store_true",
        help="broker and requester come before the hogs (SCHED_RR; root)",
    )
    parser.add_argument("--transmit", action="store_true", help="the kernel's transmit stamps instead")
    return parser.parse_args()


def measure(arguments: argparse.Namespace, url: str, hogs: int) -> dict[str, dict[str, float]]:
    with ExitStack() as stack:
        for way in arguments.ways:
            stack.enter_context(background(answer_pings, url, way))
        requesters = {way: ask(url, way) for way in arguments.ways}
        time.sleep(3)
        for _ in range(hogs):
            stack.enter_context(background(hog))
        time.sleep(1)
        singles, seconds = slots(requesters, arguments)
    found = {way: summary(samples) for way, samples in singles.items()}
    if arguments.pairs:
        found |= {f"{way}, second of a pair": summary(samples) for way, samples in seconds.items()}
    return found


def slots(
    requesters: dict[str, Requester], arguments: argparse.Namespace
) -> tuple[dict[str, list[Sample]], dict[str, list[Sample]]]:
    firsts: dict[str, list[Sample]] = {way: [] for way in requesters}
    seconds: dict[str, list[Sample]] = {way: [] for way in requesters}
    for _ in range(arguments.exchanges):
        for way, requester in requesters.items():
            time.sleep(arguments.interval_s)
            for kept in (firsts, seconds)[: 1 + arguments.pairs]:
                taken = requester.exchange()
                if taken:
                    kept[way].append(taken)
    return firsts, seconds


def summary(samples: list[Sample]) -> dict[str, float]:
    errors = sorted(abs(sample.error_ns) for sample in samples)
    delays = sorted(sample.delay_ns for sample in samples)
    batches = [samples[start : start + _BATCH] for start in range(0, len(samples) - _BATCH + 1, _BATCH)]
    least = [abs(min(batch, key=lambda sample: sample.delay_ns).error_ns) for batch in batches]
    figures = {
        "round_trip_p50_us": statistics.median(delays),
        "round_trip_p99_us": delays[len(delays) * 99 // 100],
        "error_p50_us": statistics.median(errors),
        "error_p99_us": errors[len(errors) * 99 // 100],
        "mean_error_us": statistics.mean(sample.error_ns for sample in samples),
        "least_delay_of_16_us": statistics.median(least) if least else 0,
    }
    contradicted = sum(2 * abs(sample.error_ns) > sample.delay_ns + 1000 for sample in samples)
    return {name: round(ns / 1e3, 1) for name, ns in figures.items()} | {
        "exchanges": len(samples),
        "bounds_without_truth": contradicted,
    }


def _print_transmit(hogs: int, count: int) -> None:
    with ExitStack() as stack:
        for _ in range(hogs):
            stack.enter_context(background(hog))
        later, costs = transmit_stamps(count)
    figures: dict[str, float] = {}
    for name, values in (("later", later), ("fetching", costs)):
        values.sort()
        figures |= {
            f"{name}_p50_us": values[len(values) // 2] / 1e3,
            f"{name}_p99_us": values[len(values) * 99 // 100] / 1e3,
        }
    print(json.dumps({"hogs": hogs, "stamps": len(later), "of": count} | figures))


@contextmanager
def background(target: Callable[..., None], *arguments: object) -> Iterator[None]:
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


@contextmanager
def mosquitto() -> Iterator[str]:
    port = free_port("127.0.0.1")
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise SystemExit("mosquitto is not installed")
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "mosquitto.conf")
        config.write_text(f"set_tcp_nodelay true\nlistener {port} 127.0.0.1\nallow_anonymous true\n")
        process = subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        try:
            yield f"mqtt://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
