"""The live screen: one row for each vehicle and topside, with its age, and below it the newest events."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from itertools import accumulate
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from schemas.doubtful import for_people, is_doubtful
from tidesync.figures import decimals_of, distance, is_long, span
from tidesync.fleet.duplicates import sentence
from tidesync.fleet.order import worst_first
from tidesync.fleet.sessions import CLOSING
from tidesync.fleet.vehicle import CONDITION
from tidesync.terminal.text import drift_figures, offset_figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from schemas.messages import OffsetResult, SessionState
    from tidesync.fleet.vehicle import Row

STATE_STYLES = {
    "locked": "bold green",
    "acquiring": "yellow",
    "holdover": "bold yellow",
    "stale": "bold red",
    "unsynced": "red",
}
"""A state's colour in a terminal; the word is always beside it."""
_HEAD_LINES = 6
"""Title, blank, two lines of headings and their rule, and the last line."""
_WIDE = 104
"""From this width on there is room for the columns beyond the essential ones."""
_AT_LEAST = 3
_NARROW = 64
"""Below this only the most important are shown."""
_GREY = "dim"
_MOST_REMARKS = 4
_MARK = "*"
"""Before the max error of a conditional result; a line below says what that assumes."""
_HEADS = {
    "vehicle": ("vehicle", False),
    "by": ("by", False),
    "state": ("state", False),
    "offset": ("offset\nms", True),
    "max": ("max error\n± ms", True),
    "u95": ("95 % error\n± ms", True),
    "drift": ("drift\nppm", True),
    "steps": ("steps", True),
    "delay": ("min delay\nms", True),
    "exchanges": ("exch.", True),
    "since": ("since", True),
    "heard": ("heard", True),
}
"""Each column's heading, and whether it is right-aligned."""
_FIGURES = ("offset", "max", "u95", "drift", "steps", "delay", "exchanges")
_DECIMALS = 3
"""Of a ms, at least."""


@dataclass(frozen=True, slots=True)
class View:
    """What the screen shows at one moment."""

    title: str
    away: str | None
    """Why the broker is away, and since when; None while it is there."""
    rows: Sequence[Row]
    sessions: Sequence[SessionState] = ()
    lines: Sequence[str] = field(default=())
    """Of events and changes of state, the newest last."""
    notices: Sequence[str] = field(default=())
    """What else must be known."""


def draw(view: View, width: int, height: int) -> RenderableType:
    """The screen of `width` × `height` characters; rows without room are counted, never just left out."""
    remarks = [*_remarks(view.rows), *view.notices]
    others = len(remarks) + sum(map(bool, (view.away, view.sessions)))
    room = max(1, height - _HEAD_LINES - others)
    rows, shown = view.rows, _fitting(view.rows, room)
    if len(shown) < len(rows):
        room -= 1  # for the line that counts the others
        rows = worst_first(rows)
        shown = _fitting(rows, room)
    left = room - sum(map(_height, shown))
    parts: list[RenderableType] = [Text(view.title, no_wrap=True, overflow="ellipsis")]
    if view.away:
        parts.append(Text(f" {view.away} ", style="bold reverse", no_wrap=True, overflow="ellipsis"))
    parts.append(_table(view, shown, width) if view.rows else Text("\nno vehicle is known yet"))
    if len(shown) < len(rows):
        parts.append(_hidden(rows[len(shown) :]))
    parts += [Text(remark, no_wrap=True, overflow="ellipsis") for remark in remarks]
    if view.sessions:
        parts.append(_sessions(view.sessions))
    parts += [
        Text(line, style=_GREY, no_wrap=True, overflow="ellipsis") for line in view.lines[-left:] if left > 0
    ]
    return Group(*parts)


def _fitting(rows: Sequence[Row], room: int) -> Sequence[Row]:
    """As many of the first rows as have room in so many lines."""
    needed = accumulate(map(_height, rows))
    return rows[: sum(lines <= room for lines in needed)]


def _height(row: Row) -> int:
    """The lines of a row: long times have their exact number in a second one."""
    result = for_people(row.result) if row.result else None
    return 2 if result and (is_long(result.offset_ms) or is_long(result.max_error_ms)) else 1


def _remarks(rows: Sequence[Row]) -> list[str]:
    """What must be known beside the numbers, and why some are missing."""
    results = [for_people(row.result) for row in rows if row.result]
    doubtful = dict.fromkeys(sentence(result) for result in results if is_doubtful(result.error))
    conditional = [f"{_MARK} {CONDITION}"] if any(result.conditional for result in results) else []
    return [*conditional, *doubtful][:_MOST_REMARKS]


