"""`tidesync doctor`: what usually goes wrong, looked at one by one, each with what to do about it."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections import Counter
from typing import TYPE_CHECKING

import click

from tidesync.doctor.run import examine
from tidesync.doctor.settings import DoctorSettings
from tidesync.settings import with_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.doctor.finding import Finding

_COLOURS = {"ok": "green", "warn": "yellow", "FAIL": "red", "skipped": "bright_black"}
_NARROWEST, _WIDEST = 60, 110
_CHECK_WIDTH = 22


@click.command("doctor")
@with_settings(DoctorSettings)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(settings: DoctorSettings, *, as_json: bool) -> int:
    """Look at the broker, the fleet, the clocks and this computer; say what to do about what is wrong.

    Exit code 1 if anything fails. Give it an account that no agent uses: a broker that binds clients to
    accounts throws out the older of two.
    """
    findings: list[Finding] = []
    for group, found in examine(settings):
        findings += found
        if not as_json:
            _print_group(group, found)
    failed = sum(finding.verdict == "FAIL" for finding in findings)
    if as_json:
        document = {"ok": not failed, "findings": [finding.document() for finding in findings]}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo("\n" + _verdict(findings))
    return 1 if failed else 0


def _print_group(group: str, findings: Sequence[Finding]) -> None:
    click.secho(f"\n{group}", bold=True)
    width = max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size((100, 24)).columns))
    for finding in findings:
        verdict = click.style(
            f"{finding.verdict:<7}", fg=_COLOURS[finding.verdict], bold=finding.verdict != "ok"
        )
        indent = 11
        body = f"{finding.check:<{_CHECK_WIDTH}} {finding.found}"
        lines = textwrap.wrap(
            body, width - indent, subsequent_indent=" " * (_CHECK_WIDTH + 1), break_long_words=False
        )
        click.echo(f"  {verdict}  {lines[0]}")
        for line in lines[1:]:
            click.echo(" " * indent + line)
        if finding.advice:
            arrow = textwrap.wrap(finding.advice, width - indent - _CHECK_WIDTH - 3, break_long_words=False)
            for mark, line in zip(["→ ", *["  "] * len(arrow)], arrow, strict=False):
                click.echo(" " * (indent + _CHECK_WIDTH + 1) + mark + line)


def _verdict(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.verdict for finding in findings)
    worst = next((verdict for verdict in ("FAIL", "warn") if counts[verdict]), "ok")
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in _COLOURS if counts[verdict])
    return click.style(f"{len(findings)} checks: {told}", fg=_COLOURS[worst], bold=True)
