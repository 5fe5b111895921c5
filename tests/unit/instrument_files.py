"""Sea-Bird's and RBR's files with a known truth, and the timeline of a session that they are of."""

import sqlite3
from datetime import datetime

import numpy as np

from schemas.compat import UTC
from tests.unit.recorded_clock import CLOCKS, write_session
from tests.unit.tracks import START, S
from tidesync.sessions.correction.instrument_clock import InstrumentClock
from tidesync.sessions.correction.prepared import prepare
from tidesync.sessions.correction.session import Options
from tidesync.sessions.correction.stamps.options import StampOptions
from tidesync.sessions.correction.table import Job
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.messages.driver import correct_messages

DAY = 86_400
HEADER = """* Sea-Bird SBE 9 Data File:
* FileName = D:\\dive\\ours.hex
* System UTC = May 01 2026 12:00:20

# nquan = {count}
# nvalues = {rows}
# units = specified
{names}
# interval = seconds: 0.0416667
# start_time = {start}
# bad_flag = -9.990e-29
# datcnv_skipover = 0
# file_type = ascii
*END*
"""
TIMES = {
    "timeS": lambda passed_ns, _: f"{passed_ns / S:.3f}",
    "timeM": lambda passed_ns, _: f"{passed_ns / S / 60:.6f}",
    "timeH": lambda passed_ns, _: f"{passed_ns / S / 3600:.7f}",
    "timeK": lambda _, shown_ns: f"{shown_ns // S - 946_684_800}",
    "timeY": lambda _, shown_ns: f"{shown_ns / S:.3f}",
    "timeJV2": lambda _, shown_ns: f"{shown_ns / S / DAY - 20_454 + 1:.6f}",  # 2026-01-01
}
TIMES["timeJ"] = TIMES["timeJV2"]


def start_text(shown_ns):
    return f"{datetime.fromtimestamp(shown_ns // S, UTC):%b %d %Y %H:%M:%S}"


def write_cnv(path, clock, kind="timeS", *, at_s=20, seconds=90, rate=4, ppm=60, by="System UTC", names=None):
    """Scans of a sample clock that runs `ppm` fast; topside's instants of them, ns."""
    begin = START + at_s * S + 300_000_000
    chance = np.random.default_rng(4)
    passed = [number * S // rate for number in range(seconds * rate)]
    truth = [begin + round(each / (1 + ppm * 1e-6)) for each in passed]
    counts = kind in {"timeS", "timeM", "timeH", "timeJ"}
    kept = [place for place, at in enumerate(truth) if counts or not clock.off((at - START) / S)]
    begin_s = int(clock.shows(begin)) // S
    names = names or ["prDM: Pressure [db]", f"{kind}: Time", "flag: flag"]
    place = next(number for number, name in enumerate(names) if name.startswith(kind))
    lines = []
    for row in kept:
        values = [f"{chance.uniform(0, 90):.3f}" for _ in names]
        shown_ns = begin_s * S + passed[row] if counts else int(clock.shows(truth[row]))
        values[place] = TIMES[kind](passed[row], shown_ns)
        lines.append("".join(f" {value:>10}" for value in values) + "\r\n")
    head = HEADER.format(
        count=len(names),
        rows=len(lines),
        names="\n".join(f"# name {number} = {name}" for number, name in enumerate(names)),
        start=start_text(int(clock.shows(begin))) + (f" [{by}, header]" if by else ""),
    )
    path.write_bytes(head.replace("\n", "\r\n").encode() + "".join(lines).encode())
    return [truth[row] for row in kept]


def write_rsk(path, clock, *, seconds=120, rate=4):
    """A logger's database as RSK 2 has it, in part; topside's instants of its samples, ns."""
    chance = np.random.default_rng(5)
    truth = [START + number * S // rate + int(chance.integers(S // rate)) for number in range(seconds * rate)]
    truth = [at for at in truth if not clock.off((at - START) / S)]
    path.unlink(missing_ok=True)
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE dbInfo (version VARCHAR(50) PRIMARY KEY, type VARCHAR(50))")
    database.execute("INSERT INTO dbInfo VALUES ('2.10.0', 'full')")
    database.execute("CREATE TABLE events (deploymentID INTEGER, tstamp INTEGER, type INTEGER)")
    database.execute("CREATE TABLE data (tstamp BIGINT PRIMARY KEY ASC, channel01 DOUBLE)")
    known = {}
    for at_ns in truth:
        known.setdefault(int(clock.shows(at_ns)) // 1_000_000, at_ns)
    database.executemany("INSERT INTO data VALUES (?, ?)", [(at_ms, at_ms % 97 / 7) for at_ms in known])
    database.commit()
    database.close()
    return list(known.values())


def timeline_with(path, name, folder, **options):
    """The vehicle's timeline in a session with a file as that at `path`; made once."""
    known = name, path.suffix, repr(options)
    if known not in _timelines:
        write_session(folder, CLOCKS[name])
        stated = Options(files=(path,), vehicle="rov1", **options)
        _timelines[known] = prepare(SessionFolder(folder), stated).timelines["rov1"]
    return _timelines[known]


_timelines = {}


def corrected(path, timeline, zone="UTC", **stated):
    stated = {"clock": InstrumentClock("vehicle"), "stamps": StampOptions(zone=zone), **stated}
    return correct_messages(Job(path, "rov1", **stated), timeline, lambda _: None)
