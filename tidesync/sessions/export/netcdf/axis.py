"""What the files of tables and of tracks have in common: their time, its layout, and the rest around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidesync.sessions.export.netcdf.attributes import STATION, attributes_of, scalars_of
from tidesync.sessions.export.netcdf.file import Content, Variable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidesync.sessions.export.netcdf.attributes import About, Dataset, Span


def timed(
    dataset: Dataset,
    about: About,
    variables: Sequence[Variable],
    span: Span,
) -> Content:
    """The content of a file of rows in the order of time; the first variable is `time`.

    Where each instant is there once `time` is the dimension and its coordinate variable. Else the
    dimension is `obs`, and `time` an auxiliary coordinate: CF has no coordinate that repeats itself.
    """
    strict = span.strict
    station = dataset.place is not None and not strict
    dimensions = ("time",) if strict else (*["station"][:station], "obs")
    time, *others = variables
    placed = [time, *(_placed(dataset, about, each, strict=strict) for each in others)]
    return Content(
        rows=span.rows,
        dimensions=dimensions,
        attributes=attributes_of(dataset, about, variables, span),
        variables=placed,
        scalars=scalars_of(dataset, about),
    )


def time_attributes(dataset: Dataset, ancillary: Sequence[str], comment: str) -> dict[str, Any]:
    """Of the variable `time`."""
    found = {
        "long_name": "time by topside's clock",
        "standard_name": "time",
        "units": dataset.time_units,
        "calendar": "proleptic_gregorian",
        "axis": "T",
        "comment": comment,
        "coverage_content_type": "coordinate",
    }
    return found | ({"ancillary_variables": " ".join(ancillary)} if ancillary else {})


def _placed(dataset: Dataset, about: About, variable: Variable, *, strict: bool) -> Variable:
    """The variable with what CF needs to find its coordinates."""
    place = dataset.place
    coordinates = [] if strict and place is None else ["time"]
    added: dict[str, Any] = {"platform": "platform"}
    if about.sensor:
        added["instrument"] = "instrument"
    if place is not None:
        coordinates += STATION[: 2 if place.depth_m is None else 3]
        added["grid_mapping"] = "crs"
    if coordinates:
        added["coordinates"] = " ".join(coordinates)
    attributes: Mapping[str, Any] = {**variable.attributes, **added}
    return variable._replace(attributes=attributes)
