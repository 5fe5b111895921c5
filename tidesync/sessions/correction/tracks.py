"""From `exchanges.jsonl` to each vehicle's track: raw exchanges are the source of truth."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidesync.sessions.correction.errors import NothingMeasuredError, UnusableFileError
from tidesync.sessions.recorder.closing import table
from tidesync.sessions.recorder.files import replace
from tidesync.sessions.recorder.journal import Stream, decode_exchanges
from topside_agent.estimator import EstimatorSettings, Track, smooth
from topside_agent.estimator.order import in_order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from schemas.exchange import Exchange

_log = logging.getLogger(__name__)

FOLDER = "time_sync"
EXCHANGES = "exchanges.jsonl"
OFFSETS = "offsets.csv"


@dataclass(frozen=True, slots=True)
class Measured:
    """One vehicle as one topside measured it."""

    exchanges: Sequence[Exchange]
    track: Track

    def topside_raw_ns(self) -> dict[int, int]:
        """Topside's RAW clock at each destination stamp, where it is known."""
        return {
            exchange.destination_ns: exchange.destination_ns - exchange.topside_realtime_minus_raw_ns
            for exchange in self.exchanges
            if exchange.topside_realtime_minus_raw_ns is not None
        }


def measure(session: Path, settings: EstimatorSettings) -> dict[Stream, Measured]:
    """The smoothed track of every (vehicle, topside) of a session; NothingMeasuredError if there is none."""
    path = session / FOLDER / EXCHANGES
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise NothingMeasuredError(
            f"{path} is not there: nothing was measured in this session, or it is none"
        ) from error
    except OSError as error:
        raise UnusableFileError(path, error.strerror or str(error)) from error
    exchanges, faults = decode_exchanges(content)
    if faults:
        _log.warning("%s: %d lines are no exchanges and are left out", path, faults)
    by_stream: dict[Stream, list[Exchange]] = defaultdict(list)
    for exchange in exchanges:
        by_stream[exchange.vehicle, exchange.topside].append(exchange)
    if not by_stream:
        raise NothingMeasuredError(f"{path} holds no exchange: nothing was measured in this session")
    ordered = {stream: in_order(listed) for stream, listed in sorted(by_stream.items())}
    return {stream: Measured(listed, smooth(listed, settings)) for stream, listed in ordered.items()}


def write_offsets(session: Path, measured: Mapping[Stream, Measured]) -> Path:
    """Write `offsets.csv`, every track in it."""
    path = session / FOLDER / OFFSETS
    try:
        replace(path, table({stream: each.track.rows for stream, each in measured.items()}))
    except OSError as error:
        raise UnusableFileError(path, f"{error.strerror or error}; it was not written") from error
    return path
