"""A session made ready to be corrected: its plan, and the timeline of every vehicle that the plan needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from schemas.events import Duplicate
from schemas.metadata import BLOCK_KEY, CORRECTED, FILE_NAME
from tidesync.sessions.correction.clock_limits import ClockLimits, limits_of
from tidesync.sessions.correction.formats import needs_topside_raw
from tidesync.sessions.correction.histories import read_histories
from tidesync.sessions.correction.instrument_clock import on_clock
from tidesync.sessions.correction.named_twice import boots_of, doubts_of, sentence
from tidesync.sessions.correction.own_clock import TOPSIDE_CLOCK, own_timeline
from tidesync.sessions.correction.session import measured_of, plan, timeline_of
from tidesync.sessions.correction.session_metadata import read_metadata
from tidesync.sessions.correction.topside_raw import TopsideRaw
from tidesync.sessions.errors import AlreadyCorrectedError
from tidesync.sessions.isolation import complaint_of
from tidesync.sessions.kept import KeptTracks
from tidesync.sessions.processes import concurrent
from topside_agent.estimator import EstimatorSettings, Exchanges, in_order

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from tidesync.sessions.correction.histories import Histories
    from tidesync.sessions.correction.session import Options
    from tidesync.sessions.correction.session_metadata import Metadata
    from tidesync.sessions.correction.table import Job
    from tidesync.sessions.correction.tables import Left
    from tidesync.sessions.correction.timeline import Timeline
    from tidesync.sessions.folder import Measured, SessionFolder
    from tidesync.sessions.isolation import Tracks
    from tidesync.sessions.journal import Stream


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a session's tables are corrected by."""

    metadata: Metadata
    measured: Mapping[Stream, Measured]
    jobs: Sequence[Job]
    """Those that have a timeline."""
    untimed: Sequence[Job]
    """The others: their vehicle has none."""
    skipped: Mapping[str, str]
    """Sensors that are not corrected, each with the reason."""
    timelines: Mapping[str, Timeline]
    """By vehicle."""
    left: Sequence[Left]
    """What is left as it is in the session, and why."""
    failed: Sequence[str]
    """Why a vehicle has no timeline, a sentence each."""
    unused: Sequence[str] = ()
    """Which settings of single tables apply to none; a sentence each."""
    unreadable: Sequence[str] = ()
    """Folders of sensors that cannot be read, a sentence each."""
    unmeasured: Sequence[str] = ()
    """Why something that was measured has no track, a sentence each."""

    @property
    def faults(self) -> list[str]:
        """What is wrong whatever the tables are."""
        return [*self.unreadable, *self.failed]

    @property
    def sentences(self) -> list[str]:
        """See `sentences_of`."""
        return sentences_of(self.left)

    def timeline_of(self, job: Job) -> Timeline:
        """What corrects a job; UnusableFileError where what is stated of its clock does not hold."""
        return on_clock(self.timelines[job.vehicle], job.clock, job.path)


def sentences_of(left: Iterable[Left]) -> list[str]:
    """What is left as it is, and why; what a correction wrote is not worth one, sensors have theirs."""
    return [str(each) for each in left if each.why not in {"product", "no_vehicle"}]


def prepare(
    folder: SessionFolder, options: Options, *, whole: bool = False, nested: bool = False
) -> Prepared:
    """Read and smooth what was measured in `folder`, and find its tables; `whole`, `nested`: see `plan`.

    UnknownVehicleError where it is not known whose clock stamped a table, SessionError or OSError where
    nothing was measured or a file cannot be read.
    """
    settings, metadata = _settings(options), uncorrected_metadata(folder)
    measured = KeptTracks()
    for _, one in folder.each_measured(measured.failed, settings, options.choice):
        measured.keep(one)
        del one
    vehicles = [name for name, _ in measured]
    planned = plan(folder.path, metadata, options, vehicles, whole=whole, nested=nested)
    timelines: dict[str, Timeline] = {}
    failed: list[str] = []
    named: list[str] = []
    twice = named_twice(folder)
    counted = any(needs_topside_raw(job.path) for job in planned.jobs)
    for vehicle in dict.fromkeys(job.vehicle for job in planned.jobs):
        if vehicle == TOPSIDE_CLOCK:
            timelines[vehicle] = own_timeline(measured.values(), _own_limits(options))
            if counted:
                topside = _only_topside(measured.values())
                timelines[vehicle] = timelines[vehicle].by_topside(topside)
            continue
        try:
            each = measured_of(measured, vehicle, metadata)
            made = vehicle_clock(folder, each, twice.get(vehicle, ()), options)
            timelines[vehicle] = made.timeline
            if counted:
                timelines[vehicle] = made.timeline.by_topside(TopsideRaw.of(each.exchanges))
            named += [made.doubt] if made.doubt else []
        except Exception as error:  # noqa: BLE001 - the other vehicles' tables are corrected
            reasons = [why for (name, _), why in measured.failed.items() if name == vehicle]
            failed.append("; ".join([complaint_of(f"vehicle {vehicle!r}", error), *reasons]))
    failed += named
    jobs = [job for job in planned.jobs if job.vehicle in timelines]
    untimed = [job for job in planned.jobs if job.vehicle not in timelines]
    return Prepared(
        metadata,
        measured,
        jobs,
        untimed,
        planned.skipped,
        timelines,
        planned.left,
        failed,
        planned.unused,
        planned.unreadable,
        measured.failed.complaints(),
    )


