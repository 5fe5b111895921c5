"""A process whose agent is stuck says where and ends, whatever holds it."""

import subprocess
import sys

import pytest

_WEDGED = """
import logging, signal, threading
from runtime.lifecycle import run_agent
from tidesync.command_line import run
from runtime.logs import configure_logging
from runtime.watchdog import Loop

class Agent:
    failure = None
    status_text = "connected"
    loops = (Loop("the network thread", limit_s=0.3),)
    def start(self): threading.Thread(target=self.stuck_here, daemon=True).start()
    def stuck_here(self):
        {hold}
        threading.Event().wait()
    def stop(self): {stop}
    def wait_until_finished(self, timeout_s): return False

import click, sys
import tidesync.command_line as entry

@click.command("pi")
def command(): return run_agent(Agent(), None)

import tidesync.cli.pi as pi
pi.command = command
sys.exit(run(["pi"]))
"""


@pytest.mark.parametrize(
    ("hold", "stop"),
    [
        ("pass", "print('stopped', flush=True)"),
        ("pass", "threading.Event().wait()"),
        ("logging.getLogger().handlers[0].acquire()", "pass"),
    ],
    ids=["stops", "stop hangs", "holds the log's lock"],
)
def test_a_stuck_agent_logs_the_stacks_of_its_threads_and_ends_with_1(hold, stop):
    ended = subprocess.run(
        [sys.executable, "-c", _WEDGED.format(hold=hold, stop=stop)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 1
    assert "in stuck_here" in ended.stderr
    if hold == "pass":
        assert "CRITICAL runtime.watchdog: the network thread has been stuck for" in ended.stderr
        assert "tidesync: the network thread has been stuck for" in ended.stderr.splitlines()[-1]
    assert ("stopped" in ended.stdout) == ("print" in stop)
