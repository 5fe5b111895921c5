"""Exchanges as a vehicle would have made them, without one."""

from __future__ import annotations

import random

from schemas.exchange import Exchange

AGE_S = 1500.0
"""By then every window of the estimator is full."""
_DIFFERENCE_NS = 1_700_000_000_000_000_000
_TURNAROUND_NS = 20_000


def exchanges_at(rate_hz: float, seconds: float, *, seed: int = 1) -> list[Exchange]:
    """With a drift of 13 ppm and delays that vary as a network's do."""
    source, begin_ns = random.Random(seed), 10**12
    made = []
    for seq in range(round(rate_hz * seconds)):
        origin_ns = begin_ns + round(seq * 1e9 / rate_hz)
        out_ns, back_ns = (50_000 + round(source.lognormvariate(11, 0.6)) for _ in range(2))
        receive_ns = origin_ns + out_ns + 5_000_000_000 + (origin_ns - begin_ns) * 13 // 10**6
        made.append(
            Exchange(
                vehicle="rov1",
                topside="topside",
                seq=seq,
                boot_id="boot",
                origin_ns=origin_ns + _DIFFERENCE_NS,
                receive_ns=receive_ns + _DIFFERENCE_NS,
                transmit_ns=receive_ns + _TURNAROUND_NS + _DIFFERENCE_NS,
                destination_ns=origin_ns + out_ns + _TURNAROUND_NS + back_ns + _DIFFERENCE_NS,
                pi_realtime_minus_raw_ns=_DIFFERENCE_NS,
                topside_realtime_minus_raw_ns=_DIFFERENCE_NS,
            )
        )
    return made
