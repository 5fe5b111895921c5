"""Waiting for what must come: the one place of the tests that sleeps."""

from time import monotonic, sleep  # noqa: TID251 - the one place

import pytest

PATIENCE_S = 180.0
"""What must come is waited for as long as this, on however busy a machine; nothing is lost where it comes."""
BUSY = 10.0
"""So much longer a busy machine may take for what is promised within a time."""


def delay(seconds):
    """Hold something back, as a test's input; never to wait for what a program does."""
    sleep(seconds)


def stays(condition, seconds, what="the condition"):
    """Look for `seconds` whether `condition` holds all the time; fail when it does not."""
    deadline = monotonic() + seconds
    while monotonic() < deadline:
        assert condition(), f"{what} ended within {seconds:g} s"
        sleep(0.03)


def until(condition, timeout_s=PATIENCE_S, what="the condition"):
    """Wait for `condition` to hold and give its value; fail when it does not.

    `timeout_s` is what a quiet machine needs at most: less than `PATIENCE_S` is raised to that.
    """
    return _wait(condition, max(timeout_s, PATIENCE_S), what)


def within(condition, seconds, what="the condition"):
    """As `until`, for what is promised within `seconds`."""
    return _wait(condition, BUSY * seconds, what)


def _wait(condition, timeout_s, what):
    deadline = monotonic() + timeout_s
    while monotonic() < deadline:
        value = condition()
        if value:
            return value
        sleep(0.03)
    pytest.fail(f"{what if isinstance(what, str) else what()} did not come about within {timeout_s:g} s")
