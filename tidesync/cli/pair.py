"""`tidesync pair VEHICLE OTHER [SESSION]`: how far two vehicles' clocks are, or were, apart."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from broker.settings import ConnectionSettings
from schemas.instants import iso_from_ns
from schemas.names import topside_name, vehicle_name
from tidesync.errors import NotSoError, SettingsError, named
from tidesync.figures import counted
from tidesync.library.pair import pair
from tidesync.library.session import open_session
from tidesync.sessions.errors import SessionError, UsageError
from tidesync.sessions.heard import heard_session
from tidesync.settings import with_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tidesync.library.direct_pair import Direct
    from tidesync.library.pair import Loop, Pair

_MOST_ERROR_MS = 10_000.0
"""Wider ones are not given: any that is, is stated."""


@click.command("pair")
@click.argument("vehicle")
@click.argument("other")
@click.argument("session", required=False, type=click.Path(path_type=Path))
@click.option(
    "--every-s", default=1.0, show_default=True, metavar="SECONDS", help="Between two instants of the answer."
)
@click.option(
    "--for-s",
    default=10.0,
    show_default=True,
    type=click.FloatRange(2, 3600),
    help="Seconds to listen, without SESSION.",
)
@click.option("--topside", metavar="NAME", help="Whose measurements are used, where there are several.")
@with_settings(ConnectionSettings)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, with every instant.")
def command(
    settings: ConnectionSettings,
    *,
    vehicle: str,
    other: str,
    session: Path | None,
    every_s: float,
    for_s: float,
    topside: str | None,
    as_json: bool,
) -> int:
    """Show how far the clock of OTHER is ahead of that of VEHICLE, and how surely.

    In the recorded SESSION, or without it now, from what the running topside publishes. Both are measured by
    one topside; one on the computer of VEHICLE or OTHER that measures the other one (`tidesync topside
    --for-pair`) gives the offset directly too. Exit code 1 where they are never known together, or where a
    way round from one clock to the others and back does not end where it began, within its error.
    """
    names = named("VEHICLE", vehicle_name, vehicle), named("OTHER", vehicle_name, other)
    if topside is not None:
        named("--topside", topside_name, topside)
    if names[0] == names[1]:
        raise SettingsError(f"expected two vehicles, received {vehicle!r} twice")
    if session is not None and not session.is_dir():
        raise SettingsError(f"SESSION: there is no folder {str(session)!r}")
    with nullcontext(session) if session else heard_session(settings, names, for_s) as folder:
        try:
            opened = open_session(folder, topside=topside, max_error_ms=_MOST_ERROR_MS)
            found = pair(opened, *names, every_s=every_s)
        except UsageError as error:
            raise SettingsError(str(error)) from error
        except SessionError as error:
            raise NotSoError(str(error)) from error
    click.echo(json.dumps(_document(found, *names)) if as_json else _text(found, *names))
    contradictions = list(_contradictions(found, *names))
    if contradictions:
        raise NotSoError("; ".join(contradictions) + ": the measurements contradict each other")
    return 0


def _contradictions(found: Pair, vehicle: str, other: str) -> Iterator[str]:
    over = f"the way {vehicle}, topside, {other}"
    ways = [(found.loop, f"{over}, topside, {vehicle} ends", "where it began")]
    if found.direct_loop:
        ways.append((found.direct_loop, f"{over} ends", "where the direct one does"))
    for loop, way, end in ways:
        if loop.worst_share > 1:
            yield (f"{way} {loop.worst_ns} ns from {end}, {loop.worst_share:.2f} times what its errors allow")


def _document(found: Pair, vehicle: str, other: str) -> dict[str, object]:
    columns = [found.topside_unix_ns, found.offset_ns, found.max_error_ns, found.u95_ns]
    names = ["topside_unix_ns", "offset_ns", "max_error_ns", "u95_ns"]
    if found.direct:
        columns += [
            np.where(found.direct.known, found.direct.host_unix_ns.astype(object), np.nan),
            np.where(found.direct.known, found.direct.offset_ns.astype(object), np.nan),
            found.direct.max_error_ns,
            found.direct.u95_ns,
        ]
        names += ["host_unix_ns", "direct_offset_ns", "direct_max_error_ns", "direct_u95_ns"]
    return {
        "vehicle": vehicle,
        "other": other,
        "unknown": found.unknown,
        "loop": found.loop._asdict(),
        "direct": _direct_document(found.direct, found.direct_loop),
        "instants": [
            {name: _whole(value) for name, value in zip(names, values, strict=True)}
            for values in zip(*(each.tolist() for each in columns), strict=True)
        ],
    }


def _direct_document(direct: Direct | None, loop: Loop | None) -> dict[str, object] | None:
    if direct is None or loop is None:
        return None
    return {"topside": direct.topside, "host": direct.host, "loop": loop._asdict()}


def _whole(value: float) -> int | None:
    return None if value != value else round(value)  # noqa: PLR0124 - NaN


def _text(found: Pair, vehicle: str, other: str) -> str:
    known = counted(found.offset_ns.size, "instant")
    unknown = f"; {found.unknown} more at which one is not known" if found.unknown else ""
    loop = found.loop
    at = f"{iso_from_ns(int(found.topside_unix_ns[-1]))} (topside's clock)"
    closes = (
        f"The way over topside to {other} and back ends within {loop.worst_ns} ns of where it began,"
        f" {loop.worst_share:.0%} of what its errors allow, at {counted(loop.instants, 'instant')}."
    )
    lines = [
        f"{_apart(found.offset_ns[-1], vehicle, other)} at {at}, max error {_ms(found.max_error_ns[-1])} ms.",
        f"{known}{unknown}: {_errors(found.max_error_ns)}",
        closes,
    ]
    if found.direct and found.direct_loop:
        lines += _direct_text(found.direct, found.direct_loop, vehicle, other)
    return "\n".join(lines)


def _direct_text(direct: Direct, loop: Loop, vehicle: str, other: str) -> list[str]:
    last, errors_ns = int(np.flatnonzero(direct.known)[-1]), direct.max_error_ns[direct.known]
    at = f"{iso_from_ns(int(direct.host_unix_ns[last]))} (the clock of {direct.host})"
    error = f"max error {_ms(direct.max_error_ns[last])} ms"
    return [
        f"Directly, by topside {direct.topside} on the computer of {direct.host}:",
        f"{_apart(direct.offset_ns[last], vehicle, other)} at {at}, {error}.",
        f"{counted(errors_ns.size, 'instant')}: {_errors(errors_ns)}",
        f"Both differ by {loop.worst_ns} ns at the most, {loop.worst_share:.0%} of what their errors allow.",
    ]


def _apart(offset_ns: np.int64, vehicle: str, other: str) -> str:
    where = "ahead of" if offset_ns >= 0 else "behind"
    return f"{other} is {abs(int(offset_ns)) / 1e6:.6f} ms {where} {vehicle}"


def _errors(max_error_ns: NDArray[np.float64]) -> str:
    middle, worst = np.median(max_error_ns), max_error_ns.max()
    return f"max error {_ms(middle)} ms in the middle, {_ms(worst)} at the most."


def _ms(ns: np.float64) -> str:
    return f"{ns / 1e6:.6f}"
