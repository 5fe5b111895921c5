"""The figures of an earlier run, from its JSON: what is not measured again stays."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench.cost.agent import Agent
from bench.cost.document import Figures
from bench.cost.large import Large
from bench.cost.pairs import Pair
from bench.cost.parts import Part
from bench.cost.scale import Load

if TYPE_CHECKING:
    from pathlib import Path


def read_figures(path: Path | None) -> Figures | None:
    """None where there are none; the verdicts are left out."""
    if path is None or not path.exists():
        return None
    made = json.loads(path.read_text(encoding="utf-8"))
    return Figures(
        made["machine"],
        made["load_before"],
        made["seconds"],
        made["warm_up_s"],
        [Pair(**each) for each in made["pairs"]],
        Agent(**made["agent"]) if made["agent"] else None,
        [Load(**each) for each in made["loads"]],
        [Part(**each) for each in made["parts"]],
        (),
        [Large(**each) for each in made.get("larges", ())],
    )
