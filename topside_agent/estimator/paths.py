"""The paths of one vehicle's exchanges: what bounds the offset is common to all, each has delays of its own.

An exchange is true whatever path it took, so all paths' timebases share one bound. The likeliest offset is
found among delays of one kind: that of the path with the least delay, while its exchanges come. Where that
path is lost, the next one's line is moved by as far as both were apart (the difference of its two ways, which
no exchange of its own shows), and the last line of the lost path counts on while it is the surer one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.exchange import UDP
from topside_agent.estimator.average_errors import AverageErrors
from topside_agent.estimator.segments import StepDetector
from topside_agent.estimator.timebase import Carried, Drift, Timebase
from topside_agent.estimator.window_errors import WindowErrors

if TYPE_CHECKING:
    from topside_agent.estimator.constraints import Constraint
    from topside_agent.estimator.settings import EstimatorSettings

_FEW = 3
"""Exchanges over another path, since the last one over the path in use, until that counts as lost."""
_SILENT_NS = 1_500_000_000
"""And for so long it must have been silent."""
_LEAST_S, _LEARN = 32.0, 1 / 16
"""Over this time the least delay of the path in use is compared; another's is forgotten as fast as this."""
_EVER_S = 720.0
_NEARER = 0.7
"""A path is better if its least delay is below this share of the other's."""
_MOST_WAITING = 256


class _Path:
    """One path: its statistics, which outlive a cut, and its timebase."""

    def __init__(self, settings: EstimatorSettings, *, points: bool) -> None:
        self.errors = WindowErrors(settings) if points else None
        self.averages = AverageErrors(settings) if points else None
        self.step_detector = StepDetector(settings.block_s)
        self.timebase: Timebase | None = None
        self.heard, self.least_ns = 0, 0.0
        """Exchanges since it was in use or a cut, and their recent least delay."""

    def hear(self, delay_ns: int) -> None:
        """Note an exchange while it is not in use."""
        risen = self.least_ns + (delay_ns - self.least_ns) * _LEARN
        self.least_ns = min(delay_ns, risen) if self.heard else delay_ns
        self.heard += 1


class Paths:
    """The path in use and the others. A vehicle that is reached by one alone costs nothing more.

    What comes over another path waits for the next exchange over the path in use: the bound is known at the
    newest exchange, and the result is to hold at the newest one that came the short way.
    """

    def __init__(self, settings: EstimatorSettings, *, points: bool) -> None:
        self._points = points
        self._paths: dict[str, _Path] = {}
        self.name = ""
        """Of the path in use."""
        self._waiting: list[Constraint] = []
        self._in_use = _Path(settings, points=points)
        self._unused: _Path | None = self._in_use

    @property
    def errors(self) -> WindowErrors | None:
        """What was measured of the windows' errors, of the path in use."""
        return self._in_use.errors

    @property
    def came_directly(self) -> bool:
        """Whether exchanges did since the timebase began."""
        direct = self._paths.get(UDP.name)
        return direct is not None and direct.timebase is not None

    def begin(self, first: Constraint, settings: EstimatorSettings, drift: Drift | None = None) -> Timebase:
        """A new timebase, of `first` and its path; those before are over."""
        for path in self._paths.values():
            path.timebase, path.heard = None, 0
        self._waiting.clear()
        self._in_use = self._path(first.path, settings)
        self.name = first.path
        timebase = self._in_use.timebase = Timebase(
            first,
            settings,
            errors=self._in_use.errors,
            averages=self._in_use.averages,
            step_detector=self._in_use.step_detector,
            drift=drift,
        )
        return timebase

    def waits(
        self, constraint: Constraint, newest: Constraint, timebase: Timebase, settings: EstimatorSettings
    ) -> bool:
        """Whether an exchange came over another path and waits; `newest` is that over the path in use.

        It does not wait if its path is used from now on: then `switch` is next.
        """
        path = self._path(constraint.path, settings)
        path.hear(constraint.delay_ns)
        silent_ns = constraint.destination_ns - newest.destination_ns
        lost = len(self._waiting) >= _FEW - 1 and silent_ns > _SILENT_NS
        nearer = path.heard >= _FEW and path.least_ns < _NEARER * timebase.blocks.within(_LEAST_S)[1]
        if lost or nearer or len(self._waiting) >= _MOST_WAITING:
            return False
        self._waiting.append(constraint)
        return True

    def add(self, constraint: Constraint, timebase: Timebase, settings: EstimatorSettings) -> float | None:
        """Add an exchange over the path in use, and what waited; when (s) it was contradicted, if it was."""
        if self._waiting:
            contradicted_s = self._add_waiting(constraint.destination_ns, timebase, settings)
            if contradicted_s is not None:
                return contradicted_s
        return timebase.add(constraint)

    def switch(
        self, constraint: Constraint, timebase: Timebase, settings: EstimatorSettings
    ) -> tuple[Timebase, float | None]:
        """Use the path of an exchange from now on: its timebase, and when (s) it was contradicted, if so."""
        contradicted_s = self._add_waiting(constraint.destination_ns, timebase, settings)
        path = self._path(constraint.path, settings)
        known = path.timebase
        at_s = timebase.newest_s
        before, now = timebase.point(at_s), None if known is None else known.point(at_s)
        other, added_s = self._added(constraint, path, timebase, settings)
        contradicted_s = added_s if contradicted_s is None else contradicted_s
        longer = path.least_ns > timebase.blocks.within(_EVER_S)[1]
        other.carried = None
        if longer and before is not None and now is not None:
            other.carried = Carried(before, before.offset - now.offset, before.variance + now.variance)
        timebase.step_detector, timebase.carried = None, None
        self._in_use.heard = path.heard = 0
        self._in_use, self.name = path, constraint.path
        other.step_detector = path.step_detector
        return other, contradicted_s

    def add_late(self, constraint: Constraint, timebase: Timebase) -> None:
        """Add one that was overtaken."""
        known = self._paths.get(constraint.path)
        path = timebase if constraint.path == self.name else known and known.timebase
        if path:
            path.add(constraint)

    def _add_waiting(self, until_ns: int, timebase: Timebase, settings: EstimatorSettings) -> float | None:
        """Add what arrived until then; a destination later than the newest would be one without a bound."""
        contradicted_s = None
        waiting, self._waiting = self._waiting, []
        for constraint in waiting:
            if constraint.destination_ns > until_ns:
                self._waiting.append(constraint)
                continue
            path = self._path(constraint.path, settings)
            _, added_s = self._added(constraint, path, timebase, settings)
            contradicted_s = added_s if contradicted_s is None else contradicted_s
        return contradicted_s

    def _added(
        self, constraint: Constraint, path: _Path, beside: Timebase, settings: EstimatorSettings
    ) -> tuple[Timebase, float | None]:
        """The path's timebase with that exchange, and when (s) it was contradicted, if it was."""
        if path.timebase is not None:
            return path.timebase, path.timebase.add(constraint)
        before_s = beside.newest_s
        path.timebase = Timebase(
            constraint,
            settings,
            errors=path.errors,
            averages=path.averages,
            step_detector=None,
            drift=beside.drift(),
            beside=beside,
        )
        consistent = beside.bound.consistent(beside.newest_s)
        return path.timebase, None if consistent else before_s

    def _path(self, name: str, settings: EstimatorSettings) -> _Path:
        if name not in self._paths:
            self._paths[name] = self._unused or _Path(settings, points=self._points)
            self._unused = None
        return self._paths[name]
