"""The options with which commands find and correct a session's tables."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from schemas.metadata import CONSUMER_TOLERANCE_MS
from schemas.names import vehicle_name
from tidesync.errors import SettingsError
from tidesync.sessions.correction.session import Options
from tidesync.sessions.correction.stamps import UNITS
from tidesync.sessions.correction.table import TextLayout
from tidesync.sessions.names import sensor_vehicles
from topside_agent.estimator import EstimatorSettings

if TYPE_CHECKING:
    from collections.abc import Callable

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

_TABLES = (
    click.option(
        "--sensor",
        "sensors",
        multiple=True,
        metavar="SENSOR=VEHICLE",
        help="Whose clock stamped a sensor, as inWater=rov1 (repeatable)  [default: the metadata's]",
    ),
    click.option(
        "--file",
        "--csv",
        "files",
        multiple=True,
        type=_FILE,
        metavar="FILE",
        help="A further table of any format (repeatable); --csv is its older name.",
    ),
    click.option("--vehicle", metavar="VEHICLE", help="Whose clock stamped the tables given with --file."),
)
_STAMPS = (
    click.option("--column", default="timestamp", show_default=True, help="The column to correct."),
    click.option("--unit", type=click.Choice(UNITS), help="How it is written  [default: recognised]"),
)
_TEXT = (
    click.option(
        "--header-line",
        type=click.IntRange(min=1),
        metavar="N",
        help="The line of a table of text that has the columns' names  [default: the first with text]",
    ),
    click.option("--comment", default="", metavar="TEXT", help="Lines that begin with it are no rows, as #."),
    click.option("--no-header", is_flag=True, help="There are no names: columns are named 1, 2, …"),
)
_LIMITS = (
    click.option(
        "--max-error-ms",
        default=CONSUMER_TOLERANCE_MS,
        show_default=True,
        type=click.FloatRange(0, 1e6, min_open=True),
        help="Rows that may be wrong by more are marked `outside`.",
    ),
    click.option(
        "--slew-limit-ppm",
        type=click.FloatRange(0, 100_000),
        help="How fast the wall clocks may have been slewed between exchanges; 0: both ran free."
        "  [default: 500 for each that the log shows being slewed]",
    ),
    click.option(
        "--rate-limit-ppm",
        type=click.FloatRange(0, 100_000, min_open=True),
        default=EstimatorSettings().rate_limit_ppm,
        show_default=True,
        help="Promise that the RAW clocks run no faster apart: narrows the first seconds.",
    ),
)
_NAMES = (
    "sensors",
    "files",
    "vehicle",
    "column",
    "unit",
    "header_line",
    "comment",
    "no_header",
    "max_error_ms",
    "slew_limit_ppm",
    "rate_limit_ppm",
)


def table_options(function: Callable[..., int]) -> Callable[..., int]:
    """Decorate a click command: it takes the options, and `function` gets them as `options`."""

    @functools.wraps(function)
    def command(**values: Any) -> int:
        given = {name: values.pop(name) for name in _NAMES}
        return function(options=_options(given), **values)

    decorated: Callable[..., int] = command
    for option in reversed((*_TABLES, *_STAMPS, *_TEXT, *_LIMITS)):
        decorated = option(decorated)
    return decorated


def _options(given: dict[str, Any]) -> Options:
    vehicle = given.pop("vehicle")
    owner = None if vehicle is None else vehicle_name(vehicle)
    line, comment, bare = (given.pop(name) for name in ("header_line", "comment", "no_header"))
    if bare and line is not None:
        raise SettingsError(f"--header-line {line} and --no-header: expected one of them")
    given["layout"] = TextLayout(line, comment, header=not bare)
    return Options(**given | {"sensors": sensor_vehicles(given["sensors"]), "vehicle": owner})
