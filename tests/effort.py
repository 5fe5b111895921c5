"""How much a run of the tests tries: TEST_EFFORT=fast while working, `long` for a night, neither in CI."""

import os

from hypothesis import settings

_SHARE = {"fast": 0.25, "usual": 1.0, "long": 10.0}[os.environ.get("TEST_EFFORT", "usual")]


def tries(usual):
    """How many seeds or examples to take where a usual run takes `usual`; at least one."""
    return max(1, round(usual * _SHARE))


settings.register_profile("tidesync", max_examples=tries(100), deadline=None)
