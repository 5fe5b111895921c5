"""For all tests: with REQUIRE_ALL_TESTS=1 a skip is a failure, so that CI cannot pass by leaving out."""

import os
import tempfile

import pytest
from hypothesis import settings

import tests.effort  # noqa: F401 - registers the profile

settings.load_profile("tidesync")

os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="tidesync-state-")
"""Agents keep their clocks' histories there: not in the state folder of whoever runs the tests."""


ONE_WORKER = {"browser", "containers"}
"""Folders whose tests share what is dear: one worker takes all of such a folder, or a module of another."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    for item in items:
        folder = item.path.parent.name
        group = folder if folder in ONE_WORKER else item.path.stem
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):  # noqa: ARG001 - pytest names them
    report = yield
    if os.environ.get("REQUIRE_ALL_TESTS") == "1" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: skipped although every test is required: {reason}"
    return report
