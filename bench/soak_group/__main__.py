"""`python -m bench.soak_group`: prints every fault and figure; exit code 1 when one is not as required."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bench.peers.processes import exit_on_terminate
from bench.peers.run import machine
from bench.soak_group.document import as_json, document
from bench.soak_group.run import Soak
from bench.soak_group.setup import Plan
from bench.tables import tell


def main() -> int:
    exit_on_terminate()
    arguments = _arguments()
    plan = Plan(faults=arguments.faults, vehicles=arguments.vehicles, seed=arguments.seed)
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="soak-group-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{plan}\nin {folder}", flush=True)
    soak = Soak(plan, folder, lambda line: print(line, flush=True))
    verdict = soak.run()
    tell(
        as_json(plan, machine(), soak.faults, verdict),
        document(plan, machine(), verdict),
        arguments.markdown,
        arguments.json,
    )
    for each in verdict.requirements:
        print(f"{'holds ' if each.holds else 'FAILED'} {each.wanted}: {each.found}", flush=True)
    return 1 if verdict.failures else 0


def _arguments() -> argparse.Namespace:
    planned = Plan()
    parser = argparse.ArgumentParser(prog="python -m bench.soak_group", description=__doc__)
    parser.add_argument("--faults", type=int, default=planned.faults)
    parser.add_argument("--vehicles", type=int, default=planned.vehicles)
    parser.add_argument("--seed", type=int, default=planned.seed)
    parser.add_argument("--folder", type=Path, help="to keep everything in; else a temporary one")
    parser.add_argument("--markdown", type=Path, help="where to write the page")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
