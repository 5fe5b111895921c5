"""How long a link holds a message back, in seconds: the delays that are asked of the proxies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random


@dataclass(frozen=True, slots=True)
class Law:
    """Lognormal around `median_s`; a share `spikes` of the messages takes `spike_s` more."""

    median_s: float = 0.0
    sigma: float = 0.5
    spikes: float = 0.0
    spike_s: float = 0.0

    def draw(self, rng: random.Random) -> float:
        """One message's delay, in seconds, never negative."""
        if self.median_s <= 0:
            return 0.0
        spike_s = self.spike_s if rng.random() < self.spikes else 0.0
        return rng.lognormvariate(math.log(self.median_s), self.sigma) + spike_s

    @classmethod
    def parse(cls, text: str) -> Law:
        """The inverse of `str`."""
        return cls(*map(float, text.split(",")))

    def __str__(self) -> str:
        return f"{self.median_s},{self.sigma},{self.spikes},{self.spike_s}"


NONE = Law()
JITTER = Law(0.005, 0.5, 0.01, 0.05)
LONG_WAY = Law(0.008, 0.5)
SHORT_WAY = Law(0.002, 0.5)
