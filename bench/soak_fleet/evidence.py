"""What is kept of a soak that failed: the recorder's files, and what was missing, wrong or late, as JSON."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.soak_fleet.fleet import Fleet
    from bench.soak_fleet.missing import Missing
    from bench.soak_fleet.observer import Identity
    from bench.soak_fleet.verdict import Healing


def keep(fleet: Fleet, healings: list[Healing], missing: Missing) -> None:
    """Copy the recorder's root, whose file system ends with the soak, and write `evidence.json`."""
    shutil.copytree(fleet.root, fleet.folder / "recorded", dirs_exist_ok=True)
    heard = fleet.observer.heard

    def shown(key: Identity) -> dict[str, Any]:
        return {"heard_at_s": heard.at_s[key], **heard.exchanges[key].model_dump(mode="json")}

    evidence: dict[str, Any] = {
        "healings": [asdict(healing) for healing in healings],
        "missing": {"named": [*map(shown, missing.named)], "unnamed": [*map(shown, missing.unnamed)]},
        "wrong": [
            {
                "at_s": one.at_s,
                "beyond_ms": one.beyond_ms,
                "instants_ns": one.instants_ns,
                "result": one.result.model_dump(mode="json"),
            }
            for one in heard.wrong
        ],
        "lives": {
            name: [{"pid": life.pid, "began_s": life.began_s} for life in program.lives]
            for name, program in fleet.programs.items()
        },
    }
    (fleet.folder / "evidence.json").write_text(json.dumps(evidence, indent=1))
