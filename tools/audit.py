"""`python -m tools.audit`: look up the locked versions in a vulnerability database, with pip-audit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "requirements"
LOCKS = tuple(FOLDER / name for name in ("dev.lock", "release.lock", "docs.lock"))
"""Hold every version that any other lock holds."""
_NAMES = ", ".join(lock.name for lock in LOCKS)


def main() -> int:
    """0: none is known. 1: some are, or it could not be found out. 2: pip-audit is missing."""
    program = shutil.which("pip-audit")
    if program is None:
        print("pip-audit is not installed: pipx install pip-audit (outside .venv; it is in no lock)")
        return 2
    options = ["--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json"]
    asked = subprocess.run(  # noqa: S603 - found on the path
        [program, *options, *(f"--requirement={lock}" for lock in LOCKS)],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        packages = json.loads(asked.stdout)["dependencies"]
        looked_up = [each for each in packages if "skip_reason" not in each]
        found = [(each["name"], each["version"], flaw) for each in looked_up for flaw in each["vulns"]]
    except (ValueError, KeyError, TypeError):
        why = (asked.stderr.strip().splitlines() or [f"exit code {asked.returncode}"])[-1]
        print(f"whether {_NAMES} has known vulnerabilities could not be found out: {why[:300]}")
        return 1
    for name, version, flaw in found:
        print(
            f"{name} {version}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'no version yet'}"
        )
    skipped = [f"{each['name']} ({each['skip_reason']})" for each in packages if "skip_reason" in each]
    if skipped:
        print(f"not looked up: {', '.join(skipped)}")
    print(f"{len(looked_up)} versions of {_NAMES}: {len(found)} known vulnerabilities")
    return 1 if found or skipped or not packages or asked.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
