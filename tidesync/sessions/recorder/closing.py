"""The end of a session: the smoothed track of each vehicle, `offsets.csv`, and the consumer's drift model."""

from __future__ import annotations

import csv
import io
import logging
from collections import defaultdict
from typing import TYPE_CHECKING

from schemas.instants import utc_from_ns
from schemas.metadata import DriftModel, TrackEnd
from tidesync.sessions.recorder import files
from tidesync.sessions.recorder.ending import Closing, Summary
from tidesync.sessions.recorder.journal import Stream, decode_exchanges
from topside_agent.estimator import Row, smooth

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from schemas.exchange import Exchange

_log = logging.getLogger(__name__)

COLUMNS = Row._fields
_MINUTE_NS = 60_000_000_000


def close(exchanges: Path, offsets: Path, topsides: Mapping[str, str], stopped_ns: int) -> Closing:
    """Compute what a session's end adds; if that fails, the session is complete all the same."""
    try:
        return _close(exchanges, offsets, topsides, stopped_ns)
    except Exception:  # noqa: BLE001 - what was measured is safe in exchanges.jsonl, and the stop must end
        _log.exception("no track could be computed from %s; its exchanges are complete", exchanges)
        return Closing(stopped_ns, {}, None)


def drift_model(rows: Sequence[Row]) -> DriftModel | None:
    """One straight line from the first row to the last, or None where the clock was stepped or too few are.

    The consumer's model knows no steps: a line across one would be wrong everywhere.
    """
    sound = [row for row in rows if row.state == "ok"]
    if not sound or len({row.segment for row in rows}) > 1:
        return None
    first, last = sound[0], sound[-1]
    span_ns = last.topside_unix_ns - first.topside_unix_ns
    if span_ns <= 0:
        return None
    moved_ms = (last.offset_ns - first.offset_ns) / 1e6
    return DriftModel(
        start_offset_ms=first.offset_ns / 1e6,
        drift_rate_ms_per_min=moved_ms * _MINUTE_NS / span_ns,
        end_offset_ms=last.offset_ns / 1e6,
    )


def summary(rows: Sequence[Row]) -> Summary:
    """How a track begins and ends; across a step too, where no straight line can say it."""
    sound = [row for row in rows if row.state == "ok"]
    start, end = (_end(sound[0]), _end(sound[-1])) if sound else (None, None)
    return Summary(drift_model(rows), start, end, len({row.segment for row in rows}))


def table(tracks: Mapping[Stream, Sequence[Row]]) -> bytes:
    """`offsets.csv`: every row of every track; absent is empty, never 0."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for stream, rows in tracks.items():
        for row in rows:
            values = (getattr(row, column) for column in COLUMNS[2:])
            writer.writerow([*stream, *("" if value is None else value for value in values)])
    return text.getvalue().encode()


def _close(exchanges: Path, offsets: Path, topsides: Mapping[str, str], stopped_ns: int) -> Closing:
    by_stream = _by_stream(files.read(exchanges) or b"")
    if not by_stream:
        return Closing(stopped_ns, {}, None)
    tracks = {stream: smooth(listed).rows for stream, listed in by_stream.items()}
    files.replace(offsets, table(tracks))
    summaries = {
        vehicle: summary(rows)
        for (vehicle, topside), rows in tracks.items()
        if topsides.get(vehicle, topside) == topside
    }
    return Closing(stopped_ns, summaries, f"{offsets.parent.name}/{offsets.name}")


def _by_stream(content: bytes) -> dict[Stream, list[Exchange]]:
    by_stream: dict[Stream, list[Exchange]] = defaultdict(list)
    for exchange in decode_exchanges(content)[0]:
        by_stream[exchange.vehicle, exchange.topside].append(exchange)
    return by_stream


def _end(row: Row) -> TrackEnd:
    return TrackEnd(
        at=utc_from_ns(row.topside_unix_ns),
        offset_ms=row.offset_ns / 1e6,
        max_error_ms=max(row.upper_ns - row.offset_ns, row.offset_ns - row.lower_ns) / 1e6,
        segment=row.segment,
    )