def read_measured(folder: SessionFolder, options: Options) -> tuple[Metadata, Tracks[Measured]]:
    """The metadata of `folder`, and what was measured in it; errors as `prepare`."""
    return uncorrected_metadata(folder), folder.measure(_settings(options), options.choice)


def _settings(options: Options) -> EstimatorSettings:
    return EstimatorSettings(rate_limit_ppm=options.rate_limit_ppm)


def uncorrected_metadata(folder: SessionFolder) -> Metadata:
    """The metadata; AlreadyCorrectedError where the tables are corrected."""
    metadata = read_metadata(folder)
    if metadata.corrected:
        raise AlreadyCorrectedError(
            f"{folder.path}: its tables have topside's times already ({FILE_NAME}: {BLOCK_KEY}.{CORRECTED})"
        )
    return metadata


class VehicleClock(NamedTuple):
    """What is known of a vehicle's clock in a session."""

    timeline: Timeline
    histories: Histories
    doubt: str = ""
    """A sentence, where another vehicle had its name."""


def vehicle_clock(
    folder: SessionFolder, measured: Measured, twice: Sequence[Duplicate], options: Options
) -> VehicleClock:
    """The timeline of what was `measured`; `twice`: the lines of another vehicle of its name.

    NothingMeasuredError where nothing can be relied on; SessionError or OSError where a file cannot be read.
    """
    settings = _settings(options)
    topsides = sorted({labels.topside for labels in measured.exchanges.labels})
    histories = read_histories(folder, measured.vehicle, *topsides)
    histories = replace(histories, namesakes=boots_of(twice))
    made = _timeline(measured, histories, options, settings)
    heard_by = partial(_heard_by, folder)
    doubts = doubts_of(twice, measured.exchanges, heard_by, histories.topside, histories.pi)
    doubt = sentence(measured.vehicle, doubts) if doubts.doubtful else ""
    return VehicleClock(made.doubted(doubts.doubtful), histories, doubt)


def named_twice(folder: SessionFolder) -> dict[str, list[Duplicate]]:
    """By vehicle the lines of another one of its name, or of what a later version says is as bad."""
    events: dict[str, list[Duplicate]] = {}
    for event in folder.each_event():
        if isinstance(event, Duplicate) and event.error != "duplicate_topside":
            events.setdefault(event.vehicle, []).append(event)
    return events


def _only_topside(measured: Collection[Measured]) -> TopsideRaw:
    """How the clock of the session's one topside ran, by the vehicle that it heard most of."""
    most = max(measured, key=lambda each: len(each.exchanges), default=None)
    several = len({each.topside for each in measured}) > 1
    return TopsideRaw(()) if most is None or several else TopsideRaw.of(most.exchanges)


def _heard_by(folder: SessionFolder, line: Duplicate) -> Exchanges:
    """What the topside that wrote `line` measured of its vehicle; of that process alone among namesakes."""
    stream = line.vehicle, line.topside
    read = folder.read_streams(lambda each: (each.vehicle, each.topside) == stream)
    of_stream = read.streams.get(stream) if read else None
    if of_stream is None:
        return Exchanges.of(())
    if concurrent(of_stream):
        of_stream = of_stream.at(of_stream.labelled(lambda each: each.instance_id == line.instance_id))
    return in_order(of_stream)


def _own_limits(options: Options) -> ClockLimits:
    return ClockLimits(max_error_ns=round(options.max_error_ms * 1e6))


def _timeline(
    measured: Measured, histories: Histories, options: Options, settings: EstimatorSettings
) -> Timeline:
    limits = limits_of(
        settings,
        measured.exchanges,
        slew_ppm=options.slew_limit_ppm,
        max_error_ms=options.max_error_ms,
        rate_ppm=measured.track.rate_ppm,
    )
    return timeline_of(measured, limits, histories, settings)
