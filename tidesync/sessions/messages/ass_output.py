"""The files of corrected subtitles: events with an answer, those without one, and a table of all errors.

Times stay relative to the begin of the video, now by topside's clock: where the computer's clock was slewed
or set, they move to where the video shows what they say. The first point that has an answer keeps its place.
Dates and times of day that are shown become topside's, in their zone.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from runtime.files import replacing
from tidesync.sessions.messages.ass_lines import BREAK, written_time
from tidesync.sessions.messages.cockpit_start import CENTISECOND_NS, rewritten
from tidesync.sessions.messages.sidecar import marked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tidesync.sessions.correction.timeline import Corrections
    from tidesync.sessions.messages.ass_lines import Event, Point
    from tidesync.sessions.messages.format import Block, Outcome, Target, Write

STEP_NS = 1_000
"""The unit of the table of errors."""
_LAST_NS = 999_999_999
_COLUMNS = ("line", "start", "end")


class Placed(NamedTuple):
    """A point's times in the corrected file, and how much topside's clock was ahead of the computer's; ns."""

    start_ns: int
    end_ns: int
    ahead_ns: int
    recorded_ns: int


@contextmanager
def ass_output(
    target: Target, outcome: Outcome, lines: Sequence[str], unreadable: Sequence[int], begin_ns: int
) -> Iterator[Write]:
    """Write the corrected files; see `format.Messages.output`."""
    unanswered: list[Path] = []
    with ExitStack() as stack, marked(target, _COLUMNS) as table:
        stream = stack.enter_context(replacing(target.output))

        def write(block: Block, columns: Sequence[Corrections]) -> None:
            points: Sequence[Point] = block.records
            made = _placed(points, columns, begin_ns)
            kept, left = dict[int, str](), set(unreadable)
            for point, found in zip(points, made, strict=True):
                if found is None:
                    left.update(event.line for event in point.events)
                else:
                    kept.update((event.line, _written(event, found, point)) for event in point.events)
            stream.writelines(
                _bytes(kept.get(number, line)) for number, line in enumerate(lines) if number not in left
            )
            if left:
                further = stack.enter_context(replacing(target.unanswered))
                further.writelines(_bytes(line) for number, line in enumerate(lines) if number not in kept)
                unanswered.append(target.unanswered)
            fronts = (f"{point.events[0].line + 1},{','.join(point.events[0].times)}" for point in points)
            table.write(fronts, columns[0], STEP_NS)

        yield write
    outcome.beside.append(target.sidecar)
    outcome.beside.extend(unanswered)
    if not unanswered:
        target.unanswered.unlink(missing_ok=True)


def _placed(points: Sequence[Point], columns: Sequence[Corrections], begin_ns: int) -> list[Placed | None]:
    """Where each point is in the corrected file; None: it has no answer."""
    start, end = columns
    answered, end_answered = start.answered.tolist(), end.answered.tolist()
    found, anchor_ns = list[Placed | None](), None
    for place, point in enumerate(points):
        if not answered[place]:
            found.append(None)
            continue
        at_ns = int(start.topside_ns[place])
        anchor_ns = at_ns - point.start_ns if anchor_ns is None else anchor_ns
        length_ns = (
            int(end.topside_ns[place]) - at_ns if end_answered[place] else point.end_ns - point.start_ns
        )
        recorded_ns = begin_ns + point.start_ns + CENTISECOND_NS // 2
        begins_ns = at_ns - anchor_ns
        found.append(Placed(begins_ns, begins_ns + max(length_ns, 0), at_ns - recorded_ns, recorded_ns))
    return found


def _written(event: Event, found: Placed, point: Point) -> str:
    """The event's line."""
    text = event.text
    if point.second_ns is not None:
        shown = [part for each in point.events for part in each.parts]
        within_ns = min(max(found.recorded_ns, point.second_ns), point.second_ns + _LAST_NS)
        parts = [rewritten(part, within_ns + found.ahead_ns, shown) for part in event.parts]
        breaks = [*BREAK.findall(text), ""]
        text = "".join(part + separator for part, separator in zip(parts, breaks, strict=True))
    start, end = event.times
    return event.written(written_time(found.start_ns, start), written_time(found.end_ns, end), text)


def _bytes(line: str) -> bytes:
    return line.encode("utf-8", "surrogateescape")
