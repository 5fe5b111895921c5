"""The peers by name, each a function from samples to its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.estimators.chrony import chrony
from bench.estimators.robust_line import pyxdf
from bench.estimators.single_best import handshake, lsl, ntp
from bench.estimators.ticsync import ticsync
from bench.estimators.timesync_filter import px4

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.estimators.samples import PeerAnswers, Samples

ONLINE: dict[str, Callable[[Samples], PeerAnswers]] = {
    "handshake": handshake,
    "lsl": lsl,
    "px4": px4,
    "ntp": ntp,
    "chrony": chrony,
    "ticsync": ticsync,
}
AFTERWARDS: dict[str, Callable[[Samples], PeerAnswers]] = {"pyxdf": pyxdf}
PEERS = ONLINE | AFTERWARDS
