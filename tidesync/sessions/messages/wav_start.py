"""When a sound recording began: by its name, its bext chunk, or the comment of AudioMoth and HydroMoth, pure.

Names: `5678.201130020813.wav` (SoundTrap), `20201130_020813.WAV` (AudioMoth), `SBW1234_20201130_020813.wav`
(icListen), `PAM_20201130_020813_123.wav` (PAMGuard), `2020-11-30T02-08-13Z.wav`. What follows the seconds may
be a part of them or a number of the file: it is not read, and the second covers it. A zone there is read;
what may be one anywhere else in the name, or half a day (AM, PM), is named and not passed over.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from tidesync.sessions.correction.stamps.zones import QUARTER_NS, zone_of
from tidesync.sessions.messages.started import Start

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.sessions.messages.wav_header import WavHeader

_DATE = r"(?P<y>(?:19|20)\d\d)(?P<s>[-_.]?)(?P<m>\d\d)(?P=s)(?P<d>\d\d)"
_TIME = r"(?P<H>\d\d)(?P<t>[-_.:꞉]?)(?P<M>\d\d)(?P=t)(?P<S>\d\d)"
_NAMES = (
    re.compile(rf"(?<!\d){_DATE}(?P<sep>[T_ -]?){_TIME}(?!\d)", re.ASCII),
    re.compile(
        r"(?<!\d)(?P<y>\d\d)(?P<m>\d\d)(?P<d>\d\d)(?P<sep>[T_-]?)(?P<H>\d\d)(?P<M>\d\d)(?P<S>\d\d)(?!\d)",
        re.ASCII,
    ),
)
_PART = r"(?:[.,_]\d{1,9})?"
_ZONE = re.compile(
    rf"{_PART}(?P<zone>[Zz](?![A-Za-z0-9])(?:[+−]\d[A-Za-z\d:]*)?"
    r"|[ _(]?[+−]\d[A-Za-z\d:꞉]*(?:[-.,]\d+)*"
    r"|[ _(-]{0,2}(?i:UTC|GMT)(?![A-Za-z])\s?(?:[+−-]?\d[A-Za-z\d:꞉]*(?:[-.,]\d+)*)?)",
    re.ASCII,
)
"""What states a zone and nothing else."""
_WEST = re.compile(
    rf"{_PART}(?P<zone>-(?:0\d|1[0-4])(?:(?P<sep>[-:꞉]?)(?:00|15|30|45))?)(?![A-Za-z\d:])", re.ASCII
)
"""What may be a distance from UTC, or a number of the recorder."""
_STRAY = re.compile(
    r"[+−–]\s?\d[\d:]*|(?<=[\s._(\[{])-\d\d(?:[-:꞉]?\d\d)?(?!\d)"
    r"|(?<![A-Za-z])(?i:UTC|GMT|(?:plus|minus)(?=[\s_-]?\d))(?![A-Za-z])"
    r"|(?<![A-Za-z])(?:[ECMP][SD]T|AK[SD]T|HST|[AN][SD]T|C?EST|CES?T|EES?T|WES?T|MES?[TZ]|MEZ|[BIJK]ST|SGT|HKT|MSK"
    r"|SAST|BRT|A[CEW][SD]T|NZ[SD]T)(?![A-Za-z])"
)
"""What may be a zone, where none is read."""
_HALF_DAY = re.compile(r"[^A-Za-z0-9]{0,2}(?P<half>[AaPp]\.?[Mm])(?![A-Za-z])")
_DISTANCE = re.compile(r"(?:-|(?<=[CTct])[_ ])\d{1,2}(?!\d)")
"""What may belong to the zone before it."""
_COMMENT = re.compile(
    r"Recorded at (?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)(?:\.\d+)? (?P<d>\d\d)/(?P<m>\d\d)/(?P<y>\d{4})"
    r"(?P<zone>\s*\([^)]*\)?|\s*(?:(?:UTC|GMT)|[+−-]\d)\S*)?",
    re.ASCII,
)
_BEXT = re.compile(
    r"(?P<y>\d{4})[-_:. /](?P<m>\d\d)[-_:. /](?P<d>\d\d) (?P<H>\d\d)[-_:. ](?P<M>\d\d)[-_:. ](?P<S>\d\d)",
    re.ASCII,
)
SOURCES = ("name", "bext", "comment")
EXPECTED = "such as 20201130_020813.wav, 5678.201130020813.wav, 2020-11-30T02-08-13Z.wav"
_SAME = timedelta(seconds=2)
_YEARS = range(1970, 2200)
_DAY_S = 86_400


class NamedStart(NamedTuple):
    """What one source says."""

    source: str
    local: datetime
    """On its own clock, without a zone."""
    east: timedelta | None = None
    """How far its zone is east of UTC; None where it states none."""
    unclear: str = ""
    """What it says of its time, or of its zone, that is not read."""
    part: str = ""
    """Of the source."""

    @property
    def instant(self) -> datetime:
        """By UTC, where it states a zone; else its own."""
        return self.local - (self.east or timedelta())

    @property
    def text(self) -> str:
        """As ISO 8601 has it."""
        if self.east is None:
            return f"{self.local:%Y-%m-%dT%H:%M:%S}"
        sign, minutes = "-" if self.east < timedelta() else "+", abs(self.east) // timedelta(minutes=1)
        return f"{self.local:%Y-%m-%dT%H:%M:%S}{sign}{minutes // 60:02d}:{minutes % 60:02d}"

    @property
    def shown(self) -> str:
        """For a sentence."""
        return f"{self.source}{self.part and ' '}{self.part}: {self.text.replace('T', ' ')}"

    @property
    def start(self) -> Start:
        """As it is read."""
        return Start(self.text)


def starts_of(stem: str, header: WavHeader) -> list[NamedStart]:
    """All that is said."""
    return [*_of_name(stem), *_of_bext(header), *_of_comment(header.comment)]


def chosen(starts: Sequence[NamedStart], source: str | None) -> NamedStart | str:
    """The one to take, or a sentence why none is; `source`: which one is asked for.

    What states a zone comes first. All that state one have to be the same instant; one that states none has
    to show the time of day of another.
    """
    of_source = [each for each in starts if source in {None, each.source}]
    if not of_source:
        where = "neither its name nor its header says" if source is None else f"its {source} does not say"
        return f"{where} when it began: expected {EXPECTED}"
    sources = {each.source for each in of_source}
    unclear = next((each for each in of_source if each.unclear), None)
    if unclear is not None:
        how = _how({unclear.source, *(each.source for each in starts)})
        what = f"its {unclear.source} says {unclear.unclear}"
        return f"when it began is not clear: {what}: say with {how} which counts"
    best = max(of_source, key=lambda each: (each.east is not None, -SOURCES.index(each.source)))
    if not _agree(of_source, best):
        shown = "; ".join(each.shown for each in of_source)
        return f"it began at more than one time ({shown}): say with {_how(sources)} which counts"
    return best


def _agree(starts: Sequence[NamedStart], best: NamedStart) -> bool:
    zoned = [each for each in starts if each.east is not None]
    if any(abs(each.instant - best.instant) > _SAME for each in zoned):
        return False
    naive = (each for each in starts if each.east is None)
    return all(any(abs(each.local - other.local) <= _SAME for other in zoned or [best]) for each in naive)


def _how(sources: set[str]) -> str:
    """The option that decides between what these say."""
    if len(sources) > 1:
        return f"--column {', '.join(SOURCES)}"
    return "--time-format, as %Y%m%d_%H%M%S," if "name" in sources else "its name, and --column name,"


def _of_name(stem: str) -> list[NamedStart]:
    """All instants in it, of either form."""
    found: list[tuple[NamedStart, re.Match[str]]] = []
    for match in (each for pattern in _NAMES for each in pattern.finditer(stem)):
        start = _instant("name", match)
        if start and not any(
            match.start() < other.end() and other.start() < match.end() for _, other in found
        ):
            found.append((start, match))
    return [_of_tail(start, stem, match) for start, match in found]


def _of_tail(start: NamedStart, stem: str, match: re.Match[str]) -> NamedStart:
    """With the zone that its name states behind it."""
    before, tail, sep = stem[: match.start()], stem[match.end("S") :], match["sep"]
    half = _HALF_DAY.match(tail)
    if half is not None:
        return start._replace(unclear=f"{half['half']!r}: hours of half a day are not read")
    end = 0
    if found := _ZONE.match(tail):
        start, end = _zoned(start, found["zone"].lstrip(" _(-")), found.end()
        if more := _DISTANCE.match(tail, end):
            return start._replace(unclear=f"{found['zone'] + more[0]!r}, which may be a zone and a number")
    elif west := _WEST.match(tail):
        clear = sep == "T" and west["sep"] in {"", ":", "꞉"}
        if clear:
            start, end = _zoned(start, west["zone"]), west.end()
        elif sep == "T" or west["sep"] is not None:
            return start._replace(unclear=f"{west['zone']!r}, which may be a zone or a number")
    stray = None if start.unclear else _STRAY.search(before) or _STRAY.search(tail, end)
    return start if stray is None else start._replace(unclear=f"{stray[0]!r}, which may be a zone")


def _zoned(start: NamedStart, zone: str) -> NamedStart:
    """With the zone of that text."""
    try:
        east_ns = zone_of(zone.upper().replace("꞉", ":")).fixed_ns
    except ValueError:
        east_ns = None
    torn = ":" not in zone and sum(map(str.isdigit, zone)) == 3  # noqa: PLR2004 - +130: 1:30, or 13 and a part
    if east_ns is None or east_ns % QUARTER_NS or torn:
        return start._replace(unclear=f"{zone!r}, which is no zone that is known")
    return start._replace(east=timedelta(microseconds=east_ns // 1_000))


def _of_bext(header: WavHeader) -> list[NamedStart]:
    """OriginationDate with OriginationTime, and of that day TimeReference, which counts where they agree."""
    if header.bext is None:
        return []
    date, time, reference = header.bext
    match = _BEXT.fullmatch(f"{date} {time}")
    stated = _instant("bext", match) if match else None
    if stated is None or not reference:
        return [stated] if stated else []
    passed_s = reference // header.rate_hz
    if passed_s > _DAY_S:
        return [stated._replace(unclear=f"TimeReference is {passed_s} s, which is no time of day")]
    counted = stated.local.replace(hour=0, minute=0, second=0) + timedelta(seconds=passed_s)
    counted += timedelta(days=round((stated.local - counted) / timedelta(days=1)))
    counts = stated._replace(local=counted, part="TimeReference")
    if abs(counted - stated.local) <= _SAME:
        return [counts]
    return [stated._replace(part="OriginationTime"), counts]


def _of_comment(comment: str) -> list[NamedStart]:
    match = _COMMENT.search(comment)
    start = _instant("comment", match) if match else None
    if match is None or start is None:
        return []
    zone = (match["zone"] or "").strip()
    if zone.startswith("(") and zone.endswith(")"):
        zone = zone[1:-1]
    return [_zoned(start, zone) if match["zone"] else start]


def _instant(source: str, match: re.Match[str]) -> NamedStart | None:
    parts = [int(match[name]) for name in "ymdHMS"]
    parts[0] += 2_000 if len(match["y"]) == 2 else 0  # noqa: PLR2004 - digits
    try:
        local = datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001 - local
    except ValueError:
        return None
    return NamedStart(source, local) if local.year in _YEARS else None
