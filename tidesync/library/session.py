"""A recorded session for programs: its tracks, and times on either clock put onto the other.

The answers are those of `tidesync correct`, and rest on what its corrections rest on (docs/correction.md):
no message travels back in time, the RAW clocks run apart no faster than the rate limit, and the clock
histories, where there are any, hold what the wall clocks did.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from schemas.metadata import CONSUMER_TOLERANCE_MS
from tidesync.library.times import Times, read_times
from tidesync.sessions.correction.backward import vehicle_times
from tidesync.sessions.correction.prepared import named_twice, read_measured, vehicle_clock
from tidesync.sessions.correction.session import Options, measured_of
from tidesync.sessions.correction.stamp_array import corrections_of, instants_of
from tidesync.sessions.correction.timeline import NO_U95, STATES, Corrections
from tidesync.sessions.correction.topside_clock import topside_runs
from tidesync.sessions.errors import NothingMeasuredError, UnknownVehicleError, UsageError
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.processes import Choice
from tidesync.sessions.streams import Streams
from topside_agent.estimator import EstimatorSettings, Rows

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tidesync.sessions.correction.prepared import VehicleClock
    from tidesync.sessions.correction.topside_clock import TopsideRuns
    from tidesync.sessions.folder import Measured
    from topside_agent.estimator import Exchanges, Labels

_log = logging.getLogger(__name__)
USED = ("ok", "holdover")
"""The states in which a time is given, and its error holds."""
_NONE = -(2**63)
"""In place of an instant: NaT, where the column is viewed as datetime64[ns]."""
_NAMES = np.array([*STATES, "missing"])
_TRACK = ("topside_unix_ns", "offset_ns", "lower_ns", "upper_ns")


class _Clock(NamedTuple):
    vehicle: VehicleClock
    topside: TopsideRuns


def open_session(
    path: str | os.PathLike[str],
    *,
    topside: str | None = None,
    instances: Sequence[str] = (),
    max_error_ms: float = CONSUMER_TOLERANCE_MS,
    slew_limit_ppm: float | None = None,
    rate_limit_ppm: float | None = None,
) -> Session:
    """Read the session in the folder `path`, and smooth what was measured in it.

    The options are those of `tidesync correct`: whose exchanges are taken (`topside`, `instances`), beyond
    which error a time is `outside` (ms), and promises about how fast the clocks ran (ppm). Nothing is
    written.

    Errors: NothingMeasuredError where the folder has no exchange to go by; UnknownVehicleError where
    several topsides of one name measured at the same time, and none is chosen; SessionError, the base of
    both, where the tables have topside's times already, or a file cannot be read; UsageError for a limit
    that is out of its range.
    """
    rate = EstimatorSettings().rate_limit_ppm if rate_limit_ppm is None else rate_limit_ppm
    _check("max_error_ms", max_error_ms, 1e6)
    _check("rate_limit_ppm", rate, 1e5)
    if slew_limit_ppm not in {None, 0}:
        _check("slew_limit_ppm", slew_limit_ppm, 1e5, "0")
    if isinstance(instances, str) or not all(isinstance(each, str) for each in instances):
        raise UsageError(f"instances: expected a list of texts, received {instances!r}")
    options = Options(
        choice=Choice(topside, tuple(instances)),
        max_error_ms=max_error_ms,
        slew_limit_ppm=slew_limit_ppm,
        rate_limit_ppm=rate,
    )
    return Session(SessionFolder(Path(path)), options)


def _check(name: str, value: Any, most: float, least: str = "more than 0") -> None:
    """UsageError unless it is a number above 0, at most `most`."""
    if not isinstance(value, int | float | np.integer | np.floating) or not 0 < value <= most:
        raise UsageError(f"{name}: expected {least}, at most {most:g}, received {value!r}")


class Session:
    """What was measured in a session; `open_session` makes it.

    Answers are NumPy structured arrays of the shape of what was passed, with the fields

    - `topside_unix_ns` (`to_topside`) or `vehicle_unix_ns` (`to_vehicle`), int64: Unix ns in UTC on that
      clock. Where there is none, -2**63: NaT in `answer["topside_unix_ns"].view("datetime64[ns]")`.
    - `max_error_ns`, float64: the true time is within ± this. NaN where there is none.
    - `u95_ns`, float64: the 95 % half-width, which also assumes that both directions share their smallest
      delay. NaN where there is none.
    - `state`: `ok`; `holdover` (nothing was measured near it; the bound holds all the same); `ambiguous`
      (it may be several instants, or near a cut: no time is given); `outside` (not measured then, or the
      error is above `max_error_ms`: the time is given where it is known); `missing` (none was passed).
    """

    def __init__(self, folder: SessionFolder, options: Options) -> None:
        self._folder, self._options = folder, options
        self._metadata, self._measured = read_measured(folder, options)
        self._clocks: dict[str, _Clock] = {}

    def __repr__(self) -> str:
        """The folder and its vehicles."""
        return f"<tidesync.Session {str(self.path)!r}, vehicles {', '.join(self.vehicles)}>"

    @property
    def path(self) -> Path:
        """The session's folder."""
        return self._folder.path

    @cached_property
    def vehicles(self) -> tuple[str, ...]:
        """The names of the vehicles that were measured, sorted."""
        return tuple(sorted({vehicle for vehicle, _ in self._measured}))

    def track(self, vehicle: str | None = None) -> NDArray[np.void]:
        """The smoothed track of a vehicle, as in `time_sync/offsets.csv`: a row for each exchange.

        Fields, in ns as int64: `topside_unix_ns` (when its answer arrived, on topside's clock),
        `vehicle_unix_ns` (the vehicle's clock then), `offset_ns` (vehicle − topside: positive where the
        vehicle is ahead), `lower_ns` and `upper_ns` (the bounds of the offset), `segment` (a number for
        each stretch without a step, suspend or reboot); `u95_ns` as float64, NaN where there is none;
        `state`: `ok`, `holdover` or `ambiguous` (near a cut).

        `vehicle` may be left out where only one was measured. Errors: as `to_topside`.
        """
        rows = Rows.of(self._measured_of(self._chosen(vehicle)).track.rows)
        states = np.array([row.state for row in rows])
        fields = [(name, "i8") for name in ("topside_unix_ns", "vehicle_unix_ns", *_TRACK[1:])]
        found = np.empty(len(rows), dtype=[*fields, ("u95_ns", "f8"), ("segment", "i8"), ("state", "U9")])
        for name in _TRACK:
            found[name] = rows.column(name)
        found["vehicle_unix_ns"] = found["topside_unix_ns"] + found["offset_ns"]
        found["u95_ns"], found["segment"], found["state"] = rows.u95_ns, rows.column("segment"), states
        return found

    def to_topside(
        self,
        times: Any,
        vehicle: str | None = None,
        *,
        ordered: bool = True,
        resolution_ns: int | None = None,
    ) -> NDArray[np.void]:
        """Topside's instants of `times`, which the clock of `vehicle` stamped; see the class for the answer.

        `times`: integers (Unix ns), datetimes, datetime64, a Series or Index of pandas or a Series of
        polars of these, a list of them, or a single one. Without a zone they are UTC. Floats are refused:
        they do not hold nanoseconds.

        `ordered`: they are in the order in which they were stamped, as the rows of a log, which then
        decides what a time means that the clock showed twice because it was set back, as `tidesync correct`
        decides it. Pass False for times that were picked, sorted or shuffled: a time that was shown twice
        is then `ambiguous`.

        `resolution_ns`: the step in which they were taken, where you know it. By default the coarsest step
        that all of them fit is assumed, and is part of the error: a single time of a whole second resolves
        a second. Pass 0 for exact instants, as of a grid.

        Errors: UsageError for what is no time; NothingMeasuredError where that vehicle was not measured, or
        nothing measured of it can be relied on; UnknownVehicleError where none is named and several were
        measured.
        """
        read = read_times(times)
        timeline = self._clock(self._chosen(vehicle)).vehicle.timeline
        found = corrections_of(read.stamps(resolution_ns), timeline, ordered=ordered)
        return _answer("topside_unix_ns", found, read)

    def to_vehicle(
        self, times: Any, vehicle: str | None = None, *, resolution_ns: int | None = None
    ) -> NDArray[np.void]:
        """What the clock of `vehicle` showed at `times` of topside's clock.

        Arguments and errors as `to_topside`. The bound is that of the correction, and 12 % more: so far two
        clocks may run apart meanwhile. An instant within its error of a step or suspend of either clock is
        `ambiguous`.
        """
        read = read_times(times)
        clock = self._clock(self._chosen(vehicle))
        instants = instants_of(read.stamps(resolution_ns), clock.vehicle.timeline.measured)
        found = vehicle_times(
            clock.vehicle.timeline,
            clock.topside,
            instants.unix_ns[instants.readable],
            instants.resolution_ns[instants.readable],
        )
        return _answer("vehicle_unix_ns", found.spread(instants.readable), read)

    def measured_by(self, vehicle: str) -> dict[str, tuple[int, int]]:
        """The boots of the computer whose clock `vehicle` was measured against: from when to when.

        By each boot's id, or the name of its topside where none was recorded; on topside's clock, Unix ns.
        Errors: as `to_topside`.
        """
        measured = self._measured_of(vehicle)
        spans = _spans(measured.exchanges, "topside_boot_id")
        return {boot or measured.topside: span for boot, span in spans.items()}

    def boots_of(self, vehicle: str) -> dict[str, tuple[int, int]]:
        """The boots of `vehicle` itself: from when to when each was measured, as `measured_by`."""
        spans = _spans(self._measured_of(vehicle).exchanges, "boot_id")
        return {boot: span for boot, span in spans.items() if boot is not None}

    def on_computer_of(self, host: str, vehicle: str) -> list[str]:
        """The topsides that ran on the computer of the vehicle `host` and measured `vehicle`, sorted.

        By the boot's id, which the kernel draws: it is in each exchange with `host`, and in each of theirs.
        """
        boots, used = self.boots_of(host), self._measured_of(host).topside
        read = self._folder.read_streams(lambda each: each.vehicle == vehicle)
        streams = read.streams if read else Streams()
        return [
            topside
            for stream in streams
            if (topside := stream[1]) != used
            and any(labels.topside_boot_id in boots for labels in streams.labels(stream))
        ]

    def of_topside(self, topside: str) -> Session:
        """The same session, as `topside` alone measured it; errors as `open_session`."""
        return Session(self._folder, replace(self._options, choice=Choice(topside)))

    def _chosen(self, vehicle: str | None) -> str:
        if vehicle is not None:
            return vehicle
        if len(self.vehicles) == 1:
            return self.vehicles[0]
        raise UnknownVehicleError(f"vehicle: expected one of {', '.join(self.vehicles)}, received None")

    def _measured_of(self, vehicle: str) -> Measured:
        failed = [reason for (name, _), reason in self._measured.failed.items() if name == vehicle]
        if failed and vehicle not in self.vehicles:
            raise NothingMeasuredError(f"vehicle {vehicle!r}: {'; '.join(failed)}")
        return measured_of(self._measured, vehicle, self._metadata)

    def _clock(self, vehicle: str) -> _Clock:
        if vehicle not in self._clocks:
            measured = self._measured_of(vehicle)
            twice = named_twice(self._folder).get(vehicle, ())
            made = vehicle_clock(self._folder, measured, twice, self._options)
            if made.doubt:
                _log.warning("%s: %s", self.path, made.doubt)
            self._clocks[vehicle] = _Clock(made, topside_runs(made.histories, measured.exchanges))
        return self._clocks[vehicle]


