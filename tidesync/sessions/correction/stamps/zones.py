"""Local times: a zone by name or by its distance from UTC, and the UTC instants of what a clock in it showed.

A local time is ns since 1970-01-01T00:00 on the wall clock of the zone. Where a zone goes back an hour, one
local time has two UTC instants; where it goes forward, some never existed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from schemas.compat import UTC

if TYPE_CHECKING:
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Integers

S = 1_000_000_000
QUARTER_NS = 900 * S
ACCEPTED = "a zone such as Europe/Berlin, a distance from UTC such as +01:00, or UTC"

_FIXED = re.compile(r"(?:(?:UTC|GMT)\s*)?([+-−])\s?(\d{1,2})(?::?([0-5]\d))?", re.ASCII | re.IGNORECASE)
_UTC = {"utc", "gmt", "z", "zulu", "ut", "universal"}
_FARTHEST_H = 14
_LONG_AGO_S = -(2**62) // S
_DISTANCE = re.compile(
    r"(?:UTC|GMT)\s?[+-−]\s?\d[\w:.]*|(?<![\w.:])[+-−](?:[01]\d):?[0-5]\d(?![\w:.])", re.ASCII | re.IGNORECASE
)
_NAMED = re.compile(r"[A-Za-z_]+/[A-Za-z_/+-]+\d*", re.ASCII)
_IS_UTC = re.compile(
    r"(?<![A-Za-z])(?:utc|gmt|zulu)(?![a-z])|(?<=[a-z])(?:UTC|GMT|Utc)(?![a-z])|[(\[]Z[)\]]", re.ASCII
)
_LOCAL = re.compile(r"(?i:local(?![ei]))|[(\[](?:[A-Z]{1,3}[SD]?T|CEST|WEST|EEST)[)\]]", re.ASCII)
_UNCLEAR = re.compile(r"\d|plus|minus|dst|summer|sommer|saving", re.IGNORECASE)
"""What behind a zone may say more about it: `UTC plus 1`, `UTC+05 30`, `UTC+1/DST`."""
_TAKEN = "\0"
"""In place of what was taken for a zone."""


class Local(NamedTuple):
    """UTC instants of local times; `later_ns` is the second one of a `repeated` time."""

    utc_ns: Integers
    later_ns: Integers
    repeated: Flags
    exists: Flags


@dataclass(frozen=True, slots=True)
class Zone:
    """`name` as it was given; `fixed_ns` east of UTC, None for a zone with rules of its own."""

    name: str
    fixed_ns: int | None

    def utc(self, local_ns: Integers) -> Local:
        """The UTC instants of local times (int64 ns, any shape)."""
        if self.fixed_ns is not None or not local_ns.size:
            utc = local_ns - (self.fixed_ns or 0)
            return Local(utc, utc, np.zeros(utc.shape, dtype=bool), np.ones(utc.shape, dtype=bool))
        at, offset = _transitions(self.name, _year(int(local_ns.min())), _year(int(local_ns.max())))
        # Each interval of one offset covers [at + offset, next at + offset) of local times.
        begins, ends = at + offset, np.append(at[1:], 2**62) + offset
        last = np.searchsorted(begins, local_ns, side="right") - 1
        first = np.searchsorted(ends, local_ns, side="right")
        first_ns, last_ns = local_ns - offset[np.minimum(first, last)], local_ns - offset[last]
        return Local(first_ns, last_ns, first < last, first <= last)

    def pieces(self, first_ns: int, last_ns: int) -> list[tuple[int, int, int]]:
        """The first and the last UTC instant (within both) of each distance east of UTC, and that, in ns."""
        if self.fixed_ns is not None:
            return [(first_ns, last_ns, self.fixed_ns)]
        at, offset = _transitions(self.name, _year(first_ns), _year(last_ns))
        begins, ends = np.maximum(at, first_ns), np.minimum(np.append(at[1:], 2**62) - 1, last_ns)
        pieces = zip(begins.tolist(), ends.tolist(), offset.tolist(), strict=True)
        return [(begin, end, east) for begin, end, east in pieces if begin <= end]

    def local(self, utc_ns: Integers) -> Integers:
        """What a clock in the zone showed at UTC instants."""
        if self.fixed_ns is not None or not utc_ns.size:
            return utc_ns + (self.fixed_ns or 0)
        at, offset = _transitions(self.name, _year(int(utc_ns.min())), _year(int(utc_ns.max())))
        return utc_ns + offset[np.searchsorted(at, utc_ns, side="right") - 1]


UTC_ZONE = Zone("UTC", 0)


def zone_of(text: str) -> Zone:
    """The zone that `text` names; ValueError, which says what is accepted."""
    name = text.strip()
    if name.lower() in _UTC:
        return UTC_ZONE
    fixed = _FIXED.fullmatch(name)
    if fixed:
        minutes = int(fixed[2]) * 60 + int(fixed[3] or 0)
        if minutes <= _FARTHEST_H * 60:
            return Zone(name, minutes * (1 if fixed[1] == "+" else -1) * 60 * S)
    try:
        if "/" in name:  # CET and EST exist as names, with rules that not everyone who writes them means
            ZoneInfo(name)
            return Zone(name, None)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    raise ValueError(f"{text!r} is no zone that is known: {ACCEPTED}")


def zone_of_header(header: str) -> Zone | None:
    """The zone that a column's name states, as `time (UTC+1)`, `time_utc`, `timestamp [Europe/Berlin]`.

    None where it states none. ValueError where that is unclear: several zones, local time, or an abbreviation
    (CET may be the winter's time or the local one).
    """
    found, rest = _names_in(header)
    for distance in _DISTANCE.findall(rest):
        found[distance] = zone_of(distance)
        rest = rest.replace(distance, _TAKEN, 1)
    if not found and (local := _LOCAL.search(header)):
        raise ValueError(f"the column's name says {local[0]!r}, which is no exact zone")
    if not found and (utc := _IS_UTC.search(header) or _IS_UTC.search(header.lower())):
        found["UTC"] = UTC_ZONE
        rest = _TAKEN + header[utc.end() :]
    if not found:
        return None
    if len({zone.fixed_ns or zone.name for zone in found.values()}) > 1 or _UNCLEAR.search(
        rest.partition(_TAKEN)[2]
    ):
        raise ValueError(f"the column's name, {header!r}, says more than {next(iter(found))!r}")
    return next(iter(found.values()))


def _names_in(header: str) -> tuple[dict[str, Zone], str]:
    """The zones' names in a header, and the header without them."""
    found, rest = {}, header
    for named in _NAMED.findall(header):
        try:
            found[named] = zone_of(named)
        except ValueError:
            continue  # m/s, d/m/y
        rest = rest.replace(named, _TAKEN, 1)
    return found, rest


def _year(unix_ns: int) -> int:
    return int(np.datetime64(int(unix_ns // S), "s").astype("datetime64[Y]").astype(int)) + 1970


@lru_cache(maxsize=64)
def _transitions(name: str, first_year: int, last_year: int) -> tuple[Integers, Integers]:
    """UTC instants (ns) from which each offset (ns) holds, a year beyond the asked ones on either side."""
    zone = ZoneInfo(name)

    def offset(at_s: int) -> int:
        moved = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at_s)).astimezone(zone).utcoffset()
        return round((moved or timedelta()).total_seconds())

    begin = round(datetime(first_year - 1, 1, 1, tzinfo=UTC).timestamp())
    end = round(datetime(last_year + 2, 1, 1, tzinfo=UTC).timestamp())
    found = [(_LONG_AGO_S, offset(begin))]
    step = 6 * 3600  # no zone changes twice within six hours
    for at in range(begin, end, step):
        if offset(at) != offset(at + step):
            low, high = at, at + step
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle) == offset(low) else (low, middle)
            found.append((high, offset(high)))
    instants, offsets = np.array(found, dtype=np.int64).T
    return instants * S, offsets * S
