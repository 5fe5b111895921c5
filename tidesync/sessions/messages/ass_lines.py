"""The lines of subtitles in the ASS format: where in them the times and the texts of events are.

An event is a line `Dialogue: 0,00:00:01.20,00:00:02.21,LeftTop,,0,0,0,,text`, with the columns that `Format:`
has named in the section `[Events]`. Consecutive events with the same times are one instant of a recording.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TIME = re.compile(r"(\d{1,3}):([0-5]\d):([0-5]\d)\.(\d\d)", re.ASCII)
_EVENT = re.compile(r"Dialogue:", re.ASCII)
_CENTISECOND_NS = 10_000_000
BREAK = re.compile(r"\\[Nn]")
"""Between the parts of a text."""


class Event(NamedTuple):
    """An event: its line's number from 0, and the fields in front of its text and behind."""

    line: int
    fields: tuple[str, ...]
    """Without the commas; the last one has the text."""
    start: int
    """The places of both times in `fields`."""
    end: int
    ending: str
    """Of the line."""

    @property
    def times(self) -> tuple[str, str]:
        """As they are written."""
        return self.fields[self.start], self.fields[self.end]

    @property
    def text(self) -> str:
        """What is shown."""
        return self.fields[-1]

    @property
    def parts(self) -> list[str]:
        """Its lines."""
        return BREAK.split(self.text)

    def written(self, start: str, end: str, text: str) -> str:
        """The line with other times and another text."""
        fields = [*self.fields[:-1], text]
        fields[self.start], fields[self.end] = start, end
        return ",".join(fields) + self.ending


class Point(NamedTuple):
    """Consecutive events with the same times: what was recorded at an instant."""

    events: Sequence[Event]
    start_ns: int
    """After the recording's begin; the same of the end."""
    end_ns: int
    second_ns: int | None = None
    """The second of the day that it shows, Unix ns."""


def lines_of(text: str) -> list[str]:
    """With their ends."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def points_of(lines: Sequence[str]) -> tuple[list[Point], list[int]]:
    """The points, and the lines of events that cannot be read."""
    points, unreadable, last = [], list[int](), list[Event]()
    for event in _events(lines, unreadable):
        if last and (last[0].times != event.times or last[-1].line + 1 != event.line):
            points.append(_point(last))
            last = []
        last.append(event)
    return points + ([_point(last)] if last else []), unreadable


def time_ns(text: str) -> int | None:
    """A time; None where it is none."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    hours, minutes, seconds, hundredths = map(int, match.groups())
    return (((hours * 60 + minutes) * 60 + seconds) * 100 + hundredths) * _CENTISECOND_NS


def written_time(after_ns: int, like: str) -> str:
    """A time with as many digits of hours as another one; one before the begin is 0."""
    hundredths = max(after_ns + _CENTISECOND_NS // 2, 0) // _CENTISECOND_NS
    seconds, hundredths = divmod(hundredths, 100)
    digits = like.index(":")
    return f"{seconds // 3600:0{digits}}:{seconds // 60 % 60:02}:{seconds % 60:02}.{hundredths:02}"


def _point(events: Sequence[Event]) -> Point:
    start_ns, end_ns = map(time_ns, events[0].times)
    assert start_ns is not None
    assert end_ns is not None
    return Point(events, start_ns, end_ns)


def _events(lines: Sequence[str], unreadable: list[int]) -> Iterator[Event]:
    columns, section = list[str](), ""
    for number, line in enumerate(lines):
        content = line.strip()
        if content.startswith("["):
            section = content
        elif section != "[Events]":
            continue
        elif content.startswith("Format:"):
            columns = [each.strip() for each in content.removeprefix("Format:").split(",")]
        elif _EVENT.match(content):
            event = _event(number, line, columns)
            if event is None:
                unreadable.append(number)
            else:
                yield event


def _event(number: int, line: str, columns: Sequence[str]) -> Event | None:
    content = line.rstrip("\r\n")
    fields = tuple(content.split(",", max(len(columns) - 1, 0)))
    if len(fields) != len(columns) or not {"Start", "End"} <= {*columns[:-1]} or columns[-1] != "Text":
        return None
    event = Event(number, fields, columns.index("Start"), columns.index("End"), line[len(content) :])
    return None if None in map(time_ns, event.times) else event
