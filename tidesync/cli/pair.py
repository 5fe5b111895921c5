"""`tidesync pair VEHICLE OTHER SESSION`: how far two vehicles' clocks were apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from schemas.instants import iso_from_ns
from schemas.names import vehicle_name
from tidesync.errors import NotSoError, SettingsError, named
from tidesync.figures import counted
from tidesync.library.pair import pair
from tidesync.library.session import open_session
from tidesync.sessions.errors import SessionError, UsageError

if TYPE_CHECKING:
    from tidesync.library.pair import Pair


@click.command("pair")
@click.argument("vehicle")
@click.argument("other")
@click.argument("session", type=click.Path(path_type=Path))
@click.option(
    "--every-s", default=1.0, show_default=True, metavar="SECONDS", help="Between two instants of the answer."
)
@click.option("--topside", metavar="NAME", help="Whose measurements are used, where there are several.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, with every instant.")
def command(
    vehicle: str, other: str, session: Path, *, every_s: float, topside: str | None, as_json: bool
) -> int:
    """Show how far the clock of OTHER was ahead of that of VEHICLE in a recorded session, and how surely.

    Both were measured by one topside. Exit code 1 where they are never known together, or where the way from
    one clock over topside's to the other's and back does not end where it began, within its error.
    """
    names = named("VEHICLE", vehicle_name, vehicle), named("OTHER", vehicle_name, other)
    if not session.is_dir():
        raise SettingsError(f"SESSION: there is no folder {str(session)!r}")
    try:
        found = pair(open_session(session, topside=topside), *names, every_s=every_s)
    except UsageError as error:
        raise SettingsError(str(error)) from error
    except SessionError as error:
        raise NotSoError(str(error)) from error
    click.echo(json.dumps(_document(found, *names)) if as_json else _text(found, *names))
    if found.loop.worst_share > 1:
        raise NotSoError(
            f"the way {names[0]}, topside, {names[1]}, topside, {names[0]} ends {found.loop.worst_ns} ns from"
            f" where it began, {found.loop.worst_share:.2f} times what its errors allow: the measurements"
            " contradict each other"
        )
    return 0


def _document(found: Pair, vehicle: str, other: str) -> dict[str, object]:
    columns = (found.topside_unix_ns, found.offset_ns, found.max_error_ns, found.u95_ns)
    return {
        "vehicle": vehicle,
        "other": other,
        "unknown": found.unknown,
        "loop": found.loop._asdict(),
        "instants": [
            {
                "topside_unix_ns": at_ns,
                "offset_ns": offset_ns,
                "max_error_ns": round(max_error_ns),
                "u95_ns": None if np.isnan(u95_ns) else round(u95_ns),
            }
            for at_ns, offset_ns, max_error_ns, u95_ns in zip(
                *(each.tolist() for each in columns), strict=True
            )
        ],
    }


def _text(found: Pair, vehicle: str, other: str) -> str:
    last, errors_ms = -1, found.max_error_ns / 1e6
    where = "ahead of" if found.offset_ns[last] >= 0 else "behind"
    at = iso_from_ns(int(found.topside_unix_ns[last]))
    known = counted(found.offset_ns.size, "instant")
    unknown = f"; {found.unknown} more at which one is not known" if found.unknown else ""
    loops = counted(found.loop.instants, "instant")
    lines = [
        f"{other} is {abs(found.offset_ns[last]) / 1e6:.6f} ms {where} {vehicle} at {at} (topside's clock),",
        f"max error {errors_ms[last]:.6f} ms.",
        f"{known}{unknown}: max error {np.median(errors_ms):.6f} ms in the middle,",
        f"{errors_ms.max():.6f} at the most.",
        f"The way over topside to {other} and back ends within {found.loop.worst_ns} ns of where it began,",
        f"{found.loop.worst_share:.0%} of what its errors allow, at {loops}.",
    ]
    return "\n".join(f"{begin} {end}" for begin, end in zip(lines[::2], lines[1::2], strict=True))
