"""The columns of `offsets.csv`, as a Table Schema (Frictionless Data, https://specs.frictionlessdata.io)."""

from __future__ import annotations

import types
from typing import Any, Literal, get_args, get_origin, get_type_hints

from topside_agent.estimator import Row

_DESCRIPTIONS = {
    "vehicle": "The vehicle's name.",
    "topside": "The surface station's name.",
    "topside_unix_ns": "Topside's realtime at the exchange's destination, ns since the Unix epoch.",
    "pi_unix_ns": "The Pi's realtime at that instant: topside_unix_ns + offset_ns.",
    "offset_ns": "Pi − topside, positive when the Pi is ahead, ns.",
    "lower_ns": "The true offset is not below this, ns.",
    "upper_ns": "The true offset is not above this, ns.",
    "u95_ns": "Statistical 95 % half-width of offset_ns, ns; empty where it is not known.",
    "segment": "Number of the segment: without a clock step, suspend or reboot; from 0.",
    "state": "`ambiguous`: so near to a cut that it may belong to either side.",
}


def offsets_csv() -> dict[str, Any]:
    """The table's schema; empty means missing, never 0."""
    return {
        "$schema": "https://specs.frictionlessdata.io/schemas/table-schema.json",
        "title": "offsets_csv",
        "description": "Rows of time_sync/offsets.csv and of --track files: the offset at each exchange.",
        "missingValues": [""],
        "primaryKey": ["vehicle", "topside", "topside_unix_ns"],
        "fields": [_field(name, kind) for name, kind in get_type_hints(Row).items()],
    }


def _field(name: str, kind: Any) -> dict[str, Any]:
    optional = get_origin(kind) is types.UnionType and type(None) in get_args(kind)
    bare = get_args(kind)[0] if optional else kind
    constraints: dict[str, Any] = {"required": not optional}
    if get_origin(bare) is Literal:
        constraints["enum"] = list(get_args(bare))
    return {
        "name": name,
        "type": "integer" if bare is int else "string",
        "description": _DESCRIPTIONS[name],
        "constraints": constraints,
    }
