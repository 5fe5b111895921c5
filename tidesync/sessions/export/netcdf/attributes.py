"""Global attributes after ACDD 1.3 and NCEI's templates 2.0: what is known; nothing is invented."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runtime.version import VERSION
from schemas.compat import UTC
from tidesync.figures import text_of
from tidesync.sessions.correction.table import EXPORTED
from tidesync.sessions.export.netcdf.file import LONGEST_TEXT, Scalar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidesync.sessions.export.netcdf.file import Variable
    from tidesync.sessions.export.netcdf.settings import Place

_CONVENTIONS = ("CF-1.6", "CF-1.8", "ACDD-1.3")
"""NCEI's templates 2.0 require the first and the last; what is written is valid in each."""
_STANDARD_NAMES = "CF Standard Name Table v93"
_DAY_NS = 86_400 * 10**9
_TEMPLATES = {
    True: "NCEI_NetCDF_TimeSeries_Orthogonal_Template_v2.0",
    False: "NCEI_NetCDF_TimeSeries_Incomplete_Template_v2.0",
}
"""By whether each instant is there once, so that `time` is a coordinate variable."""
_WGS_84: Mapping[str, Any] = {
    "long_name": "coordinate reference system of the nominal position",
    "grid_mapping_name": "latitude_longitude",
    "epsg_code": "EPSG:4326",
    "semi_major_axis": 6378137.0,
    "inverse_flattening": 298.257223563,
}
_STATION_NAME = {"long_name": "session and platform", "cf_role": "timeseries_id"}
STATION = ("station_latitude", "station_longitude", "station_depth")
TAKEN = (*STATION, "crs", "instrument", "obs", "platform", "row", "station", "station_name")
"""Names of what a file has beside its rows' variables."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """What all files of an export share."""

    session: str
    mission: str | None
    made_at: datetime
    epoch_ns: int
    """From which times are counted, Unix ns: a midnight in UTC."""
    place: Place | None
    stated: Mapping[str, str]
    """Global attributes that the user states."""

    @property
    def time_units(self) -> str:
        """Of `time` in every file."""
        return units_since(self.epoch_ns)


@dataclass(frozen=True, slots=True)
class About:
    """What one file has."""

    name: str
    """Its path within the export."""
    title: str
    summary: str
    source: str
    comment: str
    vehicle: str
    """Whose clock it is about; for people."""
    sensor: str | None
    settings: str
    """With which it was made, for `history`."""
    own: Mapping[str, Any]
    """Further attributes: counts."""


class Span(NamedTuple):
    """The first and the last instant of a file's rows, Unix ns."""

    first_ns: int
    last_ns: int
    rows: int
    strict: bool
    """Whether each instant is there once."""


def midnight(unix_ns: int) -> int:
    """The midnight before an instant, Unix ns."""
    return unix_ns - unix_ns % _DAY_NS


def units_since(epoch_ns: int) -> str:
    """CF's units of seconds since an instant."""
    return f"seconds since {_instant(epoch_ns).strftime('%Y-%m-%dT%H:%M:%SZ')}"


def attributes_of(
    dataset: Dataset, about: About, variables: Sequence[Variable], span: Span | None
) -> dict[str, Any]:
    """The attributes of a file whose instants have that span; None: it has none."""
    made_at = dataset.made_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    classic = all(variable.width <= LONGEST_TEXT for variable in variables)
    of_mission = f", mission {dataset.mission}" if dataset.mission else ""
    name = text_of(f"{dataset.session}/{about.name}")
    found: dict[str, Any] = {
        "Conventions": ", ".join(_CONVENTIONS if classic else _CONVENTIONS[1:]),
        "title": f"{about.title}; session {dataset.session}{of_mission}",
        "summary": about.summary,
        "keywords": "clock synchronization, clock offset, time uncertainty, underwater vehicle",
        "id": name,
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name} {made_at}")),
        "source": about.source,
        "history": f"{made_at} tidesync {VERSION} export --format netcdf {about.settings}",
        "comment": about.comment,
        "date_created": made_at,
        "date_modified": made_at,
        "processing_level": "times corrected to topside's clock and flagged; other values as recorded",
        "standard_name_vocabulary": _STANDARD_NAMES,
        "platform": about.vehicle,
        EXPORTED: VERSION,
        "tidesync_session": dataset.session,
        **about.own,
    }
    if about.sensor:
        found["instrument"] = about.sensor
    if span is not None:
        found |= _coverage(span)
        if dataset.place is not None:
            found |= _geospatial(dataset.place, strict=span.strict)
    of_names = {key: text_of(value) for key, value in found.items() if isinstance(value, str)}
    return found | of_names | dict(dataset.stated)


