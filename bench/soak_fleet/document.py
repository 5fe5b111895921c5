"""docs/lab/bench-soak-fleet.md and .json: what a soak found, and how soon each kind of fault had healed."""

from __future__ import annotations

from dataclasses import asdict
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.soak_fleet.plan import NAMED_TWICE
from bench.tables import markdown_table, number
from runtime.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.soak_fleet.plan import Plan
    from bench.soak_fleet.verdict import Healing
    from bench.soak_recorder.verdict import Verdict

_INTRODUCTION = """# A fleet under random faults

Made by `make soak-fleet ARGS="--minutes {minutes:g} --seed {seed}"` with Tidesync {version}, on {machine}:
three vehicles, two topsides, a recorder and a dashboard, each a process on a link of its own,
mosquitto{browser}. A fault begins every {every:g} s. The clocks of all vehicles and of one topside are
simulated: they are stepped, slewed and suspended besides, so that the truth is known of every result and row.

A fault has healed when every vehicle has a `locked` result by every topside that was measured after its end,
the recorder records without an alarm, and the dashboard is healthy; within {heal:g} s is required.
"""

_FOUND = """
## What was found

*Heard* is what a subscriber that nobody disturbs received. Rows were stamped by the vehicles 50 times a
second all along, and corrected afterwards by the topside that was never killed. Growth is of processes that
ran for more than ten minutes, from five and a half minutes after their start to their end.

Only {named_twice} gets namesakes. Rows from ten seconds before to ten after one are `ambiguous`, and so is
what a boot measured that was not heard before the first of them: each kill of {named_twice} makes one.
"""


def document(plan: Plan, machine: str, healings: Sequence[Healing], verdict: Verdict) -> str:
    """The whole page."""
    introduction = _INTRODUCTION.format(
        minutes=plan.seconds / 60,
        seed=plan.seed,
        version=VERSION,
        machine=machine,
        browser=", and Chromium that shows the dashboard" if plan.browser else "",
        every=plan.every_s,
        heal=plan.heal_s,
    )
    figures = markdown_table(
        ("figure", "value"), [(name, f"{value:g}") for name, value in verdict.figures.items()]
    )
    failures = "\n".join(f"- {failure}" for failure in verdict.failures) or "Nothing."
    return "\n".join(
        [
            introduction,
            _healing_table(healings),
            _FOUND.format(named_twice=NAMED_TWICE),
            figures,
            "\n## What failed\n",
            failures,
            "",
        ]
    )


def _healing_table(healings: Sequence[Healing]) -> str:
    rows = []
    for kind in sorted({healing.kind for healing in healings}):
        took_s = [healing.took_s for healing in healings if healing.kind == kind]
        rows.append((kind, str(len(took_s)), number(median(took_s)), number(max(took_s))))
    return markdown_table(("fault", "times", "healed after, s (median)", "at most, s"), rows)


def as_json(plan: Plan, machine: str, healings: Sequence[Healing], verdict: Verdict) -> dict[str, Any]:
    """Everything that was found."""
    return {
        "version": VERSION,
        "machine": machine,
        "plan": asdict(plan),
        "figures": verdict.figures,
        "failures": verdict.failures,
        "healings": [asdict(healing) for healing in healings],
    }
