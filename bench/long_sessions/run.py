"""One command on one session, in a process of its own: the most memory that it had, and its CPU time."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = ("stop", "estimate", "export", "report")
_WORK = """
import json, resource, sys
from pathlib import Path
from runtime import memory
memory.prepare()
from tidesync.command_line import run
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.recorder.closing import close

command, session, output = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
journal = str(session / "time_sync" / "exchanges.jsonl")
arguments = {
    "estimate": ["-q", "estimate", journal, "--track", output],
    "export": ["-q", "export", str(session), "--format", "csv", "--output", output],
    "report": ["-q", "report", str(session), "--output", output],
}
done = close(SessionFolder(session), {}, 0).offsets if command == "stop" else not run(arguments[command])
status = Path("/proc/self/status").read_text()  # ru_maxrss counts who started this process, too
used = resource.getrusage(resource.RUSAGE_SELF)
figures = [int(status.partition("VmHWM:")[2].split()[0]) / 1000, used.ru_utime + used.ru_stime]
print(json.dumps(figures if done else None))
"""


class Used(NamedTuple):
    """What a command took."""

    memory_mb: float
    cpu_s: float


def run(command: str, session: Path) -> Used:
    """Run one of `COMMANDS`; RuntimeError where it fails."""
    output = session / f"{command}.out"
    asked = [sys.executable, "-c", _WORK, command, str(session), str(output)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    output.unlink(missing_ok=True)
    figures = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None
    if figures is None:
        raise RuntimeError(f"{command} of {session} failed: {done.stderr}")
    return Used(*figures)
