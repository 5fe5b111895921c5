"""Tables of random dialects, zones, units and damage, whose truth is known apart from the product.

The reference writes each table itself, reads the output with Python's `csv` module, and computes the rest.
"""

import csv
import io
import random
import sys
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from schemas.compat import UTC
from tests.effort import tries
from tests.unit.tracks import START, S, raw_of, stepped
from tidesync.sessions.correction.clock_limits import ClockLimits
from tidesync.sessions.correction.driver import correct
from tidesync.sessions.correction.from_track import timeline
from tidesync.sessions.correction.stamps.options import StampOptions
from tidesync.sessions.correction.table import COLUMNS, Job

UNITS = {"s": 9, "ms": 6, "us": 3, "ns": 0}
FORMATS = {
    "iso": "%Y-%m-%dT%H:%M:%S",
    "naive": "%Y-%m-%d %H:%M:%S",
    "day-first": "%d.%m.%Y %H:%M:%S",
    "basic": "%Y%m%dT%H%M%S",
}
ZONES = ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"]
NOTES = ["", "plain", "a b", 'say "ah"', "1,5", "x;y", "tab\there", "é", "#", "-9999"]
DAMAGE = [b"", b"\x00\x00\x00\x00", b"not a row", b"-9999", b'"']


class Written:
    """One random table: its bytes, its options, and by key the true topside second of each row."""

    def __init__(self, draw, truth):
        self.kind = draw.choice([*FORMATS, *UNITS])
        self.zone = draw.choice(ZONES)
        self.digits = draw.choice([0, 1, 3, 6, 9])
        self.cut = draw.random() < 0.5
        self.delimiter = draw.choice([",", ";", "\t"])
        self.quoting = draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
        self.end = draw.choice(["\n", "\r\n"])
        self.bom = b"\xef\xbb\xbf" if draw.random() < 0.2 else b""
        self.place = draw.randrange(3)
        seconds = sorted(draw.uniform(0, 290) for _ in range(draw.choice([40, 150, 400])))
        self.truth = {f"k{number}": second for number, second in enumerate(seconds)}
        lines = [self.line(["note", "key"], "timestamp")]
        for key, second in self.truth.items():
            at = START + round(second * S) + round(truth(second))
            lines.append(self.line([draw.choice(NOTES), key], self.text(at)))
            if draw.random() < 0.01:
                lines.append(draw.choice(DAMAGE) + self.end.encode())
        if draw.random() < 0.3:
            lines[-1] = lines[-1].removesuffix(self.end.encode())
        self.content = self.bom + b"".join(lines)

    @property
    def options(self):
        if self.kind == "naive":
            return StampOptions(zone=self.zone)
        return (
            StampOptions(zone=self.zone, time_format=self.kind)
            if self.kind == "day-first"
            else StampOptions()
        )

    def text(self, at):
        step = 10 ** (9 - self.digits)
        at = at // step * step if self.cut else (at + step // 2) // step * step
        if self.kind in UNITS:
            power = UNITS[self.kind]
            whole, rest = divmod(at, 10**power)
            fraction = f"{rest:0{power}d}"[: max(self.digits - (9 - power), 0)] if power else ""
            return f"{whole}.{fraction}" if fraction else str(whole)
        second, rest = divmod(at, S)
        moment = datetime.fromtimestamp(second, UTC).astimezone(
            UTC if self.kind == "iso" else ZoneInfo(self.zone)
        )
        fraction = f".{rest:09d}"[: self.digits + 1] if self.digits else ""
        zone = {"iso": "Z", "basic": moment.strftime("%z")}.get(self.kind, "")
        return moment.strftime(FORMATS[self.kind]) + fraction + zone

    def line(self, fields, stamp):
        fields.insert(self.place, stamp)
        stream = io.StringIO()
        csv.writer(stream, delimiter=self.delimiter, quoting=self.quoting, lineterminator=self.end).writerow(
            fields
        )
        return stream.getvalue().encode()

    def topside_ns(self, text):
        if self.kind in UNITS:
            return int(Decimal(text) * 10 ** UNITS[self.kind])
        return int(np.datetime64(text.removesuffix("Z"), "ns").astype(np.int64))


def check(seed, path):
    draw = random.Random(seed)
    step = draw.choice([0, 0, 3, -3, -60])
    rows, truth = stepped(step * S, at_s=150 if step else 1e9, until_s=300, every_s=1.0)
    rows = rows if step else [row._replace(segment=0) for row in rows]
    limits = ClockLimits(max_error_ns=draw.choice([25, 1100, 200_000]) * 10**6)
    made = Written(draw, truth)
    path.write_bytes(made.content)
    found = correct(
        Job(path, "rov1", stamps=made.options.checked()), timeline(rows, raw_of(rows), limits), lambda _: None
    )
    content = found.output.read_bytes()
    table = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=made.delimiter))
    keys = ["note", "key"]
    keys.insert(made.place, "timestamp")
    assert table[0] == [*keys, *COLUMNS]
    answered = 0
    for row in table[1:]:
        entry = dict(zip(table[0], row, strict=False))
        if entry.get("key") not in made.truth or not entry.get("timestamp_topside"):
            continue
        apart_ns = made.topside_ns(entry["timestamp_topside"]) - START - round(made.truth[entry["key"]] * S)
        assert abs(apart_ns) <= Decimal(entry["time_max_error_ms"]) * 10**6 + 1, (seed, entry)
        answered += 1
    assert without_new_fields(content, made) == made.content, seed
    return found.rows, answered


def without_new_fields(content, made):
    """The input's bytes, if each line is the input's and what was added behind it."""
    kept, delimiter = [], made.delimiter.encode()
    for old, new in zip(
        made.content.splitlines(keepends=True), content.splitlines(keepends=True), strict=True
    ):
        body, end = old.rstrip(b"\r\n"), old[len(old.rstrip(b"\r\n")) :]
        added = new.removeprefix(body).removesuffix(end)
        kept.append(old if new.startswith(body) and (not added or added.startswith(delimiter)) else new)
    return b"".join(kept)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="its oracle, the csv module, has faults in 3.10")
@pytest.mark.timeout(1200)
def test_no_answered_row_is_outside_its_error_and_every_other_byte_is_the_inputs(tmp_path):
    counts = [check(seed, tmp_path / f"{seed}.csv") for seed in range(tries(60))]
    rows, answered = map(sum, zip(*counts, strict=True))
    assert answered > rows / 2
