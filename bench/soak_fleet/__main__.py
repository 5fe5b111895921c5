"""`python -m bench.soak_fleet`: prints every fault and figure; exit code 1 when one is not as required."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bench.peers.run import machine
from bench.soak_fleet.document import as_json, document
from bench.soak_fleet.plan import Plan
from bench.soak_fleet.run import Soak
from bench.tables import tell


def main() -> int:
    arguments = _arguments()
    plan = Plan(arguments.minutes * 60, arguments.seed, browser=arguments.browser)
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="soak-fleet-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{plan}\nin {folder}", flush=True)
    soak = Soak(plan, folder, lambda line: print(line, flush=True))
    verdict = soak.run()
    found = plan, machine(), soak.healings, verdict
    tell(as_json(*found), document(*found), arguments.markdown, arguments.json)
    return 1 if verdict.failures else 0


def _arguments() -> argparse.Namespace:
    planned = Plan()
    parser = argparse.ArgumentParser(prog="python -m bench.soak_fleet", description=__doc__)
    parser.add_argument("--minutes", type=float, default=planned.seconds / 60)
    parser.add_argument("--seed", type=int, default=planned.seed)
    parser.add_argument("--browser", action="store_true", help="let Chromium watch the dashboard")
    parser.add_argument("--folder", type=Path, help="to keep everything in; else a temporary one")
    parser.add_argument("--markdown", type=Path, help="where to write the page")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
