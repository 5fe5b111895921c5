"""Whether a broker holds small packets back, pure: bursts that it sends, timed, and the signature of 40 ms.

With Nagle's algorithm on, the second small packet waits for the acknowledgement of the first, which Linux
delays by 40 ms: not always, but always by about that much, whatever the network. Jitter is not that narrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidesync.doctor.finding import ok, skipped, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.doctor.finding import Finding

_CHECK = "broker's TCP_NODELAY"
_SIGNATURE_MS = (35.0, 55.0)
_SHARE = 0.2
_ENOUGH = 5
_ADVICE = (
    "set `set_tcp_nodelay true` in mosquitto.conf and restart it: 40 ms on one path are 20 ms of"
    " error in every offset, which no filter can see"
)


@dataclass(frozen=True, slots=True)
class Burst:
    """One request that the broker answers with several packets at once."""

    first_ms: float
    last_ms: float
    """From the request to the arrival of the first and the last of them."""


def judged(bursts: Sequence[Burst], round_trip_ms: float) -> Finding:
    """What `bursts` show; `round_trip_ms` is what one packet takes there and back at the least."""
    if len(bursts) < _ENOUGH:
        return skipped(
            _CHECK,
            f"the broker sent too little to judge by ({len(bursts)} bursts): nothing is retained yet",
            "run it again once a vehicle is measured",
        )
    late = [burst for burst in bursts if _held_back(burst, round_trip_ms)]
    if len(late) >= max(2, _SHARE * len(bursts)):
        typical = sorted(burst.last_ms for burst in late)[len(late) // 2]
        return warn(
            _CHECK, f"{len(late)} of {len(bursts)} bursts were held back for {typical:.0f} ms", _ADVICE
        )
    slowest = max(burst.last_ms for burst in bursts)
    return ok(_CHECK, f"effective: the slowest of {len(bursts)} bursts came within {slowest:.1f} ms")


def _held_back(burst: Burst, round_trip_ms: float) -> bool:
    low, high = _SIGNATURE_MS
    since_first, since_due = burst.last_ms - burst.first_ms, burst.last_ms - round_trip_ms
    return low <= since_first <= high or low <= since_due <= high
