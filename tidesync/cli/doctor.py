"""`tidesync doctor`: checks for the usual faults, each with advice."""

from __future__ import annotations

import json
import logging
import shutil
import textwrap
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

import click

from broker.errors import CredentialsError
from runtime.clock import SystemClock, read
from runtime.logs import broker_log_at
from schemas.compat import UTC
from tidesync.doctor.broker_checks import broker_checks
from tidesync.doctor.certificate_checks import certificate_checks
from tidesync.doctor.clock_checks import clock_checks
from tidesync.doctor.finding import skipped
from tidesync.doctor.fleet_checks import fleet_checks
from tidesync.doctor.grouping import grouped
from tidesync.doctor.machine_checks import machine_checks
from tidesync.doctor.observations import observe
from tidesync.doctor.other_brokers import other_brokers
from tidesync.doctor.settings import DoctorSettings
from tidesync.settings import with_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidesync.doctor.finding import Finding

_COLOURS = {"ok": "green", "warn": "yellow", "FAIL": "red", "skipped": "bright_black"}
_NARROWEST, _WIDEST = 60, 110
_CHECK_WIDTH = 21
_TEXT_AT = 2 + 7 + 2 + _CHECK_WIDTH + 2


@click.command("doctor")
@with_settings(DoctorSettings)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(settings: DoctorSettings, *, as_json: bool) -> int:
    """Check the broker, the fleet, the clocks and this computer, and advise on what is wrong.

    Exit code 1 if any check fails. Give it an account that no agent uses: a broker that binds clients to
    accounts disconnects the older of two.
    """
    findings: list[Finding] = []
    for group, found in _examine(settings):
        findings += found
        if not as_json:
            _print_group(group, grouped(found))
    failed = sum(finding.verdict == "FAIL" for finding in findings)
    if as_json:
        document = {"ok": not failed, "findings": [finding.document() for finding in findings]}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo("\n" + _verdict(findings))
    return 1 if failed else 0


def _examine(settings: DoctorSettings) -> Iterator[tuple[str, Sequence[Finding]]]:
    """The groups' names and findings, each as soon as it is known."""
    seen = observe(settings)
    asked = settings.alternatives
    settings = next((each for each in asked if each.address == seen.address), asked[0])
    let_in = seen.connect_ms is not None
    refused = isinstance(seen.failure, CredentialsError)
    broker = [*broker_checks(settings, seen), *certificate_checks(settings, datetime.now(UTC))]
    yield f"Broker {settings.address}", broker
    if others := [each for each in asked if each is not settings]:
        yield "Other brokers", [*other_brokers(others)]
    yield "Fleet", [*fleet_checks(seen, read(SystemClock()))]
    yield "Clocks here", [*clock_checks()]
    yield "This computer", [*machine_checks(settings, reached=let_in or refused)]
    yield "An exchange, end to end", [_self_test(settings, reached=let_in, refused=refused)]


def _self_test(settings: DoctorSettings, *, reached: bool, refused: bool) -> Finding:
    try:
        from tidesync.doctor.self_test import exchange_check  # noqa: PLC0415 - numpy is not on every vehicle
    except ModuleNotFoundError as error:
        missing = f"{error.name} is not installed here"
        return skipped(
            "sign of the offset", missing, "run it on the surface computer, or `pip install tidesync`"
        )
    with broker_log_at(logging.CRITICAL):  # the finding reports it, the start of our own broker included
        return exchange_check(settings, reached=reached, refused=refused)


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
    summary = ", ".join(f"{counts[verdict]} {verdict}" for verdict in _COLOURS if counts[verdict])
    return click.style(f"{len(findings)} checks: {summary}", fg=_COLOURS[worst], bold=True)