def _spans(exchanges: Exchanges, name: str) -> dict[str | None, tuple[int, int]]:
    """From when to when exchanges came, by the label `name`; on topside's clock."""
    at_ns, found = exchanges.column("destination_ns"), {}
    for label in {getattr(labels, name) for labels in exchanges.labels}:
        here = at_ns[exchanges.labelled(partial(_is_of, name, label))]
        found[label] = int(here.min()), int(here.max())
    return found


def _is_of(name: str, label: str | None, labels: Labels) -> bool:
    return bool(getattr(labels, name) == label)


def _answer(name: str, found: Corrections, read: Times) -> NDArray[np.void]:
    """The structured array of these corrections."""
    answer = np.empty(
        read.counts.size, dtype=[(name, "i8"), ("max_error_ns", "f8"), ("u95_ns", "f8"), ("state", "U9")]
    )
    answer[name] = np.where(found.known, found.topside_ns, _NONE)
    answer["max_error_ns"] = np.where(found.known, found.max_error_ns, np.nan)
    answer["u95_ns"] = np.where(found.known & (found.u95_ns != NO_U95), found.u95_ns, np.nan)
    answer["state"] = _NAMES[found.state]  # UNREADABLE, -1, is the last one
    answer["state"][read.known & (found.state < 0)] = "outside"  # farther from 1970 than clocks go
    return answer.reshape(read.shape)
