"""`python -m bench.soak_fleet`: prints every fault and figure; exit code 1 when one is not as required."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bench.soak_fleet.plan import Plan
from bench.soak_fleet.run import Soak


def main() -> int:
    arguments = _arguments()
    plan = Plan(arguments.minutes * 60, arguments.seed, browser=arguments.browser)
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="soak-fleet-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{plan}\nin {folder}", flush=True)
    verdict = Soak(plan, folder, lambda line: print(line, flush=True)).run()
    for name, value in verdict.figures.items():
        print(f"{name:44} {value:12g}")
    for failure in verdict.failures:
        print(f"FAILED {failure}")
    print("failed" if verdict.failures else "all is well")
    return 1 if verdict.failures else 0


def _arguments() -> argparse.Namespace:
    planned = Plan()
    parser = argparse.ArgumentParser(prog="python -m bench.soak_fleet", description=__doc__)
    parser.add_argument("--minutes", type=float, default=planned.seconds / 60)
    parser.add_argument("--seed", type=int, default=planned.seed)
    parser.add_argument("--browser", action="store_true", help="let Chromium watch the dashboard")
    parser.add_argument("--folder", type=Path, help="to keep everything in; else a temporary one")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
