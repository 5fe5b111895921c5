"""From `exchanges.jsonl` to each vehicle's track: raw exchanges are the source of truth."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from topside_agent.correction.errors import NothingMeasuredError, UnusableFileError
from topside_agent.estimator import EstimatorSettings, Track, smooth
from topside_agent.recorder.closing import table
from topside_agent.recorder.files import replace
from topside_agent.recorder.journal import Stream, decode_exchanges

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from schemas.exchange import Exchange

_log = logging.getLogger(__name__)

FOLDER = "time_sync"
EXCHANGES = "exchanges.jsonl"
OFFSETS = "offsets.csv"
_SAME_CLOCK_NS = 400_000_000
"""Topside's realtime − RAW moves by less than this from one exchange to the next unless its clock is set."""


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
        raise NothingMeasuredError(f"{path} is not there: nothing was measured in this session") from error
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
    replace(path, table({stream: each.track.rows for stream, each in measured.items()}))
    return path


def in_order(exchanges: Sequence[Exchange]) -> list[Exchange]:
    """The order in which they were finished, although some were written late.

    By destination, but not across a setting of topside's own clock: each exchange says by its
    realtime − RAW to which of that clock's stretches it belongs; stretches stand as they first appear.
    """
    stretches: list[tuple[int | None, list[Exchange]]] = []
    for exchange in exchanges:
        difference = exchange.topside_realtime_minus_raw_ns
        for index in range(len(stretches) - 1, -1, -1):
            known, listed = stretches[index]
            same = known is None or difference is None or abs(known - difference) < _SAME_CLOCK_NS
            if same:
                listed.append(exchange)
                stretches[index] = difference, listed
                break
        else:
            stretches.append((difference, [exchange]))
    for _, listed in stretches:
        listed.sort(key=lambda exchange: exchange.destination_ns)
    return [exchange for _, listed in stretches for exchange in listed]
