"""docs/lab/soak-group.md and its JSON: what a soak of a group found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.soak_group.setup import WEIGHTS
from bench.tables import markdown_table, plain
from runtime.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.soak_group.run import Fault
    from bench.soak_group.setup import Plan
    from bench.soak_recorder.verdict import Verdict

_PAGE = """# Topsides that share a fleet, under random faults

Made by `make soak-group ARGS="--faults {plan.faults} --vehicles {plan.vehicles} --seed {plan.seed}"` with
Tidesync {version}, on {machine}: {topsides} topsides of one group and of equal weights, each a process
behind a proxy of its own, mosquitto, and {plan.vehicles} stand-ins for vehicles, each measured
{plan.rate_hz:g} times a second. All run on one machine and its clock, so the truth is known of every result.

A fault is a topside that is killed (SIGKILL), stopped (SIGSTOP), cut off (its connection carries nothing and
is not closed) or ended orderly, for 0.5 to 12 s; then it is started, continued, connected again. The next
one comes up to 20 s later, settled or not. *Measured again* is from the fault to the next answer of the
vehicle that waited longest, to another topside or to the same one after the fault. *Measured by two* counts
answers to both, since the last fault began or ended. The first bound after a takeover is compared with the
median of 10 s before it, where the standby had followed the vehicle for 30 s: before that it knows less than
the owner did. The max error depends on where in the bound the offset is, too.

{figures}

## What failed

{failures}
"""


def document(plan: Plan, machine: str, verdict: Verdict) -> str:
    """The whole page."""
    return _PAGE.format(
        plan=plan,
        version=VERSION,
        machine=machine,
        topsides=len(WEIGHTS),
        figures=markdown_table(
            ("figure", "value"), [(name, f"{value:g}") for name, value in verdict.figures.items()]
        ),
        failures="\n".join(f"- {failure}" for failure in verdict.failures) or "Nothing.",
    )


def as_json(plan: Plan, machine: str, faults: Sequence[Fault], verdict: Verdict) -> dict[str, Any]:
    """Everything that was found."""
    return {
        "version": VERSION,
        "machine": machine,
        "plan": plain(plan),
        "faults": [
            plain(fault._replace(vehicles=())) | {"vehicles": len(fault.vehicles)} for fault in faults
        ],
        "figures": verdict.figures,
        "failures": verdict.failures,
    }
