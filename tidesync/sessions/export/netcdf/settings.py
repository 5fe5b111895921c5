"""What a user states of a dataset: where the dive was, who made it, what the columns are."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from tidesync.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

STATED = (
    "acknowledgement",
    "creator_email",
    "creator_name",
    "creator_url",
    "institution",
    "license",
    "naming_authority",
    "project",
    "publisher_email",
    "publisher_name",
    "publisher_url",
)
"""ACDD's recommended attributes that a session does not have: they are written if they are stated."""
_OTHERS = (
    "comment",
    "contributor_name",
    "contributor_role",
    "creator_institution",
    "creator_type",
    "instrument_vocabulary",
    "keywords",
    "keywords_vocabulary",
    "metadata_link",
    "platform_vocabulary",
    "processing_level",
    "product_version",
    "program",
    "publisher_institution",
    "publisher_type",
    "references",
    "sea_name",
    "summary",
    "title",
)
_FOUND = (
    "Conventions",
    "cdm_data_type",
    "date_created",
    "date_modified",
    "featureType",
    "history",
    "id",
    "ncei_template_version",
    "source",
    "standard_name_vocabulary",
    "uuid",
)
_FOUND_PREFIXES = ("geospatial_", "time_coverage_", "tidesync_")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_VARIABLE = re.compile(r"(?P<column>.+)=(?P<name>[a-z][a-z0-9_]*) (?P<units>\S.*)")


class ExportSettings(BaseModel):
    """The settings of `--format netcdf`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latitude: float | None = Field(
        None,
        ge=-90,
        le=90,
        description="netcdf: where the dive was, degrees north (WGS 84), and --longitude.",
    )
    longitude: float | None = Field(None, ge=-180, le=180, description="netcdf: degrees east.")
    depth_m: float | None = Field(
        None, ge=-100, le=12_000, description="netcdf: the nominal depth of the dive, positive down."
    )
    attribute: tuple[str, ...] = Field(
        (), description="netcdf: NAME=TEXT, a global attribute as creator_name=… (repeatable)."
    )
    variable: tuple[str, ...] = Field(
        (), description="netcdf: 'COLUMN=STANDARD_NAME UNITS', what CF calls a table's column (repeatable)."
    )

    def with_license(self, text: str | None) -> ExportSettings:
        """These, with the license that an option of its own states; it comes first."""
        if text is None:
            return self
        others = (each for each in self.attribute if not each.startswith("license="))
        return self.model_copy(update={"attribute": (*others, f"license={text}")})


class Place(NamedTuple):
    """Where the dive was, nominally."""

    latitude: float
    longitude: float
    depth_m: float | None


class Quantity(NamedTuple):
    """What CF calls a column."""

    standard_name: str
    units: str


def place_of(settings: ExportSettings) -> Place | None:
    """The place that is stated; SettingsError where a part of it is."""
    if settings.latitude is None or settings.longitude is None:
        if (settings.latitude, settings.longitude, settings.depth_m) != (None, None, None):
            raise SettingsError("--latitude, --longitude: expected both, and --depth-m only with them")
        return None
    return Place(settings.latitude, settings.longitude, settings.depth_m)


def attributes_of(settings: ExportSettings) -> Mapping[str, str]:
    """The global attributes that are stated; SettingsError where one cannot be stated."""
    found: dict[str, str] = {}
    known = (*STATED, *_OTHERS)
    for text in settings.attribute:
        name, _, value = text.partition("=")
        if not _NAME.fullmatch(name) or not value.strip():
            raise SettingsError(f"--attribute: expected NAME=TEXT, as creator_name=…, received {text!r}")
        if name in _FOUND or name.startswith(_FOUND_PREFIXES):
            raise SettingsError(f"--attribute {name}: it is found from the session, and cannot be stated")
        close = difflib.get_close_matches(name, known, 1, 0.85)
        if name not in known and close:
            raise SettingsError(f"--attribute {name}: did you mean {close[0]}?")
        if name in found:
            raise SettingsError(f"--attribute {name}: it is stated twice")
        found[name] = value.strip()
    return found


def quantities_of(settings: ExportSettings) -> Mapping[str, Quantity]:
    """By column's name what it is; SettingsError where it is not stated so."""
    found: dict[str, Quantity] = {}
    for text in settings.variable:
        match = _VARIABLE.fullmatch(text)
        if match is None:
            raise SettingsError(
                "--variable: expected 'COLUMN=STANDARD_NAME UNITS', as "
                f"'TempC=sea_water_temperature degree_C', received {text!r}"
            )
        found[match["column"]] = Quantity(match["name"], match["units"].strip())
    return found
