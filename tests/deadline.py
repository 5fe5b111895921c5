"""Waiting for what must come: the one place of the tests that sleeps."""

from time import monotonic, sleep  # noqa: TID251 - the one place

import pytest


def delay(seconds):
    """Hold something back, as a test's input; never to wait for what a program does."""
    sleep(seconds)


def stays(condition, seconds, what="the condition"):
    """Look for `seconds` whether `condition` holds all the time; fail when it does not."""
    deadline = monotonic() + seconds
    while monotonic() < deadline:
        assert condition(), f"{what} ended within {seconds:g} s"
        sleep(0.03)


def until(condition, timeout_s=10.0, what="the condition"):
    """Wait for `condition` to hold and give its value; fail when it does not in time."""
    deadline = monotonic() + timeout_s
    while monotonic() < deadline:
        value = condition()
        if value:
            return value
        sleep(0.03)
    pytest.fail(f"{what if isinstance(what, str) else what()} did not come about within {timeout_s:g} s")
