"""Dataflash logs (.BIN) of ArduPilot: times since boot, in a table beside the log, which stays as it is.

Boot times are related to topside's clock by a .tlog of the same dive, which `--since FILE.tlog` names: see
boot_clock.py. Its stamps are of the vehicle's clock, or with `--since topside:FILE.tlog` of topside's. The
start of the autopilot that the log is of is that whose attitudes at the same boot times are the log's:
same_start.py. Where none is, the .tlog is refused.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from tidesync.sessions.correction.own_clock import OwnClock
from tidesync.sessions.correction.stamps.column import form_of_numbers
from tidesync.sessions.correction.stamps.numbers import UNIX
from tidesync.sessions.correction.stamps.options import AS_FOUND, StampOptions
from tidesync.sessions.correction.table import Batch, Malformed
from tidesync.sessions.correction.timeline import TimelineSegment
from tidesync.sessions.errors import NoTimestampError, UnusableFileError
from tidesync.sessions.messages.boot_clock import LATENCY_NS
from tidesync.sessions.messages.boot_packets import BootPackets, Start
from tidesync.sessions.messages.boot_runs import BootRuns, boot_runs
from tidesync.sessions.messages.dataflash import HEAD, Kind, Records, records_of
from tidesync.sessions.messages.dataflash_output import COLUMNS, fronts_of
from tidesync.sessions.messages.format import Block, Outcome
from tidesync.sessions.messages.same_start import compared
from tidesync.sessions.messages.sidecar import foreign_sidecar, sidecar_output
from tidesync.sessions.messages.since_file import divided, since_file
from tidesync.sessions.messages.tlog_file import open_tlog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from numpy.typing import NDArray

    from tidesync.sessions.correction.table import Job, Measured
    from tidesync.sessions.correction.timeline import Timeline
    from tidesync.sessions.messages.format import Answer, Target, Write
    from topside_agent.estimator.blocks import Floats, Integers

_US = UNIX[2]
_TICK_NS = 1_000
_LATEST_US = 2**52
_ANGLES = ("Roll", "Pitch", "Yaw")
_GROUP, _RESTARTED_NS = 50, 2_000_000_000
_EVER_NS = 2**62


@contextmanager
def open_dataflash(job: Job, measured: Measured) -> Iterator[DataflashFile]:
    """Open a dataflash log; see `format.OpenMessages`."""
    with job.path.open("rb") as stream:
        begin = stream.read(len(HEAD))
        if begin != HEAD:
            received = f"it begins with {begin!r}" if begin else "it is empty"
            raise NoTimestampError(job.path, f"it is no dataflash log: {received}")
        if job.stamps.since is None:
            reason = (
                "its times are since boot: say with --since FILE.tlog which .tlog of the same dive has them"
            )
            raise NoTimestampError(job.path, reason)
        yield DataflashFile(job, measured, stream)


class DataflashFile:
    """An open dataflash log; see `format.Messages`."""

    names = ("TimeUS",)
    step_ns = _TICK_NS

    def __init__(self, job: Job, measured: Measured, stream: BinaryIO) -> None:
        self._job, self._measured, self._stream = job, measured, stream
        self._size = job.path.stat().st_size
        self.outcome = Outcome()
        self.kinds: dict[int, Kind] = {}
        ticks = replace(job, stamps=StampOptions(resolution_ms=0.0), unit=None)
        form = form_of_numbers(ticks, measured, np.zeros(0, dtype=np.int64), _US)
        self.forms = (replace(form, resolution_ns=2 * _TICK_NS, hint=""),)

    def scan(self) -> Iterator[Sequence[Batch]]:
        """All records' times."""
        for block in self.read():
            yield block.columns

    def read(self) -> Iterator[Block]:
        """All records with a time since boot."""
        self.outcome.losses.clear()
        latest = passed = 0
        for records in records_of(self._stream, self._size, self.kinds, self.outcome.losses):
            places, boot_us = _boot_times(records, self.kinds)
            readable = boot_us < _LATEST_US
            boot_ns = np.where(readable, boot_us, 0).astype(np.int64) * 1_000
            latest = self._refuse_restart(boot_ns[readable], records.at(places[readable]), latest)
            malformed = [
                Malformed(passed + place + 1, str(boot_us[place]))
                for place in np.flatnonzero(~readable).tolist()
            ]
            batch = Batch(None, boot_ns, readable, malformed, records.size)
            yield Block((records, places, self.kinds), (batch,))
            passed += places.size

    def timeline(self, vehicles: Timeline, answer: Answer) -> Timeline:
        """One of boot times, by the .tlog."""
        since, packets = divided(self._job.stamps.since), BootPackets()
        path = since_file(self._job.path, since.path or "")
        if since.path is None or not path.is_file():
            reason = f"--since {since.stated}: expected a .tlog of the same dive, beside it or by its path"
            raise UnusableFileError(self._job.path, reason)
        with open_tlog(replace(self._job, path=path, stamps=AS_FOUND), self._measured) as tlog:
            if since.by_topside:
                own = OwnClock(self._measured[0][0], self._measured[-1][1])
                ever = TimelineSegment(own, -_EVER_NS, _EVER_NS, cut_before=False, cut_after=False)
                answered = answer(tlog, vehicles.of_segments([ever]))
            else:
                answered = answer(tlog, vehicles)
            for block, columns in answered:
                packets.take(block.records[0], columns[0])
        found = boot_runs(self._start(packets, path).heard(), vehicles.topside)
        if not found.segments:
            reason = f"what topside's clock did while {path} was recorded is not known"
            raise UnusableFileError(self._job.path, reason)
        self._note(found, path)
        return vehicles.of_segments(found.segments)

    def foreign(self, target: Target) -> Iterator[Path]:
        """A table that is not that of a correction."""
        return foreign_sidecar(target)

    def output(self, target: Target) -> AbstractContextManager[Write]:
        """A table beside the log."""
        return sidecar_output(target, COLUMNS, fronts_of, _TICK_NS)

    def _refuse_restart(self, boot_ns: Integers, at: Integers, latest: int) -> int:
        """The latest boot time so far; UnusableFileError where it begins again: no single damaged one does.

        `at`: where each record is.
        """
        if not boot_ns.size:
            return latest
        groups = np.array_split(boot_ns, max(boot_ns.size // _GROUP, 1))
        middles = np.array([int(np.median(each)) for each in groups], dtype=np.int64)
        before = np.maximum.accumulate(np.concatenate([[latest], middles]))
        fallen = np.flatnonzero(middles < before[:-1] - _RESTARTED_NS)
        if fallen.size:
            place = int(at[sum(each.size for each in groups[: int(fallen[0])])])
            reason = (
                f"its times since boot begin again near byte {place}: it is of two starts; divide it there"
            )
            raise UnusableFileError(self._job.path, reason)
        return int(before[-1])

    def _start(self, packets: BootPackets, path: Path) -> Start:
        """The start of the autopilot that the log is of."""
        starts = [each for of_system in packets.by_system.values() for each in of_system if each.count > 1]
        if not starts:
            reason = f"{path} has no packet of an autopilot with its time since boot that could be answered"
            raise UnusableFileError(self._job.path, reason)
        logged = self._attitudes()
        likeness = [compared(logged, each.attitude) for each in starts]
        found = [start for start, each in zip(starts, likeness, strict=True) if each.same]
        if len(found) == 1:
            return found[0]
        if found:
            reason = f"{path} has {len(starts)} starts of autopilots; {len(found)} may be that of this log"
        else:
            nearest = max(likeness, key=lambda each: each.matched)
            reason = f"nothing shows that {path} is of the same start of the same autopilot: {nearest.why}"
        raise UnusableFileError(self._job.path, reason)

    def _attitudes(self) -> Floats:
        """Boot time (µs), roll, pitch and yaw (degrees) of the log."""
        parts, kinds, latest = [np.zeros((0, 4))], dict[int, Kind](), 0
        for records in records_of(self._stream, self._size, kinds, []):
            timed, boot_us = _boot_times(records, kinds)
            known = boot_us < _LATEST_US
            boot_ns = boot_us[known].astype(np.int64) * 1_000
            latest = self._refuse_restart(boot_ns, records.at(timed[known]), latest)
            for number, kind in kinds.items():
                if kind.name == "ATT" and kind.timed and set(_ANGLES) <= set(kind.columns):
                    places = np.flatnonzero(records.types == number)
                    columns = (records.numbers(places, kind, name) for name in ("TimeUS", *_ANGLES))
                    parts.append(np.stack([*columns], axis=1))
        return np.concatenate(parts)

    def _note(self, found: BootRuns, path: Path) -> None:
        drift = "" if found.drift_ppm is None else f", drift {found.drift_ppm:+.1f} ppm"
        basis = (
            "bounded by TIMESYNC"
            if found.proven
            else (f"if the fastest packets of any 10 s took no longer than {LATENCY_NS / 1e6:.0f} ms")
        )
        ran_on = "" if found.by_raw else ", if topside's clock was not set or slewed meanwhile"
        self.outcome.notes.append(f"boot time by {path.name}{drift}, {basis}{ran_on}")


def _boot_times(records: Records, kinds: Mapping[int, Kind]) -> tuple[Integers, NDArray[np.uint64]]:
    """The places of the records with a time since boot, and these, µs."""
    timed = np.array([kinds[each].timed for each in records.types.tolist()], dtype=bool)
    places = np.flatnonzero(timed)
    return places, records.field(places, 3, "<u8").astype(np.uint64)
