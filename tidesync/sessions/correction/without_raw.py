"""What the Pi's clock showed in exchanges that do not read its RAW clock, those over HTTP.

Where the clock's function (clock_function.py) shows the same at about that time, such a reading says nothing
new. Else the clock was moved while nobody read RAW: rows may have been stamped as it showed then, and must
not be taken for others, in which it showed the same.

Assumption: between two readings that agree with a clock slewed by 10.05 % nothing moved and came back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tidesync.sessions.correction.interpolation import Instants
from tidesync.sessions.correction.unexplained import FASTEST_SLEW

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from schemas.exchange import Exchange
    from tidesync.sessions.correction.clock_function import ClockFunction
    from tidesync.sessions.correction.raw_groups import Boot, Sample, Samples
    from topside_agent.estimator import Exchanges
    from topside_agent.estimator.blocks import Integers


@dataclass(frozen=True, slots=True)
class Showing:
    """The Pi's clock showed times from `first_ns` to `last_ns`, and others `margins_ns` before and after.

    `pi_raw_ns` is about when, by RAW of the boot of the reading before, or else of the one after.
    """

    boot: Boot
    pi_raw_ns: int
    first_ns: int
    last_ns: int
    margins_ns: tuple[int, int]


class Unrelated:
    """Where the Pi's clock is known, but not what topside's showed meanwhile: every instant is undecided."""

    def __init__(self, first_ns: int, last_ns: int) -> None:
        self.first_ns, self.last_ns = first_ns, last_ns

    def instants(self, pi_ns: Integers) -> Instants:
        """Nothing is known of the instants of `pi_ns`."""
        void, yes = np.zeros(pi_ns.shape), np.ones(pi_ns.shape, dtype=bool)
        return Instants(np.zeros_like(pi_ns), void, void, ~yes, yes)


def showings(
    exchanges: Exchanges, listed: Samples, pi: Mapping[Boot, ClockFunction], rate: float
) -> dict[Boot, list[Showing]]:
    """By boot what the exchanges without RAW show that no function does; `listed` are the others, in order.

    `rate`: how far apart the RAW clocks may run, as a fraction.
    """
    read = exchanges.known("pi_realtime_minus_raw_ns") & exchanges.known("topside_realtime_minus_raw_ns")
    passed, latest = np.cumsum(read), -1
    found: dict[Boot, list[Showing]] = {}
    for place in np.flatnonzero(~read).tolist():
        exchange, after = exchanges[place], int(passed[place])
        around = _read(listed, after - 1), _read(listed, after)
        near = around[0] or around[1]
        if near is None or _explained(exchange, around, pi, rate):
            continue
        at_ns, boot = _about_ns(exchange, *around), near.sample.pi_boot
        showing = _showing(exchange, boot, at_ns, _margins(exchanges, place))
        of_boot = found.setdefault(boot, [])
        if latest == place - 1 >= 0 and of_boot and _agree(exchanges[latest], exchange):
            showing = _joined(of_boot.pop(), showing)
        of_boot.append(showing)
        latest = place
    return found


class _Read(NamedTuple):
    """A sample and its exchange."""

    sample: Sample
    exchange: Exchange


def _read(listed: Samples, index: int) -> _Read | None:
    """The sample there, if there is one."""
    return _Read(listed[index], listed.exchanges[index]) if 0 <= index < len(listed) else None


def _explained(
    exchange: Exchange,
    around: tuple[_Read | None, _Read | None],
    pi: Mapping[Boot, ClockFunction],
    rate: float,
) -> bool:
    """Whether the Pi's clock, as it is known about the sample before or after, shows what was read."""
    for near, later in zip(around, (True, False), strict=True):
        if near is None:
            continue
        ordered = (near.exchange, exchange)[:: 1 if later else -1]
        clock, raw_ns = pi[near.sample.pi_boot], near.sample.pi_raw_ns
        most_ns = round((1 + rate) * _elapsed_ns(*ordered))
        asleep = any(begin < raw_ns + most_ns and raw_ns - most_ns < end for begin, end in clock.suspends)
        least_ns = 0 if asleep else round((1 - rate) * _least_ns(*ordered))
        ends = (least_ns, most_ns) if later else (-most_ns, -least_ns)
        span = (raw_ns + each for each in ends)
        if clock.lines.show(exchange.transmit_ns, exchange.resolution_ns, *span):
            return True
    return False


def _about_ns(exchange: Exchange, before: _Read | None, after: _Read | None) -> int:
    """The Pi's RAW then at the latest, in the boot of the sample before; without one at the earliest."""
    if before is None:
        assert after is not None
        return after.sample.pi_raw_ns - _elapsed_ns(exchange, after.exchange)
    latest_ns = before.sample.pi_raw_ns + _elapsed_ns(before.exchange, exchange)
    if after is not None and after.sample.pi_boot == before.sample.pi_boot:
        latest_ns = min(latest_ns, after.sample.pi_raw_ns)
    return latest_ns


def _showing(exchange: Exchange, boot: Boot, pi_raw_ns: int, margins_ns: tuple[int, int]) -> Showing:
    at_ns, within_ns = exchange.transmit_ns, exchange.resolution_ns
    return Showing(boot, pi_raw_ns, at_ns - within_ns, at_ns + within_ns, margins_ns)


def _margins(exchanges: Sequence[Exchange], place: int) -> tuple[int, int]:
    """For how long the clock was not read before and after an exchange; 0 where nothing was recorded."""
    before, here, after = exchanges[max(place - 1, 0)], exchanges[place], exchanges[place + 1 : place + 2]
    return _elapsed_ns(before, here), sum(_elapsed_ns(here, each) for each in after)


def _joined(first: Showing, second: Showing) -> Showing:
    return replace(
        first,
        first_ns=min(first.first_ns, second.first_ns),
        last_ns=max(first.last_ns, second.last_ns),
        margins_ns=(first.margins_ns[0], second.margins_ns[1]),
    )


def _agree(first: Exchange, second: Exchange) -> bool:
    """Whether a clock that nobody set may have shown both."""
    asked_ns, answered_ns = second.origin_ns - first.destination_ns, second.destination_ns - first.origin_ns
    moved_ns = _moved_ns(first, second)
    unclear_ns = first.resolution_ns + second.resolution_ns
    least_ns = (1 - FASTEST_SLEW) * (asked_ns - moved_ns) - unclear_ns
    most_ns = (1 + FASTEST_SLEW) * (answered_ns - moved_ns) + unclear_ns
    return least_ns <= second.transmit_ns - first.transmit_ns <= most_ns


def _elapsed_ns(first: Exchange, second: Exchange) -> int:
    """The longest time from one exchange to a later one: topside's RAW stops in a sleep, and restarts."""
    passed_ns = second.destination_ns - first.origin_ns
    return max(abs(passed_ns), passed_ns - _moved_ns(first, second))


def _least_ns(first: Exchange, second: Exchange) -> int:
    """The shortest."""
    passed_ns = second.origin_ns - first.destination_ns
    return max(min(passed_ns, passed_ns - _moved_ns(first, second)), 0)


def _moved_ns(first: Exchange, second: Exchange) -> int:
    """How far topside's realtime moved against its RAW, 0 where that is not known."""
    before_ns, after_ns = first.topside_realtime_minus_raw_ns, second.topside_realtime_minus_raw_ns
    return 0 if before_ns is None or after_ns is None else after_ns - before_ns
