"""The paths of one vehicle's exchanges: what bounds the offset is common to all, each has delays of its own.

An exchange is true whatever path it took, so all paths' timebases share one bound. The likeliest offset is
found among delays of one kind: that of the path with the least delay, while its exchanges come. Where that
path is lost, the next one's line is moved by as far as both were apart (the difference of its two ways, which
no exchange of its own shows), and the last line of the lost path counts on while it is the surer one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from topside_agent.estimator.average_errors import AverageErrors
from topside_agent.estimator.segments import StepDetector
from topside_agent.estimator.timebase import Carried, Drift, Timebase
from topside_agent.estimator.window_errors import WindowErrors

if TYPE_CHECKING:
    from topside_agent.estimator.constraints import Constraint
    from topside_agent.estimator.settings import EstimatorSettings

_FEW = 3
"""Exchanges over another path, since the last one over the path in use, until that counts as lost."""
_SILENT_S = 1.5
"""And for so long it must have been silent."""
_LEAST_S = 32.0
"""Least delays are compared over this time."""
_EVER_S = 720.0
_NEARER = 0.7
"""A path is better if its least delay is below this share of the other's."""


class _Path:
    """One path: its statistics, which outlive a cut, and its timebase."""

    def __init__(self, settings: EstimatorSettings, *, points: bool) -> None:
        self.errors = WindowErrors(settings) if points else None
        self.averages = AverageErrors(settings) if points else None
        self.step_detector = StepDetector(settings.block_s)
        self.timebase: Timebase | None = None


class Paths:
    """The path in use and the others. A vehicle that is reached by one alone costs nothing more."""

    def __init__(self, settings: EstimatorSettings, *, points: bool) -> None:
        self._points = points
        self._paths: dict[str, _Path] = {}
        self.name = ""
        """Of the path in use."""
        self._since = 0
        """Exchanges over others since its last."""
        self._in_use = _Path(settings, points=points)
        self._unused: _Path | None = self._in_use

    @property
    def errors(self) -> WindowErrors | None:
        """What was measured of the windows' errors, of the path in use."""
        return self._in_use.errors

    def begin(self, first: Constraint, settings: EstimatorSettings, drift: Drift | None = None) -> Timebase:
        """A new timebase, of `first` and its path; those before are over."""
        for path in self._paths.values():
            path.timebase = None
        self._in_use = self._path(first.path, settings)
        self.name, self._since = first.path, 0
        timebase = self._in_use.timebase = Timebase(
            first,
            settings,
            errors=self._in_use.errors,
            averages=self._in_use.averages,
            step_detector=self._in_use.step_detector,
            drift=drift,
        )
        return timebase

    def add(
        self, constraint: Constraint, timebase: Timebase, settings: EstimatorSettings
    ) -> tuple[Timebase, float | None]:
        """Add an exchange; the timebase in use from now on, and when (s) it was contradicted, if it was."""
        if constraint.path == self.name:
            self._since = 0
            return timebase, timebase.add(constraint)
        path = self._path(constraint.path, settings)
        other = path.timebase
        if other is None:
            before_s = timebase.newest_s
            other = path.timebase = Timebase(
                constraint,
                settings,
                errors=path.errors,
                averages=path.averages,
                step_detector=None,
                drift=timebase.drift(),
                beside=timebase,
            )
            contradicted_s = None if other.bound.consistent(other.newest_s) else before_s
        else:
            contradicted_s = other.add(constraint)
        self._since += 1
        if contradicted_s is None and self._is_better(other, timebase):
            self._use(constraint.path, other, timebase)
            return other, None
        return timebase, contradicted_s

    def add_late(self, constraint: Constraint, timebase: Timebase) -> None:
        """Add one that was overtaken."""
        known = self._paths.get(constraint.path)
        path = timebase if constraint.path == self.name else known and known.timebase
        if path:
            path.add(constraint)

    def _path(self, name: str, settings: EstimatorSettings) -> _Path:
        if name not in self._paths:
            self._paths[name] = self._unused or _Path(settings, points=self._points)
            self._unused = None
        return self._paths[name]

    def _is_better(self, other: Timebase, timebase: Timebase) -> bool:
        """Whether the path in use was lost, or the other one is much shorter."""
        if self._since >= _FEW and other.newest_s - timebase.heard_s > _SILENT_S:
            return True
        count, least = other.blocks.within(_LEAST_S)
        return count >= _FEW and least < _NEARER * timebase.blocks.within(_LEAST_S)[1]

    def _use(self, name: str, other: Timebase, timebase: Timebase) -> None:
        at_s = other.newest_s
        before, now = timebase.point(at_s), other.point(at_s)
        longer = other.blocks.within(_LEAST_S)[1] > timebase.blocks.within(_EVER_S)[1]
        other.carried = None
        if longer and before is not None and now is not None:
            other.carried = Carried(before, before.offset - now.offset, before.variance + now.variance)
        timebase.step_detector, timebase.carried = None, None
        self._in_use = self._paths[name]
        other.step_detector = self._in_use.step_detector
        self.name, self._since = name, 0
