"""The end of a session: the smoothed track of each vehicle, `offsets.csv`, and the consumer's drift model."""

from __future__ import annotations

import csv
import importlib
import io
import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Literal, Protocol

from schemas.metadata import DriftModel
from topside_agent.recorder import files
from topside_agent.recorder.journal import Stream, decode_exchanges
from topside_agent.recorder.session import Closing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from schemas.exchange import Exchange

_log = logging.getLogger(__name__)

COLUMNS = (
    "vehicle",
    "topside",
    "topside_unix_ns",
    "pi_unix_ns",
    "offset_ns",
    "lower_ns",
    "upper_ns",
    "u95_ns",
    "segment",
    "state",
)
_MINUTE_NS = 60_000_000_000


class Row(Protocol):
    """A row of the estimator's track: how the vehicle's clock stood at an exchange's destination."""

    @property
    def topside_unix_ns(self) -> int:
        """Topside's realtime."""

    @property
    def offset_ns(self) -> int:
        """Pi − topside."""

    @property
    def segment(self) -> int:
        """Changes where the clock was stepped, suspended or rebooted."""

    @property
    def state(self) -> Literal["ok", "holdover", "ambiguous", "outside"]:
        """Whether the row can be trusted."""


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
    smooth = _smoother()
    by_stream = _by_stream(files.read(exchanges) or b"")
    if smooth is None or not by_stream:
        return Closing(stopped_ns, {}, None)
    tracks = {stream: smooth(listed) for stream, listed in by_stream.items()}
    files.replace(offsets, table(tracks))
    models = {
        vehicle: model
        for (vehicle, topside), rows in tracks.items()
        if topsides.get(vehicle, topside) == topside and (model := drift_model(rows))
    }
    return Closing(stopped_ns, models, f"{offsets.parent.name}/{offsets.name}")


def _by_stream(content: bytes) -> dict[Stream, list[Exchange]]:
    by_stream: dict[Stream, list[Exchange]] = defaultdict(list)
    for exchange in decode_exchanges(content)[0]:
        by_stream[exchange.vehicle, exchange.topside].append(exchange)
    for listed in by_stream.values():
        listed.sort(key=lambda exchange: exchange.destination_ns)
    return by_stream


def _smoother() -> Callable[[Sequence[Exchange]], Sequence[Row]] | None:
    """The estimator's smoother: it needs numpy, which a recorder alone need not have."""
    try:
        estimator = importlib.import_module("topside_agent.estimator")
    except ModuleNotFoundError as error:
        _log.warning(
            "%s is not installed: offsets.csv is left out; `tidesync estimate` can make it", error.name
        )
        return None
    if not hasattr(estimator, "smooth"):
        return None
    return lambda exchanges: list(estimator.smooth(exchanges, estimator.EstimatorSettings()).rows)
