"""When a sound recording began: by its name, its bext chunk, or the comment of AudioMoth and HydroMoth, pure.

Names: `5678.201130020813.wav` (SoundTrap), `20201130_020813.WAV` (AudioMoth), `SBW1234_20201130_020813.wav`
(icListen), `PAM_20201130_020813_123.wav` (PAMGuard), `2020-11-30T02-08-13Z.wav`. What follows the seconds may
be a part of them or a number of the file: it is not read, and the second covers it.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from tidesync.sessions.messages.started import Start

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.sessions.messages.wav_header import WavHeader

_DATE = r"(?P<y>(?:19|20)\d\d)(?P<s>[-_.]?)(?P<m>\d\d)(?P=s)(?P<d>\d\d)"
_TIME = r"(?P<H>\d\d)(?P<t>[-_.:꞉]?)(?P<M>\d\d)(?P=t)(?P<S>\d\d)"
_UTC = r"(?=(?:[.,_]\d{1,9})?(?P<z>Z(?![A-Za-z0-9]))?)"
_EAST = re.compile(r"(?:[.,]\d{1,9})?([+-](?:0\d|1[0-4]):?(?:00|15|30|45))(?!\d)", re.ASCII)
"""A distance from UTC: after a T alone, as it may be a number of the recorder."""
_NAMES = (
    re.compile(rf"(?<!\d){_DATE}(?P<sep>[T_ -]?){_TIME}(?!\d){_UTC}", re.ASCII),
    re.compile(
        rf"(?<!\d)(?P<y>\d\d)(?P<m>\d\d)(?P<d>\d\d)[T_-]?(?P<H>\d\d)(?P<M>\d\d)(?P<S>\d\d)(?!\d){_UTC}",
        re.ASCII,
    ),
)
_COMMENT = re.compile(
    r"Recorded at (?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)(?:\.\d+)? (?P<d>\d\d)/(?P<m>\d\d)/(?P<y>\d{4})"
    r"(?: \(UTC(?:(?P<sign>[+-])(?P<east>\d{1,2})(?::(?P<part>\d\d))?)?(?P<utc>\)))?",
    re.ASCII,
)
_BEXT = re.compile(
    r"(?P<y>\d{4})[-_:. /](?P<m>\d\d)[-_:. /](?P<d>\d\d) (?P<H>\d\d)[-_:. ](?P<M>\d\d)[-_:. ](?P<S>\d\d)",
    re.ASCII,
)
SOURCES = ("name", "bext", "comment")
EXPECTED = "such as 20201130_020813.wav, 5678.201130020813.wav, 2020-11-30T02-08-13Z.wav"
_SAME = timedelta(seconds=2)


class NamedStart(NamedTuple):
    """What one source says; `zone` is empty where it states none."""

    source: str
    local: datetime
    """On its own clock, without a zone."""
    zone: str = ""

    @property
    def shown(self) -> str:
        """For a sentence."""
        return f"{self.source}: {self.local:%Y-%m-%d %H:%M:%S}{self.zone}"

    @property
    def start(self) -> Start:
        """As it is read."""
        return Start(f"{self.local:%Y-%m-%dT%H:%M:%S}{self.zone}")


def starts_of(stem: str, header: WavHeader) -> list[NamedStart]:
    """All that is said."""
    found = [*_of_name(stem), _of_bext(header), _of_comment(header.comment)]
    return [each for each in found if each is not None]


def chosen(starts: Sequence[NamedStart], source: str | None) -> NamedStart | str:
    """The one to take, or a sentence why none is; `source`: which one is asked for.

    What states a zone comes first; one without has to show the same time of day.
    """
    of_source = [each for each in starts if source in {None, each.source}]
    if not of_source:
        where = "neither its name nor its header says" if source is None else f"its {source} does not say"
        return f"{where} when it began: expected {EXPECTED}"
    best = max(of_source, key=lambda each: (bool(each.zone), -SOURCES.index(each.source)))
    if any(abs(each.local - best.local) > _SAME for each in of_source):
        shown = "; ".join(each.shown for each in of_source)
        sources = {each.source for each in of_source}
        how = f"--column {', '.join(SOURCES)}" if len(sources) > 1 else "--time-format, as %Y%m%d_%H%M%S,"
        return f"it began at more than one time ({shown}): say with {how} which counts"
    return best


def _of_name(stem: str) -> list[NamedStart]:
    """By the first form of which there are instants; all of them."""
    for pattern in _NAMES:
        found = [_instant("name", each, _zone(stem, each)) for each in pattern.finditer(stem)]
        known = [each for each in found if each is not None]
        if known:
            return known
    return []


def _zone(stem: str, match: re.Match[str]) -> str:
    """What a name states of its zone; empty where it states none."""
    if match["z"] or match.groupdict().get("sep") != "T":
        return match["z"] or ""
    east = _EAST.match(stem, match.end("S"))
    return east[1] if east else ""


def _of_bext(header: WavHeader) -> NamedStart | None:
    """OriginationDate, and of that day TimeReference, or OriginationTime where it is not used."""
    if header.bext is None:
        return None
    date, time, reference = header.bext
    match = _BEXT.fullmatch(f"{date} {time}")
    stated = match and _instant("bext", match)
    if not stated or not reference:
        return stated or None
    midnight = stated.local.replace(hour=0, minute=0, second=0)
    try:
        counted = midnight + timedelta(seconds=min(reference // header.rate_hz, 200_000))
        days = round((stated.local - counted) / timedelta(days=1))
        return stated._replace(local=counted + timedelta(days=days))
    except OverflowError:  # in the last days of the year 9999
        return stated


def _of_comment(comment: str) -> NamedStart | None:
    match = _COMMENT.search(comment)
    if match is None:
        return None
    east = int(match["east"] or 0), int(match["part"] or 0)
    zone = f"{match['sign'] or '+'}{east[0]:02d}:{east[1]:02d}" if match["utc"] else ""
    return _instant("comment", match, zone)


def _instant(source: str, match: re.Match[str], zone: str = "") -> NamedStart | None:
    parts = [int(match[name]) for name in "ymdHMS"]
    parts[0] += 2_000 if parts[0] < 100 else 0  # noqa: PLR2004 - of two digits
    try:
        return NamedStart(source, datetime(*parts), zone)  # type: ignore[arg-type]  # noqa: DTZ001 - local
    except ValueError:
        return None
