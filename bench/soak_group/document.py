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
    from bench.soak_group.takeovers import Takeover
    from bench.soak_group.verdict import GroupVerdict

_PAGE = """# Topsides that share a fleet, under random faults

Made by `make soak-group ARGS="--faults {plan.faults} --vehicles {plan.vehicles} --seed {plan.seed}"` with
Tidesync {version}, on {machine}: {topsides} topsides of one group and of equal weights, each a process
behind a proxy of its own, mosquitto, and {plan.vehicles} stand-ins for vehicles, each measured
{plan.rate_hz:g} times a second. All run on one machine and its clock, so the truth is known of every result.

A fault is a topside that is killed (SIGKILL), stopped (SIGSTOP), cut off (its connection carries nothing and
is not closed) or ended orderly, for 0.5 to 8.5 s; then it is started, continued, connected again. The next
one comes up to 13 s later, settled or not; four times in a hundred nothing happens for 45 s before it.
*Measured again* is from the fault to the next answer of the vehicle that waited longest, to another topside
or to the same one after the fault. *Measured by two* counts
answers to both, since the last fault began or ended. The first bound after a takeover is compared with the
median of 10 s before it, where the owner alone had measured the vehicle for so long and its standby was
undisturbed: one that was started less than a minute ago knows less than the owner did, since the bound rests
on the least delays. The max error depends on where in the bound the offset is, too.

{requirements}

{wide}{figures}
"""


def document(plan: Plan, machine: str, verdict: GroupVerdict) -> str:
    """The whole page."""
    return _PAGE.format(
        plan=plan,
        version=VERSION,
        machine=machine,
        topsides=len(WEIGHTS),
        requirements=markdown_table(
            ("required", "found", "holds"),
            [(each.wanted, each.found, "yes" if each.holds else "**no**") for each in verdict.requirements],
        ),
        wide=_wide(verdict),
        figures=markdown_table(
            ("figure", "value"), [(name, f"{value:g}") for name, value in verdict.figures.items()]
        ),
    )


def _wide(verdict: GroupVerdict) -> str:
    """The takeovers after which the bound was too wide, by fault."""
    by_fault: dict[tuple[int, str], list[Takeover]] = {}
    for each in verdict.wide:
        by_fault.setdefault((each.fault, each.kind), []).append(each)
    if not by_fault:
        return ""
    rows = [
        (
            f"{number + 1}, {kind}",
            str(len(some)),
            f"{min(each.followed_s for each in some):.0f} to {max(each.followed_s for each in some):.0f}",
            f"{max(each.width for each in some):.2f}",
        )
        for (number, kind), some in by_fault.items()
    ]
    titles = ("fault after which bounds were wider", "vehicles", "s followed before", "greatest ratio")
    return markdown_table(titles, rows) + "\n\n"


def as_json(plan: Plan, machine: str, faults: Sequence[Fault], verdict: GroupVerdict) -> dict[str, Any]:
    """Everything that was found."""
    return {
        "version": VERSION,
        "machine": machine,
        "plan": plain(plan),
        "faults": [
            plain(fault._replace(vehicles=())) | {"vehicles": len(fault.vehicles)} for fault in faults
        ],
        "requirements": [plain(each) for each in verdict.requirements],
        "wide": [plain(each) for each in verdict.wide],
        "figures": verdict.figures,
        "failures": verdict.failures,
    }
