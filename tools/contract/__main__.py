"""Writes `schemas/published/`, the types in `clients/` and the manual page; `--check` names what is stale."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tools.contract import json_schema, openapi
from tools.contract.asyncapi import asyncapi
from tools.contract.man_page import man_page
from tools.contract.table_schema import offsets_csv
from tools.contract.typescript import with_types

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "schemas" / "published"
CLIENT = ROOT / "clients" / "tidesync.ts"
MAN_PAGE = ROOT / "distributions" / "tidesync-pi" / "tidesync.1"


def contract() -> dict[str, str]:
    """The content of every file, by name."""
    documents: dict[str, dict[str, Any]] = {
        **json_schema.schemas(),
        "offsets.csv.table-schema.json": offsets_csv(),
        "asyncapi.json": asyncapi(),
        **openapi.documents(),
    }
    return {
        name: json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        for name, document in documents.items()
    }


def stale(folder: Path) -> list[str]:
    """The files in `folder` that are missing, out of date, or too many."""
    wanted = contract()
    here = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    return sorted(name for name in wanted.keys() | here.keys() if wanted.get(name) != here.get(name))


def write(folder: Path) -> None:
    """Have `folder` hold the contract and no other JSON."""
    folder.mkdir(exist_ok=True)
    wanted = contract()
    for path in folder.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, content in wanted.items():
        (folder / name).write_text(content, encoding="utf-8")


def client(source: str) -> str:
    """The client in TypeScript with the types as they are now."""
    return with_types(source, openapi.documents()["dashboard.openapi.json"])


def main(arguments: list[str]) -> int:
    """Write, or check."""
    if arguments not in ([], ["--check"]):
        print("usage: python -m tools.contract [--check]", file=sys.stderr)
        return 2
    if not arguments:
        write(FOLDER)
        CLIENT.write_text(client(CLIENT.read_text(encoding="utf-8")), encoding="utf-8")
        MAN_PAGE.write_text(man_page(), encoding="utf-8")
        return 0
    faults = [f"schemas/published/{name}" for name in stale(FOLDER)]
    if client(CLIENT.read_text(encoding="utf-8")) != CLIENT.read_text(encoding="utf-8"):
        faults.append("clients/tidesync.ts")
    if not MAN_PAGE.is_file() or man_page() != MAN_PAGE.read_text(encoding="utf-8"):
        faults.append(str(MAN_PAGE.relative_to(ROOT)))
    for name in faults:
        print(f"{name} is out of date: run `make schemas`", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
