"""The entry point: what happens before the command line is there."""

import subprocess
import sys

_INTERRUPTED = """
import signal, sys
class Loading:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Loading())
sys.argv = ["tidesync", "up"]
from tidesync.__main__ import main
main()
"""


def interrupted_at(module):
    """Run `tidesync up` with Ctrl-C when it begins to load a module."""
    command = [sys.executable, "-c", _INTERRUPTED.format(module=module)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_ctrl_c_while_modules_are_loaded_is_no_traceback():
    for module in ("tidesync.command_line", "click", "runtime.errors", "tidesync.cli.up", "tidesync.up.home"):
        ended = interrupted_at(module)
        assert (ended.returncode, ended.stdout, ended.stderr.strip()) == (130, "", ""), module