def _table(view: View, rows: Sequence[Row], width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    shown = _columns(view, width)
    for name in shown:
        head, right = _HEADS[name]
        # What may be cut is a name; a number that has lost its end would be another number.
        table.add_column(head, justify="right" if right else "left", no_wrap=right)
    for row in rows:
        grey = not row.fresh or view.away is not None
        cells = _cells(row, grey=grey)
        table.add_row(*(cells[name] for name in shown), style=_GREY if grey else None)
    return table


def _columns(view: View, width: int) -> list[str]:
    """The columns that `width` has room for."""
    left_out = set() if width >= _WIDE else {"u95", "delay", "exchanges"}
    several = len({row.vehicle for row in view.rows}) < len(view.rows)
    if width < _WIDE and not several:
        left_out.add("by")
    if width < _NARROW:
        left_out |= {"drift", "steps", "since"}
    return [name for name in _HEADS if name not in left_out]


def _cells(row: Row, *, grey: bool) -> dict[str, str | Text]:
    since = "" if row.since_s is None else ("" if row.since_exact else "> ") + _short(row.since_s)
    return {
        "vehicle": _name(row.vehicle),
        "by": _name(row.topside or "nobody"),
        "state": _state(row, grey=grey),
        **dict.fromkeys(_FIGURES, ""),
        **(_figures(for_people(row.result)) if row.result else {}),
        "since": since,
        "heard": "never" if row.age_s is None else _short(row.age_s),
    }


def _name(name: str) -> Text:
    return Text(name, no_wrap=True, overflow="ellipsis")


def _state(row: Row, *, grey: bool) -> Text:
    """The word; a state that is not renewed is never shown as the present one."""
    if row.result is None:
        return _name("not measured" if row.status == "online" else row.status or "not measured")
    word = row.result.state
    if grey:
        return _name(f"old: {word}")
    error = f" {row.result.error}" if row.result.error else ""
    return Text(word + error, style=STATE_STYLES.get(word, "red"), no_wrap=True, overflow="ellipsis")


def _figures(result: OffsetResult) -> dict[str, str | Text]:
    offset, max_error, u95 = map(_grouped, offset_figures(result, _DECIMALS))
    drift, delay = drift_figures(result)[0], result.delay_min_ms
    cells: dict[str, str | Text] = {
        "offset": offset,
        "max": max_error,
        "u95": u95,
        "drift": "" if drift == "-" else drift,
        "delay": "" if delay is None else f"{delay:.{decimals_of(delay, _DECIMALS)}f}",
        "steps": str(result.steps),
        "exchanges": str(result.exchanges),
    }
    for name, value, text in (
        ("offset", result.offset_ms, distance),
        ("max", result.max_error_ms, lambda value: span(value / 1e3)),
    ):
        if value is not None and is_long(value):
            cells[name] = f"{text(value)}\n{cells[name]}"
    return cells | {"max": f"{_MARK}{cells['max']}"} if result.conditional else cells


def _grouped(shown: str) -> str:
    """With separators of thousands; nothing where it is unknown."""
    return "" if shown == "-" else f"{Decimal(shown):,f}"


def _short(seconds: float) -> str:
    """`95 s`, `12 min`, `3 h`, `4 d`: at least three of each but seconds."""
    for unit_s, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= _AT_LEAST * unit_s:
            return f"{seconds // unit_s:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _hidden(rows: Sequence[Row]) -> Text:
    bad = sum(not row.fresh or row.result is None or row.result.state != "locked" for row in rows)
    text = f"… and {len(rows)} more, {bad or 'none'} of them not locked (a taller window, or --vehicle)"
    return Text(text, style="bold", no_wrap=True, overflow="ellipsis")


def _sessions(sessions: Sequence[SessionState]) -> Text:
    words = [
        f"{state.session} {state.state}"
        + f" ({CLOSING})" * state.closing
        + (f": {state.error or state.alarm}" if state.error or state.alarm else "")
        for state in sessions
    ]
    trouble = any(state.error or state.alarm for state in sessions)
    return Text(
        "Sessions: " + "; ".join(words),
        style="bold red" if trouble else "",
        no_wrap=True,
        overflow="ellipsis",
    )
