"""Waiting for what must come about, for the tests of every folder that runs real programs."""

import time

import pytest


def until(condition, timeout_s=10.0, what="the condition"):
    """Wait for `condition` to hold and give its value; fail when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.03)
    pytest.fail(f"{what if isinstance(what, str) else what()} did not come about within {timeout_s:g} s")
