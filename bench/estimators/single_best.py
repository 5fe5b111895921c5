"""Peers that trust single exchanges: one handshake, liblsl's wave of eight, and NTP's clock filter.

Sources: the handshake of the tool that Tidesync replaces; sccn/liblsl `time_receiver.cpp` and the defaults of
`api_config.cpp`; RFC 5905 §10 and its appendix A.5.2.
"""

from __future__ import annotations

import numpy as np

from bench.estimators.clocks import Integers
from bench.estimators.samples import PeerAnswers, Samples, held

HANDSHAKE_EVERY_S = 10.0

WAVE_PROBES = 8
"""liblsl sends a wave of so many, 64 ms apart, every 2 s; at 4/s eight exchanges are 2 s, so waves touch."""

FILTER_STAGES = 8
PHI = 15e-6
"""The frequency tolerance by which RFC 5905 lets dispersion grow."""


def handshake(samples: Samples) -> PeerAnswers:
    """The middle of one exchange every ten seconds, kept until the next; half its delay is its error."""
    slot = np.floor(samples.origin_ns / (HANDSHAKE_EVERY_S * 1e9) + 1e-9)
    first = np.unique(slot, return_index=True)[1]
    half = samples.delay_ns[first] / 2
    return held(slot.size, first, samples.middle_ns[first], half)


def lsl_measurements(samples: Samples) -> tuple[Integers, Integers]:
    """Indices of the exchange that each wave chooses, and of the first exchange that can use it."""
    waves = samples.delay_ns.size // WAVE_PROBES
    delays = samples.delay_ns[: waves * WAVE_PROBES].reshape(waves, WAVE_PROBES)
    starts = np.arange(waves) * WAVE_PROBES
    return starts + delays.argmin(axis=1), starts + WAVE_PROBES


def lsl(samples: Samples) -> PeerAnswers:
    """The middle of a wave's exchange with the least delay; liblsl states that whole delay as error."""
    chosen, known = lsl_measurements(samples)
    return held(samples.delay_ns.size, known, samples.middle_ns[chosen], samples.delay_ns[chosen])


def ntp(samples: Samples) -> PeerAnswers:
    """RFC 5905's clock filter on every exchange (an ordinary client polls every 64 s): generous to NTP.

    Of the last eight the one with the least delay counts, but never one older than the last that was used.
    The stated error is its synchronization distance: half its delay plus 15 ppm of its age.
    """
    size = samples.delay_ns.size
    offset, half = np.full(size, np.nan), np.full(size, np.nan)
    used = -1
    for now in range(size):
        oldest = max(0, now - FILTER_STAGES + 1)
        best = oldest + int(np.argmin(samples.delay_ns[oldest : now + 1]))
        used = max(used, best)
        age_ns = samples.destination_ns[now] - samples.destination_ns[used]
        offset[now] = samples.middle_ns[used]
        half[now] = samples.delay_ns[used] / 2 + PHI * age_ns
    return PeerAnswers(offset, offset - half, offset + half)
