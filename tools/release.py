"""`python -m tools.release VERSION`: refuse it where a file names another version, and print its notes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACES = {
    "pyproject.toml": r'^version = "(.*)"$',
    "distributions/tidesync-pi/pyproject.toml": r'^version = "(.*)"',
    "deploy/blueos/Dockerfile": r"^ARG VERSION=(.*)$",
    "deploy/docker-bake.hcl": r'^variable "VERSION" \{ default = "(.*)" \}$',
}
"""Where the version is written; one more is the requirement on tidesync-pi."""


def faults(version: str) -> list[str]:
    """What must be changed before `version` can be released."""
    found = []
    for name, pattern in PLACES.items():
        here = re.findall(pattern, (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
        if here != [version]:
            found.append(f"{name}: expected version {version}, found {', '.join(here) or 'none'}")
    if f'"tidesync-pi=={version}"' not in (ROOT / "pyproject.toml").read_text(encoding="utf-8"):
        found.append(f"pyproject.toml: expected the requirement tidesync-pi=={version}")
    if not notes(version):
        found.append(f"CHANGELOG.md: expected a section ## [{version}] - YYYY-MM-DD with what users notice")
    return found


def notes(version: str) -> str:
    """The section of the changelog, without its heading; empty where there is none."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n"
    section = re.search(rf"{heading}(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return section[1].strip() if section else ""


def main(arguments: list[str]) -> int:
    """0, with the notes on standard output; 1, with what is wrong; 2: wrong usage."""
    if len(arguments) != 1:
        print("usage: python -m tools.release VERSION", file=sys.stderr)
        return 2
    wrong = faults(arguments[0])
    for fault in wrong:
        print(fault, file=sys.stderr)
    if not wrong:
        print(notes(arguments[0]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
