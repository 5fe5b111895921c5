"""For the simulation: a simulated machine loses its power, this one does not."""

import os

import pytest


@pytest.fixture(scope="module", autouse=True)
def _written_without_waiting_for_the_disk():
    """Recorders sync thousands of times in simulated hours."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda _: None)
        yield
