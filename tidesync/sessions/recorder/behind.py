"""How far a recorder is behind what topsides send, pure: how much later exchanges come than the quickest did.

Topside's RAW at an exchange's end and the recorder's at its arrival differ by what the two clocks do, and by
the way; what is more than the least of the last ten to twenty minutes is time in which it waited: at topside,
at the broker, or here. No wall clock counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas.exchange import Exchange

ALARM_NS = 10_000_000_000
_WINDOW_NS = 600_000_000_000
_MOST = 5000
"""Names and boots come from the network; of later ones nothing is known."""
_ROUND_NS = 5_000_000_000


class Behind:
    """Takes each vehicle's newest exchanges as they come; `now_ns` is the recorder's RAW."""

    def __init__(self) -> None:
        self._least: dict[tuple[str, str | None], int] = {}
        self._before: dict[tuple[str, str | None], int] = {}
        self._window_ns: int | None = None
        self._found_ns: int | None = None
        self.behind_ns = 0
        """By the least that was late, of the exchanges between the last two calls of `settle`."""

    def note(self, exchange: Exchange, now_ns: int) -> None:
        """An exchange that is newer than those before it of its vehicle has come."""
        difference_ns = exchange.topside_realtime_minus_raw_ns
        if difference_ns is None:
            return
        key = exchange.topside, exchange.topside_boot_id
        late_ns = now_ns - (exchange.destination_ns - difference_ns)
        least_ns = self._least.get(key)
        if least_ns is None and len(self._least) >= _MOST:
            return
        if least_ns is None or late_ns < least_ns:
            self._least[key] = least_ns = late_ns
        behind_ns = late_ns - min(least_ns, self._before.get(key, least_ns))
        self._found_ns = behind_ns if self._found_ns is None else min(self._found_ns, behind_ns)

    def settle(self, now_ns: int) -> str | None:
        """Called once a second: a sentence while it is behind, None else."""
        if self._window_ns is None:
            self._window_ns = now_ns
        if now_ns - self._window_ns > _WINDOW_NS:
            self._before, self._least, self._window_ns = self._least, {}, now_ns
        if self._found_ns is not None:
            self.behind_ns, self._found_ns = self._found_ns, None
        if self.behind_ns < ALARM_NS:
            return None
        seconds = self.behind_ns // _ROUND_NS * _ROUND_NS // 1_000_000_000
        return f"it is {seconds} s behind: what waits is being taken"

    def forget(self) -> None:
        """The recorder's RAW stood still."""
        self._least, self._before = {}, {}
