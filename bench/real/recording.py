"""A recording of real exchanges: a table of their four stamps with the true offset."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from schemas.exchange import Exchange

if TYPE_CHECKING:
    from pathlib import Path

    from bench.estimators.clocks import Floats, Integers

COLUMNS = ("origin_ns", "receive_ns", "transmit_ns", "destination_ns", "truth_at_ns", "truth_offset_ns")


@dataclass(frozen=True)
class Recording:
    """The exchanges, and the truth: ns above `anchor_ns` at instants of topside's clock, since `start_ns`."""

    name: str
    exchanges: list[Exchange]
    start_ns: int
    anchor_ns: int
    truth_at_ns: Floats
    truth_ns: Floats

    def truth(self, at_ns: Integers) -> Floats:
        """The true offset (ns above `anchor_ns`) at these instants, linear between the table's."""
        since = (at_ns - self.start_ns).astype(np.float64)
        found: Floats = np.interp(since, self.truth_at_ns, self.truth_ns)
        return found

    @property
    def least_half_ns(self) -> float:
        """Half the least round trip: no bound can be narrower unless both ways are known."""
        trips = (e.destination_ns - e.origin_ns - (e.transmit_ns - e.receive_ns) for e in self.exchanges)
        return min(trips) / 2


def read(path: Path) -> Recording:
    """Read a table with `COLUMNS`, integers in ns; ValueError names what is missing or no integer."""
    with path.open(newline="", encoding="utf-8") as lines:
        table = csv.DictReader(lines)
        missing = [name for name in COLUMNS if name not in (table.fieldnames or ())]
        if missing:
            raise ValueError(
                f"{path}: expected the columns {', '.join(COLUMNS)} (missing: {', '.join(missing)})"
            )
        rows = [{name: int(row[name]) for name in COLUMNS} for row in table]
    if len(rows) < 2:
        raise ValueError(f"{path}: expected at least two exchanges (received {len(rows)})")
    start, anchor = rows[0]["origin_ns"], rows[0]["truth_offset_ns"]
    at, truth = np.array(
        [(row["truth_at_ns"] - start, row["truth_offset_ns"] - anchor) for row in rows], dtype=np.float64
    ).T
    exchanges = [_exchange(seq, row, start) for seq, row in enumerate(rows)]
    return Recording(path.stem, exchanges, start, anchor, at, truth)


def _exchange(seq: int, row: dict[str, int], difference_ns: int) -> Exchange:
    """Both clocks ran freely, so that realtime − RAW was constant."""
    return Exchange(
        vehicle="rov1",
        topside="topside",
        seq=seq,
        boot_id="recording",
        origin_ns=row["origin_ns"],
        receive_ns=row["receive_ns"],
        transmit_ns=row["transmit_ns"],
        destination_ns=row["destination_ns"],
        pi_realtime_minus_raw_ns=difference_ns,
        topside_realtime_minus_raw_ns=difference_ns,
        receive_stamp="kernel",
        transmit_stamp="kernel",
    )