def scalars_of(dataset: Dataset, about: About) -> list[Scalar]:
    """The variables of the nominal position and of the station, and whose they are."""
    place = dataset.place
    found = [Scalar("platform", np.int32(1), {"long_name": about.vehicle, "comment": "the vehicle"})]
    if about.sensor:
        found.append(Scalar("instrument", np.int32(1), {"long_name": about.sensor}))
    if place is None:
        return found
    name = f"{dataset.session} {about.vehicle}"
    found += [
        Scalar("crs", np.int32(0), _WGS_84),
        Scalar("station_name", name, _STATION_NAME, of_station=True),
        _coordinate("latitude", "degrees_north", place.latitude, "Y", 90),
        _coordinate("longitude", "degrees_east", place.longitude, "X", 180),
    ]
    if place.depth_m is not None:
        depth = _coordinate("depth", "m", place.depth_m, "Z", 12_000)
        found.append(depth._replace(attributes={**depth.attributes, "positive": "down", "valid_min": -100.0}))
    return found


def _coordinate(name: str, units: str, value: float, axis: str, most: float) -> Scalar:
    attributes = {
        "long_name": f"nominal {name} of the dive",
        "standard_name": name,
        "units": units,
        "axis": axis,
        "valid_min": float(-most),
        "valid_max": float(most),
        "comment": "as it was stated for the whole session: the vehicle moved about it",
        "coverage_content_type": "coordinate",
    }
    return Scalar(f"station_{name}", float(value), attributes, of_station=True)


def _coverage(span: Span) -> dict[str, Any]:
    found = {
        "time_coverage_start": _text(_instant(span.first_ns)),
        "time_coverage_end": _text(_instant(span.last_ns)),
        "time_coverage_duration": f"PT{(span.last_ns - span.first_ns) / 1e9:.6f}S",
    }
    if span.rows > 1:
        mean_s = (span.last_ns - span.first_ns) / 1e9 / (span.rows - 1)
        found["time_coverage_resolution"] = f"PT{mean_s:.6f}S"
    return found


def _geospatial(place: Place, *, strict: bool) -> dict[str, Any]:
    latitude, longitude = float(place.latitude), float(place.longitude)
    found: dict[str, Any] = {
        "featureType": "timeSeries",
        "cdm_data_type": "Station",
        "geospatial_bounds": f"POINT ({latitude} {longitude})",
        "geospatial_bounds_crs": "EPSG:4326",
        "geospatial_lat_min": latitude,
        "geospatial_lat_max": latitude,
        "geospatial_lat_units": "degrees_north",
        "geospatial_lon_min": longitude,
        "geospatial_lon_max": longitude,
        "geospatial_lon_units": "degrees_east",
    }
    if place.depth_m is not None:
        found |= {
            "ncei_template_version": _TEMPLATES[strict],
            "geospatial_bounds_vertical_crs": "EPSG:5831",
            "geospatial_vertical_min": float(place.depth_m),
            "geospatial_vertical_max": float(place.depth_m),
            "geospatial_vertical_positive": "down",
            "geospatial_vertical_units": "m",
        }
    return found


def _instant(unix_ns: int) -> datetime:
    """To the microsecond below."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=unix_ns // 1000)


def _text(instant: datetime) -> str:
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")
