"""All checks, by group, in the order in which one looks."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from broker.errors import CredentialsError
from runtime.clock import SystemClock, read
from runtime.logs import broker_log_at
from tidesync.doctor.broker_checks import broker_checks
from tidesync.doctor.certificate_checks import certificate_checks
from tidesync.doctor.clock_checks import clock_checks
from tidesync.doctor.finding import skipped
from tidesync.doctor.fleet_checks import fleet_checks
from tidesync.doctor.machine_checks import machine_checks
from tidesync.doctor.visit import visit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidesync.doctor.finding import Finding
    from tidesync.doctor.settings import DoctorSettings

Group = tuple[str, "Sequence[Finding]"]


def examine(settings: DoctorSettings) -> Iterator[Group]:
    """The groups' names and findings, each as soon as it is known."""
    seen = visit(settings)
    let_in = seen.connect_ms is not None
    refused = isinstance(seen.failure, CredentialsError)
    broker = [*broker_checks(settings, seen), *certificate_checks(settings, datetime.now(UTC))]
    yield f"Broker {settings.address}", broker
    yield "Fleet", [*fleet_checks(seen, read(SystemClock()))]
    yield "Clocks here", [*clock_checks()]
    yield "This computer", [*machine_checks(settings, reached=let_in or refused)]
    yield "An exchange, end to end", [_exchange(settings, reached=let_in, refused=refused)]


def _exchange(settings: DoctorSettings, *, reached: bool, refused: bool) -> Finding:
    try:
        from tidesync.doctor.self_test import exchange_check  # noqa: PLC0415 - numpy is not on every vehicle
    except ModuleNotFoundError as error:
        missing = f"{error.name} is not installed here"
        return skipped(
            "sign of the offset", missing, "run it on the surface computer, or install tidesync[topside]"
        )
    with broker_log_at(logging.CRITICAL):  # the finding says it, our own broker's start included
        return exchange_check(settings, reached=reached, refused=refused)
