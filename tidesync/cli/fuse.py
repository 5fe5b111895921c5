"""`tidesync fuse`: a session's corrected tables on one time axis."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from tidesync.cli.durations import Duration
from tidesync.cli.progress import Progress
from tidesync.cli.table_options import show_unused, table_options
from tidesync.errors import NotSoError, SettingsError
from tidesync.figures import counted
from tidesync.sessions.correction.driver import total_bytes
from tidesync.sessions.correction.prepared import prepare
from tidesync.sessions.errors import SessionError, UnknownVehicleError
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.fuse.axis import NO_ROW, Manner
from tidesync.sessions.fuse.session import Fusion, fuse
from tidesync.sessions.fuse.writers import WRITERS, require

if TYPE_CHECKING:
    from tidesync.sessions.correction.session import Options
    from tidesync.sessions.fuse.pairing import Method

_METHODS = ("nearest", "linear")


@click.command("fuse")
@click.argument("session", type=click.Path(file_okay=False, path_type=Path))
@click.option("--every", "every_ns", type=Duration(), metavar="DURATION", help="An instant every 100ms, say.")
@click.option("--on", metavar="SENSOR", help="An instant at each of its rows  [default: inWater]")
@click.option(
    "--tolerance",
    "tolerance_ns",
    type=Duration(zero=True),
    default="50ms",
    show_default=True,
    metavar="DURATION",
    help="How far a row may be from an instant.",
)
@click.option(
    "--method",
    type=click.Choice(_METHODS),
    default="nearest",
    show_default=True,
    help="The nearest row as it is written; or for numbers the line between the rows before and after.",
)
@table_options
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="What to write: .csv, .parquet or .nc.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    *,
    session: Path,
    every_ns: int | None,
    on: str | None,
    tolerance_ns: int,
    method: str,
    options: Options,
    out: Path,
    as_json: bool,
) -> int:
    """Correct SESSION's tables and put their rows on one time axis, topside's.

    Columns: timestamp_topside; of each sensor SENSOR.COLUMN and SENSOR.age_ms; time_max_error_ms and
    time_state of all rows at that instant; both are empty where no sensor has a row, which the summary counts
    as `none`. `surface` is taken to be stamped by topside, `inWater` by the only vehicle that was measured.
    """
    if not session.is_dir():
        raise SettingsError(f"SESSION: there is no folder {session}")
    if every_ns is not None and on is not None:
        raise SettingsError(f"--every and --on {on}: expected one of them")
    suffix = out.suffix.lower()
    if suffix not in WRITERS:
        raise SettingsError(
            f"--out: expected a name that ends in {', '.join(WRITERS)}, received {str(out)!r}"
        )
    require(suffix)
    axis = on if every_ns is not None else on or "inWater"
    manner = Manner(every_ns, axis, tolerance_ns, cast("Method", method))
    with Progress("Fusing") as progress:
        fusion = _fuse(session, options, manner, out, progress)
    _show(fusion, session, out, as_json=as_json)
    if failed := [*fusion.failed, *fusion.unpaired()]:
        raise NotSoError("; ".join(failed))
    return 0


def _fuse(session: Path, options: Options, manner: Manner, out: Path, progress: Progress) -> Fusion:
    try:
        prepared = prepare(SessionFolder(session), options, whole=True)
        show_unused(prepared)
        inputs = [job.path.resolve() for job in prepared.jobs]
        if out.resolve() in inputs:
            raise SettingsError(f"--out {out}: it is one of the tables to be read")
        progress.length = 2 * total_bytes(prepared.jobs, prepared.timelines)
        named = frozenset(path.resolve() for path in options.files)
        fusion = fuse(prepared, manner, named, progress.update)
        fusion.write(out, progress.update)
    except UnknownVehicleError as error:
        raise SettingsError(str(error)) from error
    except SessionError as error:
        raise NotSoError(str(error)) from error
    except OSError as error:
        raise NotSoError(
            f"{error.filename or out}: {error.strerror or error}; nothing was written"
        ) from error
    return fusion


def _show(fusion: Fusion, session: Path, out: Path, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"session": str(session), "output": str(out), **fusion.document()}))
        return
    for line in fusion.lines():
        click.echo(line)
    states = fusion.result.counts()
    without = states.pop(NO_ROW)
    counts = [f"{number} {state}" for state, number in states.items() if number]
    counts += [f"{without} {NO_ROW} (no sensor has a row there)"] if without else []
    click.echo(f"{out}: {counted(fusion.result.instants_ns.size, 'instant')}: {', '.join(counts) or '0'}")
