"""The live screen: one row a vehicle, aged as it is looked at, and below it what happened last."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from tidesync.figures import span
from tidesync.states import STATE_STYLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from schemas.messages import OffsetResult, SessionState
    from tidesync.fleet import Row

_HEAD_LINES = 6
"""Title, blank, two lines of headings and their rule, and the last line."""
_WIDE = 104
"""From this width on there is room for the columns beyond the essential ones."""
_GREY = "dim"


@dataclass(frozen=True, slots=True)
class Scene:
    """What there is to be seen at one moment."""

    title: str
    away: str | None
    """Why the broker is away, and since when; None while it is there."""
    rows: Sequence[Row]
    sessions: Sequence[SessionState] = ()
    happened: Sequence[str] = field(default=())
    """Events and changes of state, the newest last."""


def draw(scene: Scene, width: int, height: int) -> RenderableType:
    """The screen of `width` × `height` characters; what has no room is counted, not cut off in silence."""
    room = max(1, height - _HEAD_LINES - (1 if scene.away else 0) - (1 if scene.sessions else 0))
    shown = scene.rows if len(scene.rows) <= room else scene.rows[: room - 1]
    left = room - len(shown) - (1 if len(shown) < len(scene.rows) else 0)
    parts: list[RenderableType] = [Text(scene.title, no_wrap=True, overflow="ellipsis")]
    if scene.away:
        parts.append(Text(f" {scene.away} ", style="bold reverse", no_wrap=True, overflow="ellipsis"))
    parts.append(
        _table(scene, shown, wide=width >= _WIDE) if scene.rows else Text("\nno vehicle is known yet")
    )
    if len(shown) < len(scene.rows):
        parts.append(_hidden(scene.rows[len(shown) :]))
    if scene.sessions:
        parts.append(_sessions(scene.sessions))
    parts += [
        Text(line, style=_GREY, no_wrap=True, overflow="ellipsis")
        for line in scene.happened[-left:]
        if left > 0
    ]
    return Group(*parts)


def _table(scene: Scene, rows: Sequence[Row], *, wide: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    several = len({row.vehicle for row in scene.rows}) < len(scene.rows)
    table.add_column("vehicle", no_wrap=True, overflow="ellipsis")
    if several or wide:
        table.add_column("by", no_wrap=True, overflow="ellipsis")
    table.add_column("state", no_wrap=True, min_width=13)
    heads = ["offset\nms", "max\n± ms", *(["likely\n± ms"] if wide else []), "drift\nppm", "steps"]
    heads += ["delay\nms", "exch."] if wide else []
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("since", justify="right", no_wrap=True)
    table.add_column("heard", justify="right", no_wrap=True)
    for row in rows:
        grey = row.old or scene.away is not None
        by = [row.topside or "nobody"] if several or wide else []
        cells: list[str | Text] = [row.vehicle, *by, _state(row, grey=grey)]
        cells += [*_figures(row.result, wide=wide), *_times(row)]
        table.add_row(*cells, style=_GREY if grey else None)
    return table


def _state(row: Row, *, grey: bool) -> Text:
    """The word; a state that nobody renews is never shown as if it held."""
    if row.result is None:
        return Text(f"not measured{'' if row.status == 'online' else ', offline'}")
    word = row.result.state
    if grey:
        return Text(f"OLD: {word}")
    error = f" {row.result.error}" if row.result.error else ""
    return Text(word + error, style=STATE_STYLES[word])


def _figures(result: OffsetResult | None, *, wide: bool) -> list[str]:
    if result is None:
        return [""] * (7 if wide else 4)
    likely = [_number(result.u95_ms, ",.3f")] if wide else []
    more = [_number(result.delay_min_ms, ".3f"), str(result.exchanges)] if wide else []
    offset, most = _number(result.offset_ms, ",.3f"), _number(result.max_error_ms, ",.3f")
    return [offset, most, *likely, _number(result.drift_ppm, "+.2f"), str(result.steps), *more]


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _times(row: Row) -> list[str]:
    since = "" if row.since_s is None else ("" if row.since_exact else "> ") + _short(row.since_s)
    return [since, "never" if row.age_s is None else _short(row.age_s)]


def _short(seconds: float) -> str:
    return f"{max(0.0, seconds):.0f} s" if abs(seconds) < 100 else span(seconds)  # noqa: PLR2004 - three digits


def _hidden(rows: Sequence[Row]) -> Text:
    bad = sum(row.old or row.result is None or row.result.state != "locked" for row in rows)
    trouble = f", {bad} of them not locked" if bad else ", all locked"
    return Text(
        f"… and {len(rows)} more{trouble}: make the window taller, or choose with --vehicle", style="bold"
    )


def _sessions(sessions: Sequence[SessionState]) -> Text:
    told = [
        f"{state.session} {state.state}"
        + (f": {state.error or state.alarm}" if state.error or state.alarm else "")
        for state in sessions
    ]
    trouble = any(state.error or state.alarm for state in sessions)
    return Text(
        "Sessions: " + "; ".join(told), style="bold red" if trouble else "", no_wrap=True, overflow="ellipsis"
    )
