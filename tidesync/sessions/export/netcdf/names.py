"""Names and units of a table's columns as CF has them."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

_IN_BRACKETS = re.compile(r"[(\[]([^()\[\]]{1,20})[)\]]\s*$")
_ILLEGAL = re.compile(r"[^A-Za-z0-9]+")
_BOTH_WAYS: Mapping[str, str] = {
    name: name
    for name in (
        *(
            "A",
            "GHz",
            "Hz",
            "K",
            "L",
            "MHz",
            "MPa",
            "Pa",
            "S/m",
            "V",
            "W",
            "bar",
            "cm",
            "cm/s",
            "dbar",
            "ft",
            "g",
        ),
        *(
            "h",
            "hPa",
            "kHz",
            "kPa",
            "kV",
            "kW",
            "kg",
            "km",
            "km/h",
            "m",
            "m/s",
            "mA",
            "mL",
            "mS/cm",
            "mV",
            "mbar",
        ),
        *("mg/L", "min", "mm", "mm/s", "ms", "ml/L", "ns", "rad", "rad/s", "s", "uA", "uS/cm", "uV", "ug/L"),
        *("umol/L", "umol/kg", "us"),
    )
}
_UNITS: Mapping[str, str] = {
    **_BOTH_WAYS,
    "%": "percent",
    "deg": "degree",
    "deg/s": "degree s-1",
    "degC": "degree_C",
    "deg C": "degree_C",
    "degree_C": "degree_C",
    "kn": "knot",
    "knots": "knot",
    "l": "L",
    "lx": "lux",
    "lux": "lux",
    "m/s2": "m s-2",
    "m/s^2": "m s-2",
    "mg/l": "mg/L",
    "ppm": "1e-6",
    "ug/l": "ug/L",
    "°": "degree",
    "°/s": "degree s-1",
    "°C": "degree_C",
    "m/s²": "m s-2",
    "μA": "uA",
    "μS/cm": "uS/cm",
    "μV": "uV",
    "μg/L": "ug/L",
    "μg/l": "ug/L",
    "μmol/L": "umol/L",
    "μmol/kg": "umol/kg",
    "μs": "us",
}
"""As headers have them in brackets: as UDUNITS has them. What may mean two things is left out, as C."""
_SUFFIXES: Mapping[str, str] = {
    "_cm": "cm",
    "_dbar": "dbar",
    "_degC": "degree_C",
    "_hPa": "hPa",
    "_kHz": "kHz",
    "_kPa": "kPa",
    "_mA": "mA",
    "_mV": "mV",
    "_mbar": "mbar",
    "_mm": "mm",
}
"""At a name's end; `_ms` is left out, which may be milliseconds or metres a second, and single letters."""


def units_of(header: str) -> str | None:
    """The units that a column's header states beyond doubt."""
    match = _IN_BRACKETS.search(header)
    if match:
        return _UNITS.get(match[1].strip().replace("µ", "μ"))
    return next((units for suffix, units in _SUFFIXES.items() if header.endswith(suffix)), None)


def legal_names(headers: Sequence[str], taken: Collection[str]) -> list[str]:
    """A variable's name for each column: ASCII letters, digits and `_`, a letter first, each only once.

    Names in `taken` are not used; names that differ only in capitals count as the same.
    """
    used = {name.lower() for name in taken}
    found: list[str] = []
    for header in headers:
        name = _legal(header)
        numbered = (f"{name}_{number}" for number in range(2, len(headers) + len(taken) + 3))
        free = next(each for each in (name, *numbered) if each.lower() not in used)
        used.add(free.lower())
        found.append(free)
    return found


def _legal(header: str) -> str:
    """The header without its units in brackets, accents and other signs."""
    bare = _IN_BRACKETS.sub("", header) or header
    ascii_only = unicodedata.normalize("NFKD", bare).encode("ascii", "ignore").decode()
    name = _ILLEGAL.sub("_", ascii_only).strip("_")
    return name if name[:1].isalpha() else f"column_{name}".rstrip("_")
