"""Whether a vehicle is measured well enough now, pure; only fresh results count. If not, why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from schemas.choice import FRESH_S
from schemas.doubtful import is_doubtful
from schemas.instants import ns_from_utc
from schemas.messages import OffsetResult
from tidesync.figures import bound_figure, span
from tidesync.fleet.duplicates import Alternation, doubted, sentence

if TYPE_CHECKING:
    from broker.inbox import Letter
    from runtime.clock import Reading

_PACE_S = 2.0
"""Where the two clocks differ, results must keep pace with time for this long: a backlog arrives faster."""
_PACE_ERROR = 0.5


@dataclass(frozen=True, slots=True)
class _Start:
    measured_ns: int
    heard_raw_ns: int


@dataclass(slots=True)
class WaitCondition:
    """One vehicle: locked, within `max_error_ms` if given, by a result heard live and measured just now."""

    vehicle: str
    max_error_ms: float | None
    last: OffsetResult | None = None
    status: str | None = None
    _last_age_s: float | None = None
    _heard_live: bool = False
    _paced: bool = False
    _starts: dict[str, _Start] = field(default_factory=dict)
    _alternations: dict[str, Alternation] = field(default_factory=dict)

    def take(self, letter: Letter) -> OffsetResult | None:
        """The result, if it fulfils the condition."""
        if letter.topic.vehicle != self.vehicle:
            return None
        if not isinstance(letter.body, OffsetResult):
            self.status = letter.body if isinstance(letter.body, str) else self.status
            return None
        result, received = letter.body, letter.incoming.received
        fresh = self._fresh(result, received, retained=letter.incoming.retain)
        if letter.incoming.retain:
            result = doubted(result)
        else:
            alternation = self._alternations.setdefault(result.topside, Alternation())
            result = alternation.take(result, received.raw_ns)
        self.last = result
        return result if fresh and self._good(result) else None

    def why_not(self) -> str:
        """What is missing, in one sentence."""
        if self.last is None:
            known = f" (its status is {self.status})" if self.status else ""
            return f"nothing was heard of {self.vehicle}'s clock{known}; is it measured by a topside?"
        if not self._heard_live:
            return f"{self.vehicle} is not being measured: {self._quality()} is old ({self._age()})"
        if not self._current:
            return f"{self.vehicle} is {self._quality()}, but {self._age()} by this computer's clock"
        if is_doubtful(self.last.error):
            return sentence(self.last)
        if self.last.state == "locked" and self.max_error_ms is not None:
            return f"{self.vehicle} is {self._quality()}, more than {self.max_error_ms:g} ms"
        return f"{self.vehicle} is {self._quality()}"

    def _good(self, result: OffsetResult) -> bool:
        if result.state != "locked" or result.max_error_ms is None:
            return False
        return self.max_error_ms is None or result.max_error_ms <= self.max_error_ms

    def _fresh(self, result: OffsetResult, received: Reading, *, retained: bool) -> bool:
        """Heard live, and measured just now; or, where the two clocks differ, keeping pace with time."""
        if result.measured_at is None:
            return False
        measured_ns = ns_from_utc(result.measured_at)
        self._last_age_s = (received.realtime_ns - measured_ns) / 1e9
        if retained:
            return False
        self._heard_live = True
        start = self._starts.setdefault(result.topside, _Start(measured_ns, received.raw_ns))
        heard_s = (received.raw_ns - start.heard_raw_ns) / 1e9
        measured_s = (measured_ns - start.measured_ns) / 1e9
        self._paced = heard_s >= _PACE_S and abs(measured_s - heard_s) <= _PACE_ERROR * heard_s
        return self._current

    @property
    def _current(self) -> bool:
        return self._paced or (self._last_age_s is not None and abs(self._last_age_s) <= FRESH_S)

    def _quality(self) -> str:
        assert self.last is not None
        error = f" ({self.last.error})" if self.last.error else ""
        return f"{self.last.state}{error} with a max error of {bound_figure(self.last.max_error_ms, 4)} ms"

    def _age(self) -> str:
        if self._last_age_s is None:
            return "never measured"
        if self._last_age_s < 0:
            return f"measured {span(-self._last_age_s)} in the future"
        return f"measured {span(self._last_age_s)} ago"
