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
_CHECK_WIDTH = 21
_TEXT_AT = 2 + 7 + 2 + _CHECK_WIDTH + 2


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
    width = max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size((100, 24)).columns)) - _TEXT_AT
    for finding in findings:
        colour, strong = _COLOURS[finding.verdict], finding.verdict in {"warn", "FAIL"}
        verdict = click.style(f"{finding.verdict:<7}", fg=colour, bold=strong)
        first, *more = _wrapped(finding.found, width)
        click.echo(f"  {verdict}  {finding.check:<{_CHECK_WIDTH}}  {first}")
        more += [
            f"{'→ ' if not n else '  '}{line}"
            for n, line in enumerate(_wrapped(finding.advice or "", width - 2))
        ]
        for line in more:
            click.echo(" " * _TEXT_AT + line)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _verdict(findings: Sequence[Finding]) -> str:
    counts = Counter[str](finding.verdict for finding in findings)
    worst = next((verdict for verdict in ("FAIL", "warn") if counts[verdict]), "ok")
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in _COLOURS if counts[verdict])
    return click.style(f"{len(findings)} checks: {told}", fg=_COLOURS[worst], bold=True)
