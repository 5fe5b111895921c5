"""`tidesync …` as a user runs it, to its end; for the tests of every folder."""

import os
import subprocess
import sys

PROGRAM = ("-m", "tidesync")


def tidesync(*arguments, timeout_s=120, program=PROGRAM, **environment):
    """Run it (or another `program` of Python's that takes the same arguments) and give how it ended."""
    return subprocess.run(
        [sys.executable, *program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=os.environ | environment,
        check=False,
    )
