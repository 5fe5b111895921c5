"""What the demo prints into a file or a pipe: once, without spaces at the ends of lines."""

import io
from types import SimpleNamespace

from rich.console import Console

from runtime.clock import SystemClock
from tests.results import offset_result
from tidesync.demo.checker import Verdict
from tidesync.demo.run import Demo
from tidesync.demo.settings import DemoSettings, demo_clock


def test_the_table_in_a_pipe_has_no_spaces_at_the_ends_of_its_lines(tmp_path):
    printed = io.StringIO()
    settings = DemoSettings(root=tmp_path).model_copy(update={"duration": 0.0})
    demo = Demo(settings, Console(file=printed))
    demo._vehicles = {f"rov{number}": demo_clock(number, SystemClock(), 10.0) for number in (1, 2)}
    verdict = Verdict(offset_result(vehicle="rov1", topside="topside"), -150.3, right=True)
    demo._show(SimpleNamespace(latest={"rov1": verdict}))
    lines = printed.getvalue().splitlines()
    assert any("rov1" in line and "locked" in line for line in lines)
    assert any("waiting" in line for line in lines)
    assert [line for line in lines if line != line.rstrip()] == []
    assert sum("Vehicle clocks" in line for line in lines) == 1
