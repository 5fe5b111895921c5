"""What is known of one vehicle, pure: what it reports of itself, one topside's results, and both as a row."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from runtime.clock_daemons import discipline_text
from schemas.choice import fresh_for_s
from schemas.doubtful import is_doubtful
from schemas.exchange import method_named
from schemas.instants import ns_from_utc
from schemas.messages import OffsetResult
from tidesync.figures import span
from tidesync.fleet.dated import MeasuredInstants
from tidesync.fleet.duplicates import Alternation, doubted
from tidesync.fleet.history import ResultHistory
from tidesync.fleet.renewal import renewal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.clock import Reading
    from schemas.messages import Event, Info
    from tidesync.fleet.renewal import Renewal, Words

_SHORT_S, _LONG_S = 0.1, 60.0
"""A shorter step is given in ms, one from the second on also in minutes, hours, days or years."""
CONDITION = "holds unless the vehicle's clock was set or slewed since its last answer"
"""What a `conditional` result assumes, in one sentence for every surface."""


@dataclass(slots=True)
class VehicleInfo:
    """What a vehicle reports of itself, whichever topside measures it."""

    status: str | None = None
    info: Info | None = None
    event: Event | None = None
    event_raw_ns: int = 0
    version: int = 0


@dataclass(slots=True)
class Results:
    """The newest result of one vehicle by one topside; instants are of this computer's RAW clock."""

    topside: str
    history: ResultHistory | None
    current_raw_ns: int | None
    """Of when the result is: of its arrival; or of `measured_at`, if retained."""
    since_raw_ns: int
    since_exact: bool = False
    live: bool = False
    """Whether a result was heard live, or a retained one replaced an older one."""
    seen_raw_ns: int | None = None
    version: int = 0
    row_version: int = 0
    """When more of its row changed last than its numbers."""
    alternation: Alternation = field(default_factory=Alternation)
    instants: MeasuredInstants = field(default_factory=MeasuredInstants)
    error: str | None = None
    interval_s: float | None = None
    """As the newest result has them."""
    _result: OffsetResult | None = None
    _renewal: Renewal | None = None
    """The newest, where it is not decoded."""
    _words: Words | None = None
    """Those of the last result, where one of the same words changes its numbers alone."""

    @property
    def result(self) -> OffsetResult:
        """The newest, as it may be relied on."""
        if self._result is None:
            assert self._renewal is not None
            self._result = OffsetResult.decode(self._renewal.payload)
        return self._result

    @property
    def listed(self) -> bytes | None:
        """The numbers of `renewal.LISTED` as they were received; None where it was decoded."""
        return self._renewal.listed if self._renewal else None

    @property
    def max_error_ms(self) -> float | None:
        """Its bound."""
        return self._renewal.max_error_ms if self._renewal else self.result.max_error_ms

    @classmethod
    def first(cls, result: OffsetResult, received: Reading, *, retained: bool, share: float) -> Results:
        """From the first result that was heard; `share` is the history's (`share_of`), 0 for none."""
        history, alternation = ResultHistory(share) if share else None, Alternation()
        result = doubted(result) if retained else alternation.take(result, received.raw_ns)
        current_raw_ns = _measured_raw_ns(result, received) if retained else received.raw_ns
        first = cls(
            result.topside,
            history,
            current_raw_ns,
            received.raw_ns,
            live=not retained,
            alternation=alternation,
        )
        first._hold(result)
        first._note_seen(result, received, retained=retained)
        if history and not retained:
            first._note(None, result, received)
        return first

    def take(self, result: OffsetResult, received: Reading, version: int, *, retained: bool) -> bool:
        """Take a later result; false for a retained one that is not newer, as brokers repeat it."""
        before = self.result
        if retained and not _newer(result, before):
            return False
        result = doubted(result) if retained else self.alternation.take(result, received.raw_ns)
        self.version = version
        if retained or not self.live or _words(result) != _words(before):
            self.row_version = version
        if before.state != result.state:
            self.since_raw_ns, self.since_exact = received.raw_ns, True
        self._hold(result)
        self.current_raw_ns, self.live = received.raw_ns, True
        if retained and (measured_raw_ns := _measured_raw_ns(result, received)) is not None:
            self.current_raw_ns = min(received.raw_ns, measured_raw_ns)
        self._note_seen(result, received, retained=retained)
        self._note(before, result, received)
        return True

    def _hold(self, result: OffsetResult) -> None:
        self._result, self._renewal, self._words = result, None, None
        self.error, self.interval_s = result.error, result.interval_s

    def may_renew(self, payload: bytes) -> None:
        """Remember the words of the result that was taken last, live and of this `payload`."""
        if not is_doubtful(self.error) and self.result.instance_id and (found := renewal(payload)):
            self._words = found.words

    def renew(self, payload: bytes, received: Reading, version: int) -> bool:
        """Take a live result if it differs from the last one in its numbers alone; else decode it."""
        found = renewal(payload) if self._words else None
        if found is None or found.words != self._words or not self.alternation.again(received.raw_ns):
            return False
        self._result, self._renewal, self.version = None, found, version
        self.current_raw_ns = raw_ns = received.raw_ns
        self.seen_raw_ns = raw_ns - round(found.age_s * 1e9)
        if self.history:
            self.history.renewal(found, raw_ns / 1e9, self.instants.raw_s(found.measured_unix_ms, received))
        return True

    def _note_seen(self, result: OffsetResult, received: Reading, *, retained: bool) -> None:
        """`age_s` before the arrival; of a retained result, before `measured_at` if that is earlier."""
        if result.age_s is None or result.measured_at is None:
            return
        at_raw_ns = received.raw_ns
        if retained and (measured_raw_ns := _measured_raw_ns(result, received)) is not None:
            at_raw_ns = min(at_raw_ns, measured_raw_ns)
        self.seen_raw_ns = at_raw_ns - round(result.age_s * 1e9)

    def is_fresh(self, now: Reading, fresh_s: float) -> bool:
        """Whether it is not old; `fresh_s` as for `fresh_for_s`."""
        age_s = since_s(self.current_raw_ns, now)
        return age_s is not None and abs(age_s) <= fresh_for_s(self, fresh_s)

    def known(self, now: Reading, fresh_s: float) -> dict[str, Any]:
        """The fields of a row that results give; `fresh_s` as for `fresh_for_s`."""
        return {
            "result": self.result,
            "age_s": since_s(self.current_raw_ns, now),
            "fresh": self.is_fresh(now, fresh_s),
            "fresh_s": fresh_for_s(self, fresh_s),
            "live": self.live,
            "since_s": since_s(self.since_raw_ns, now),
            "since_exact": self.since_exact,
            "last_seen_s": since_s(self.seen_raw_ns, now),
            "steps_listed": self.history.steps if self.history else None,
        }

    def _note(self, before: OffsetResult | None, result: OffsetResult, received: Reading) -> None:
        if self.history is None:
            return
        raw_s = received.raw_ns / 1e9
        self.history.result(result, raw_s, self.instants.raw_s(result.measured_unix_ms, received))
        if before is None:
            return
        if before.state != result.state:
            reason = f" ({result.error})" if result.error else ""
            self.history.incident("state", f"{before.state} → {result.state}{reason}", raw_s)
        if before.boot_id and result.boot_id and before.boot_id != result.boot_id:
            self.history.incident("reboot", "the vehicle's computer was restarted", raw_s)


