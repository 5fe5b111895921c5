"""How far a recorder is behind what topsides send, pure: how much later exchanges come than the quickest did.

Topside's clock at an exchange's end and the recorder's at its arrival differ by what the clocks do, and by
the way; what is more than the least of ten to twenty minutes is time in which it waited: at topside, at the
broker, or here. Realtime may be set, and RAW stands still in sleep: the less of the two counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.clock import Reading
    from schemas.exchange import Exchange

ALARM_NS = 10_000_000_000
_WINDOW_NS = 600_000_000_000
_MOST = 5000
"""Names and boots come from the network; of later ones nothing is known."""
_ROUND_NS = 5_000_000_000
_SLACK_NS = 1_500_000_000
"""A topside publishes once a second."""
_SETTLED_NS, _LESS_NS = 1_200_000_000, 200_000_000
"""The way of a topside counts as known once its exchanges came no quicker than before, by the second, for the
first: one that was away publishes a second's after the other."""
_QUIET_NS = 2_000_000_000
"""Where nothing has come for so long, nothing is on the way."""


class Behind:
    """Takes each source's newest exchanges as they come; `now_ns` is the recorder's RAW."""

    def __init__(self) -> None:
        self._least: dict[tuple[str, str | None], tuple[int, int]] = {}
        """By RAW and by realtime, the recorder's less topside's."""
        self._before: dict[tuple[str, str | None], tuple[int, int]] = {}
        self._quicker_ns: dict[tuple[str, str | None], int] = {}
        """When they last came quicker than before."""
        self._reached: dict[str, int] = {}
        """Until when all that a topside had sent has come."""
        self._came: dict[str, int] = {}
        self._window_ns: int | None = None
        self._found_ns: int | None = None
        self.behind_ns = 0
        """By the least that was late, of the exchanges between the last two calls of `settle`."""

    def note(self, exchange: Exchange, now: Reading) -> None:
        """An exchange that is newer than those before it of its source has come."""
        difference = _difference(exchange, now)
        key = exchange.topside, exchange.topside_boot_id
        if difference is None or (key not in self._least and len(self._least) >= _MOST):
            return
        before = self._known(key)
        if before is None or difference[0] < before[0] - _LESS_NS:
            self._quicker_ns[key] = now.raw_ns
        self._least[key] = _least(difference, self._least.get(key, difference))
        least = _least(self._least[key], before or difference)
        behind_ns = min(difference[0] - least[0], difference[1] - least[1])
        self._reached[exchange.topside] = max(now.raw_ns - behind_ns, self._reached.get(exchange.topside, 0))
        self._found_ns = behind_ns if self._found_ns is None else min(self._found_ns, behind_ns)

    def prompt_ns(self, exchange: Exchange, now: Reading) -> tuple[int, int] | None:
        """When one that comes now would have come had it waited nowhere; None while that is not known.

        First by RAW, then by what says later, RAW or realtime.
        """
        difference = _difference(exchange, now)
        least = self._known((exchange.topside, exchange.topside_boot_id))
        if difference is None or least is None:
            return None
        by_raw_ns, by_realtime_ns = (now.raw_ns - (difference[at] - least[at]) for at in (0, 1))
        return by_raw_ns, max(by_raw_ns, by_realtime_ns)

    def is_settled(self, exchange: Exchange, now: Reading) -> bool:
        """Whether `prompt_ns` of one like this can be relied on, or never will."""
        difference, key = _difference(exchange, now), (exchange.topside, exchange.topside_boot_id)
        before = self._known(key)
        if difference is None or before is None:
            return difference is None or len(self._least) >= _MOST
        quicker = difference[0] < before[0] - _LESS_NS
        return not quicker and now.raw_ns - self._quicker_ns[key] >= _SETTLED_NS

    def note_any(self, topside: str, now_ns: int) -> None:
        """Something of a topside has come, new or not."""
        if topside in self._came or len(self._came) < _MOST:
            self._came[topside] = now_ns

    def late_ns(self, topside: str, now_ns: int) -> int:
        """How long ago a topside sent what comes now; what it has sent since is on the way. 0: nothing is."""
        reached_ns, came_ns = self._reached.get(topside), self._came.get(topside)
        if reached_ns is None or came_ns is None or now_ns - came_ns >= _QUIET_NS:
            return 0
        return max(0, now_ns - reached_ns - _SLACK_NS)

    def settle(self, now_ns: int) -> str | None:
        """Called once a second: a sentence while it is behind, None else."""
        if self._window_ns is None:
            self._window_ns = now_ns
        if now_ns - self._window_ns > _WINDOW_NS:
            self._before, self._least, self._window_ns = self._least, {}, now_ns
            self._quicker_ns = {key: self._quicker_ns[key] for key in self._before}
        if self._found_ns is not None:
            self.behind_ns, self._found_ns = self._found_ns, None
        if self.behind_ns < ALARM_NS:
            return None
        seconds = self.behind_ns // _ROUND_NS * _ROUND_NS // 1_000_000_000
        return f"it is {seconds} s behind: what waits is being taken"

    def slept(self, slept_ns: int) -> None:
        """The recorder's RAW stood still for so long."""
        self._reached = {}
        for known in (self._least, self._before):
            known.update({key: (by_raw - slept_ns, rest) for key, (by_raw, rest) in known.items()})

    def _known(self, key: tuple[str, str | None]) -> tuple[int, int] | None:
        known = [each[key] for each in (self._least, self._before) if key in each]
        return _least(known[0], known[-1]) if known else None


def _difference(exchange: Exchange, now: Reading) -> tuple[int, int] | None:
    """By RAW and by realtime, `now` less the exchange's end; None where topside's RAW is not known."""
    difference_ns = exchange.topside_realtime_minus_raw_ns
    if difference_ns is None:
        return None
    destination_ns = exchange.destination_ns
    return now.raw_ns - (destination_ns - difference_ns), now.realtime_ns - destination_ns


def _least(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return min(one[0], other[0]), min(one[1], other[1])
