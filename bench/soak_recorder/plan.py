"""What a soak does and when, from one seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

STEP_S = 3
REBOOT_AT, STEP_AT, BROKER_AT = 0.4, 0.5, 0.6
"""As parts of the session: rov2 reboots, rov1's clock is stepped, the broker and the recorder are killed."""
AGAIN_AT = (0.3, 0.7, 0.95)
"""Topside sends again all that it holds, as if another recorder had asked for it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A session of `seconds`, in which the recorder is killed `kills` times."""

    kills: int = 200
    seconds: float = 600.0
    seed: int = 1
    rate: float = 10.0
    """Exchanges a second with each vehicle."""
    publish_s: float = 0.1
    update_s: float = 0.1
    """Between topside's batches, and between the recorder's writes: as often as may be, so that kills fall
    into them."""

    def kill_moments_s(self) -> list[float]:
        """Uniform over the session: many fall into a start, some into the next write, some long after it."""
        chance = random.Random(self.seed)
        return sorted(chance.uniform(0.0, self.seconds) for _ in range(self.kills))
