"""Sessions with tables of several sensors whose true times are known."""

import csv
import json

import numpy as np

from schemas.instants import iso_from_ns
from tests.unit.moving_clocks import MovingClock, exchanges_of
from tests.unit.tracks import S
from tidesync.sessions.journal import lines_of

SECONDS = 120
TOPSIDE = MovingClock("topside")


def pi(**moves):
    return MovingClock("pi", -1_200_000_000, 40e-6, **moves)


def make_session(folder, clock, tables, *, seconds=SECONDS, vehicles=("rov1",)):
    """`tables`: path to (clock that stamps it, instants in s, function of an instant to the other fields)."""
    (folder / "time_sync").mkdir(parents=True, exist_ok=True)
    exchanges = exchanges_of(clock, TOPSIDE, seconds=seconds)
    named = [each.model_copy(update={"vehicle": vehicle}) for vehicle in vehicles for each in exchanges]
    (folder / "time_sync" / "exchanges.jsonl").write_bytes(lines_of(named))
    for path, (stamping, at_s, fields) in tables.items():
        write_table(folder / path, stamping, at_s, fields)
    return folder


def write_table(path, stamping, at_s, fields, header="timestamp,mode,value"):
    path.parent.mkdir(parents=True, exist_ok=True)
    stamps = stamping.realtime_ns(np.asarray(at_s)).tolist()
    rows = [f"{iso_from_ns(stamp)},{fields(at)}\n" for stamp, at in zip(stamps, at_s, strict=True)]
    path.write_text(header + "\n" + "".join(rows))


def true_ns(at_s):
    return TOPSIDE.realtime_ns(np.asarray(at_s))


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def instant_ns(text):
    whole, _, rest = text.removesuffix("Z").partition(".")
    return int(np.datetime64(whole, "s").astype(np.int64)) * S + int(rest.ljust(9, "0"))


def write_metadata(folder, document):
    (folder / "sync_metadata.json").write_text(json.dumps(document))
