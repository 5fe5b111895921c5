"""`tidesync …` as a user runs it, to its end; for the tests of every folder."""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = ("-m", "tidesync")
IMPORTED = ("status", "session", "forget", "wait", "doctor", "broker")
"""Commands that tests run often."""
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["__main__", *(f"tidesync.cli.{name}" for name in IMPORTED)])


def tidesync(*arguments, timeout_s=120, program=PROGRAM, **environment):
    """Run it (or another `program` of Python's that takes the same arguments) and give how it ended."""
    return run_to_end(arguments, os.environ | environment, Path.cwd(), timeout_s, program)


def run_to_end(arguments, environment, folder, timeout_s=120, program=PROGRAM):
    """The same in that `folder`.

    A command of `IMPORTED` is run by a copy of a process that has it imported: that is most of what it takes.
    """
    arguments = [*map(str, arguments)]
    if program is PROGRAM and arguments[0] in IMPORTED:
        return _copied(arguments, environment, folder, timeout_s)
    return subprocess.run(
        [sys.executable, *program, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def _copied(arguments, environment, folder, timeout_s):
    with tempfile.TemporaryDirectory() as kept:
        outputs = [Path(kept) / name for name in ("stdout", "stderr")]
        process = _FORKS.Process(target=_become, args=(arguments, dict(environment), folder, outputs))
        process.start()
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, timeout_s)
        texts = [path.read_text(encoding="utf-8") for path in outputs]
        return subprocess.CompletedProcess(arguments, process.exitcode, *texts)


def _become(arguments, environment, folder, outputs):
    for descriptor, path in enumerate(outputs, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv[1:] = arguments
    runpy.run_module("tidesync", run_name="__main__", alter_sys=True)
