"""Exchanges in the order in which they were finished, although some were written late, pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.exchange import Exchange

SAME_BOOT_NS = 5_000_000_000
"""A boot moves topside's realtime − RAW by its uptime at least; slewing within half an hour by 0.9 s."""


@dataclass(slots=True)
class _Boot:
    """Exchanges of one boot of topside's computer: its RAW clock says their order, whatever was set."""

    differences: list[int] = field(default_factory=list)
    exchanges: list[tuple[int, Exchange]] = field(default_factory=list)
    newest_raw_ns: int = 0

    def admits(self, raw_ns: int, difference_ns: int) -> bool:
        """Whether an exchange belongs here: newer than all, or late with a difference that was seen."""
        near = (abs(difference_ns - known) <= SAME_BOOT_NS for known in reversed(self.differences))
        return not self.exchanges or raw_ns >= self.newest_raw_ns or any(near)

    def add(self, raw_ns: int, difference_ns: int, exchange: Exchange) -> None:
        """Take it in."""
        if not self.differences or abs(difference_ns - self.differences[-1]) > SAME_BOOT_NS // 5:
            self.differences.append(difference_ns)
        self.exchanges.append((raw_ns, exchange))
        self.newest_raw_ns = max(self.newest_raw_ns, raw_ns)


def in_order(exchanges: Iterable[Exchange]) -> list[Exchange]:
    """The exchanges of one vehicle and topside, as they stand in a journal, in the order of their instants.

    Topside's realtime may have been set back and forth meanwhile, so its RAW clock decides; RAW begins anew
    with a boot of topside's computer, which is known by a lower RAW with a difference never seen before.
    Where RAW is not known (another tool's log), the last difference is taken.
    """
    boots = [_Boot()]
    difference_ns = 0
    for exchange in exchanges:
        known = exchange.topside_realtime_minus_raw_ns
        difference_ns = difference_ns if known is None else known
        raw_ns = exchange.destination_ns - difference_ns
        boot = next((boot for boot in reversed(boots) if boot.admits(raw_ns, difference_ns)), None)
        if boot is None:
            boot = _Boot()
            boots.append(boot)
        boot.add(raw_ns, difference_ns, exchange)
    return [exchange for boot in boots for _, exchange in sorted(boot.exchanges, key=itemgetter(0))]
