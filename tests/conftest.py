"""For all tests: with REQUIRE_ALL_TESTS=1 a skip is a failure, so that CI cannot pass by leaving out."""

import gc
import logging
import os
import signal
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

import runtime.host
import tests.effort  # noqa: F401 - registers the profile

settings.load_profile("tidesync")

runtime.host.host_name = lambda: "topside"
runtime.host._MARKS, runtime.host._CGROUP = (), Path("/nowhere")
os.environ.setdefault("TIDESYNC_TOPSIDE", "topside")
"""A topside without a name is called so, here and in the processes that tests start; also in a container."""

_state_home = tempfile.TemporaryDirectory(prefix="tidesync-state-", ignore_cleanup_errors=True)
os.environ["XDG_STATE_HOME"] = _state_home.name
"""Agents keep their clocks' histories there: not in the state folder of whoever runs the tests."""

os.environ["TIDESYNC_SHARED_STATE"] = "off"
"""No topside that a test starts writes where a topside of this computer's user does."""

os.environ["TIDESYNC_HOME"] = str(Path(os.environ["XDG_STATE_HOME"]) / "surface")
"""Nobody is there: a `tidesync up` that runs on this computer gives no test its broker and account."""


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
"""A shell ignores it in what it starts in the background; programs that tests start would inherit that."""


ONE_WORKER = ("tests/browser/", "tests/containers/")
"""Folders whose tests share what is dear: one worker takes all of such a folder, else a module."""
LONG = (
    "tests/containers/test_attacks.py",  # has a project of its own, as the next
    "tests/containers/test_cluster.py",
    *ONE_WORKER,
    *(
        f"tests/network/test_{name}.py"
        for name in ("soak_fleet", "soak_group", "soak_recorder", "cluster", "up")
    ),
)
"""What one worker takes, and takes minutes for: begun first, else the others would wait for it in the end."""
WAITING = (*ONE_WORKER, "tests/network/")
"""Folders whose tests wait for programs most of the time; the others' compute."""


def unit_of(nodeid):
    """What one worker takes as a whole."""
    module = nodeid.split("::")[0]
    return next((unit for unit in LONG if module == unit or module.startswith(unit)), module)


def interleaved(nodeids):
    """The units in an order that has some that wait and some that compute at any time; long ones first."""
    sizes = Counter(map(unit_of, nodeids))
    kinds = [[], []]
    first = {unit: place - len(LONG) for place, unit in enumerate(LONG)}
    for unit in sorted(sizes, key=lambda unit: (first.get(unit, 0), -sizes[unit], unit)):
        kinds[unit.startswith(WAITING)].append(unit)
    return sorted(sizes, key={unit: i / len(kind) for kind in kinds for i, unit in enumerate(kind)}.get)


def pytest_unconfigure():
    """At the end of each process; one that is killed leaves its folder."""
    _state_home.cleanup()


class SharedFixtures(LoadScopeScheduling):
    """Gives the tests that share fixtures to one worker."""

    def _split_scope(self, nodeid):
        return unit_of(nodeid)


def pytest_xdist_make_scheduler(config, log):
    config.option.loadscopereorder = False  # they are in order
    return SharedFixtures(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    if hasattr(config, "workerinput"):
        places = {unit: place for place, unit in enumerate(interleaved([item.nodeid for item in items]))}
        items.sort(key=lambda item: places[unit_of(item.nodeid)])


def pytest_collection_finish():
    """What was collected stays until the end: the garbage collector need not look at it, nor as often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown():
    """Take back the handler that a command run within the test has set up: its stream ends with the test."""
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if type(handler) is logging.StreamHandler:
            root.removeHandler(handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):  # noqa: ARG001 - pytest names them
    report = yield
    if os.environ.get("REQUIRE_ALL_TESTS") == "1" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: skipped although every test is required: {reason}"
    return report