@dataclass(frozen=True, slots=True)
class Row:
    """A vehicle as one topside measures it at one moment; or, with no topside, as it is known otherwise."""

    vehicle: str
    topside: str | None = None
    result: OffsetResult | None = None
    age_s: float | None = None
    """Of the result; None where nothing was ever measured."""
    fresh: bool = False
    fresh_s: float | None = None
    """The age up to which its result is fresh."""
    live: bool = False
    """Whether a result was heard live; else all that is known is what the broker had retained."""
    since_s: float | None = None
    """How long the state has lasted, as far as it was watched."""
    since_exact: bool = False
    """Whether the change to this state was seen; else `since_s` is only how long it was watched."""
    last_seen_s: float | None = None
    """Since the vehicle last answered."""
    steps_listed: int | None = None
    """The clock steps among the incidents of its history; None where none is kept."""
    status: str | None = None
    info: Info | None = None
    event: Event | None = None
    event_age_s: float | None = None
    topside_status: str | None = None
    group: str | None = None
    """The topside's, where it shares vehicles with others."""
    recording: tuple[str, ...] = ()
    """The sessions that record it."""
    in_use: bool = False
    """Whether of the vehicle's results this one is to be used while it is fresh (`schemas.choice`)."""

    @property
    def old(self) -> bool:
        """Whether its result is known not to be renewed."""
        return not self.fresh and self.age_s is not None


_words = attrgetter(
    *(
        "state",
        "error",
        "method",
        "path",
        "boot_id",
        "segment",
        "steps",
        "conditional",
        "interval_s",
        "instance_id",
    )
)
"""What of a result changes seldom; the rest are its numbers."""


def path_of(result: OffsetResult) -> str:
    """The word for the way of its exchanges; topsides of before there were several do not say it."""
    return result.path or method_named(result.method).path


def topsides_twice(rows: Iterable[Row]) -> set[str]:
    """The topsides of which two have one name now, by their fresh results."""
    results = [row.result for row in rows if row.fresh and row.result]
    return {result.topside for result in results if result.error == "duplicate_topside"}


def _newer(result: OffsetResult, before: OffsetResult) -> bool:
    if before.measured_at is None or result.measured_at is None:
        return False
    return result.measured_at > before.measured_at


def _measured_raw_ns(result: OffsetResult, received: Reading) -> int | None:
    if result.measured_at is None:
        return None
    return ns_from_utc(result.measured_at) - received.realtime_minus_raw_ns


def measured_age_s(result: OffsetResult, now: Reading) -> float | None:
    """Seconds since `measured_at` by this computer's clock; None where nothing was ever measured."""
    return since_s(_measured_raw_ns(result, now), now)


def discipline_of(info: Info) -> str:
    """Who disciplines a vehicle's clock, for people."""
    if info.clock_free is None:
        return "not known who disciplines it"
    return discipline_text(info.clock_daemons, info.clock_max_slew_ppm, free=info.clock_free)


def since_s(at_raw_ns: int | None, now: Reading) -> float | None:
    """Seconds from an instant of the RAW clock to `now`."""
    return None if at_raw_ns is None else (now.raw_ns - at_raw_ns) / 1e9


def event_text(event: Event) -> str:
    """A clock step or a suspend, for people."""
    return f"{'clock stepped' if event.kind == 'step' else 'suspended'} {_by(event.step_ms / 1e3)}"


def _by(seconds: float) -> str:
    exact = f"{seconds:+,.3f} s" if abs(seconds) >= _SHORT_S else f"{seconds * 1e3:+.3f} ms"
    return exact if abs(seconds) < _LONG_S else f"{'+' if seconds > 0 else '-'}{span(abs(seconds))} ({exact})"
