"""How much a run of the tests tries: TEST_EFFORT=fast while working, `long` for a night, neither in CI."""

import os
from itertools import product

from hypothesis import HealthCheck, settings

_SHARE = {"fast": 0.25, "usual": 1.0, "long": 10.0}[os.environ.get("TEST_EFFORT", "usual")]


def part(*axes):
    """The cases of a grid, a value of each axis: at `fast` every eleventh.

    With up to ten values on each axis but the first these come round to every value.
    """
    cases = list(product(*axes))
    return cases if _SHARE >= 1 else cases[::11]


def few(cases):
    """Those of a single axis: at `fast` every fifth."""
    return list(cases) if _SHARE >= 1 else list(cases)[::5]


def tries(usual):
    """How many seeds or examples to take where a usual run takes `usual`; at least one."""
    return max(1, round(usual * _SHARE))


settings.register_profile(
    "tidesync", max_examples=tries(100), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
